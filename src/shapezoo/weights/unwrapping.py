"""Finding a model's weights in what somebody saved: under an entry, under a prefix, or both.

Training code saves ``{"state_dict": ..., "epoch": ...}``; wrappers put ``module.`` or
``_orig_mod.`` before every name; Lightning puts the name of an attribute there. None of these names
is known to this module. It looks for the places whose names are exactly those of the model after a
common prefix: as prefixing keeps names distinct, there is at most one prefix per state dict. If
exactly one place fits, its weights are the only ones that can be meant. Otherwise nothing is
guessed, and the error shows how to pick a place.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from shapezoo.weights.reading import loading_code
from shapezoo.weights.taking import WeightsError

COUNTER = "num_batches_tracked"
"""A buffer of batch norm that files from before PyTorch 0.4.1 do not have."""

_MOST_PLACES = 3
"""How many places an error shows. A model of few names is found in more by coincidence."""

_BOOKKEEPING = ("total_ops", "total_params")
"""Buffers that thop, which counts operations, leaves in every module of a model."""

_AVERAGED = "n_averaged"
"""The counter of `torch.optim.swa_utils.AveragedModel`, beside its ``module``."""


@dataclass(frozen=True)
class Found:
    """Weights found in a file.

    Attributes:
        tensors: The weights, under the names of the model if they were found for certain.
        note: What else an error about them should say.
    """

    tensors: Mapping[str, Tensor]
    note: str = ""


@dataclass(frozen=True)
class _Place:
    """Where all the names of a model stand: in an entry of what was saved, after a prefix."""

    entry: str | None
    prefix: str
    tensors: Mapping[str, Tensor]
    is_exact: bool

    def __str__(self) -> str:
        entry = f"entry {self.entry!r}" if self.entry is not None else ""
        prefix = f"prefix {self.prefix!r}" if self.prefix else ""
        return " with ".join(filter(None, (entry, prefix)))

    def fix(self, file: str) -> str:
        """Code that writes these weights to a file of their own."""
        entry = f"[{self.entry!r}]" if self.entry is not None else ""
        loaded = f"{loading_code(file)}{entry}"
        if self.is_exact and not self.prefix:
            return f"torch.save({loaded}, 'weights.pth')"
        start = f"{self.prefix!r} + " if self.prefix else ""
        kept = f"for key in model.state_dict() if {start}key in saved"
        renamed = f"{{key: saved[{start}key] {kept}}}"
        return f"saved = {loaded}; torch.save({renamed}, 'weights.pth')"


def unwrap(content: Any, names: Iterable[str], path: str | os.PathLike[str]) -> Found:
    """Find the weights of a model in what a file holds.

    Args:
        content: What was read.
        names: The names in the ``state_dict`` of the model.
        path: The file, for errors.

    Raises:
        WeightsError: There is no state dict in it, or several fit the model.
    """
    file = os.fspath(path)
    states = dict(_states(content))
    if not states:
        raise WeightsError(f"{file!r} holds no state dict: {_described(content)}")
    wanted = {name for name in names if not _is_counter(name)}
    states = {entry: _without_bookkeeping(state, wanted) for entry, state in states.items()}
    places = [place for entry, state in states.items() for place in _places(entry, state, wanted)]
    exact = [place for place in places if place.is_exact]
    if len(exact) == 1:
        prefix = exact[0].prefix
        tensors = exact[0].tensors
        return Found({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    if exact:
        raise WeightsError(
            f"{file!r} holds weights that fit the model several times: "
            f"{', '.join(map(str, exact))}; write the ones you want to a file of their own:\n"
            + "\n".join(f"  {place.fix(file)}" for place in exact)
        )
    entry, state = next(iter(states.items()))
    notes = []
    if entry is not None:
        others = f", the first of {', '.join(map(repr, states))}" if len(states) > 1 else ""
        notes.append(f"compared with the entry {entry!r}{others}")
    is_hint = 0 < len(places) <= _MOST_PLACES
    nearest = _beside_others(places, file) if is_hint else _without_common_prefix(state, wanted)
    return Found(nearest.tensors, "\n  ".join(filter(None, [*notes, nearest.note])))


def _beside_others(places: list[_Place], file: str) -> Found:
    """The state dict of the first place with other names beside those of the model."""
    prefix, tensors = places[0].prefix, places[0].tensors
    short = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
    shown = ", ".join(str(place) for place in places if str(place))
    notes = [f"the file has all names of the model, beside others, under {shown}"] if shown else []
    notes.append(f"to keep only those of the model: {places[0].fix(file)}")
    # where two names became one, an extra one would go unnoticed
    return Found(short if len(short) == len(tensors) else tensors, "\n  ".join(notes))


def _without_common_prefix(state: Mapping[str, Tensor], wanted: set[str]) -> Found:
    """A state dict without a prefix that all its names share, if some then are the model's."""
    first, last = min(state, default=""), max(state, default="")
    ends = [end for end, letter in enumerate(first, 1) if letter == "."]
    shared = [first[:end] for end in ends if last.startswith(first[:end])]
    for prefix in shared:
        if any(prefix + name in state for name in wanted):
            short = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
            return Found(short, f"compared without {prefix!r}, with which all names in it start")
    note = f"all names in it start with {shared[-1]!r}" if shared else ""
    return Found(state, note)


def _states(content: Any) -> Iterator[tuple[str | None, dict[str, Tensor]]]:
    """The state dicts in what was saved: that itself, or its entries."""
    if not isinstance(content, Mapping):
        return
    if _is_state(content):
        yield None, dict(content)
        return
    for entry, value in content.items():
        if isinstance(entry, str) and value and isinstance(value, Mapping) and _is_state(value):
            yield entry, dict(value)


def _is_state(value: Mapping[Any, Any]) -> bool:
    return all(isinstance(key, str) and isinstance(part, Tensor) for key, part in value.items())


def _without_bookkeeping(state: Mapping[str, Tensor], wanted: set[str]) -> dict[str, Tensor]:
    """The same without counters that are no weights, unless the model has such names itself."""
    skipped = () if any(_last(name) in _BOOKKEEPING for name in wanted) else _BOOKKEEPING
    kept = {name: tensor for name, tensor in state.items() if _last(name) not in skipped}
    is_average = all(name.startswith("module.") for name in kept if name != _AVERAGED)
    if is_average and _AVERAGED not in wanted:
        kept.pop(_AVERAGED, None)
    return kept


def _places(entry: str | None, state: Mapping[str, Tensor], wanted: set[str]) -> Iterator[_Place]:
    """Where all wanted names stand in a state dict, but for counters of batch norm."""
    if not wanted:
        return
    names = {name for name in state if not _is_counter(name)}
    longest = max(wanted, key=len)  # few other names end like it
    for name in sorted(names):
        prefix = name.removesuffix(longest)
        if not name.endswith(longest) or not (prefix == "" or prefix.endswith(".")):
            continue
        moved = {prefix + name for name in wanted}
        if moved <= names:
            yield _Place(entry, prefix, state, is_exact=moved == names)


def _is_counter(name: str) -> bool:
    return _last(name) == COUNTER


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def _described(content: Any) -> str:
    """What was saved, for somebody who expected weights."""
    if not isinstance(content, Mapping):
        return f"expected a dict of tensors, got a {type(content).__name__}"
    if not content:
        return "its dict is empty"
    parts = [f"{key!r}: {type(value).__name__}" for key, value in content.items()]
    more = f" and {len(parts) - 8} more" if len(parts) > 8 else ""
    return f"expected a dict of tensors, got {{{', '.join(parts[:8])}}}{more}"
