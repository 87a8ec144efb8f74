"""Finding a model's weights in what somebody saved: under an entry, under a prefix, or both.

Training code saves ``{"state_dict": ..., "epoch": ...}``; wrappers put ``module.`` or
``_orig_mod.`` before every name; Lightning puts the name of an attribute there. None of these names
is known to this module. It looks through all that was saved for the places whose names are exactly
those of the model after a common prefix: as prefixing keeps names distinct, there is at most one
prefix per state dict. If exactly one place fits, its weights are the only ones that can be meant.
Otherwise nothing is guessed, and the error shows how to pick a place.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from shapezoo.weights.weights_reading import loading_code
from shapezoo.weights.strict_loading import WeightsError, shared_names

COUNTER = "num_batches_tracked"
"""A buffer of batch norm that files from before PyTorch 0.4.1 do not have."""

_DEEPEST = 6
"""How many containers deep weights are looked for."""

_MOST_LISTED = 6
"""How many extra names the code in an error lists."""

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
        others: Other state dicts in the file, by where they stand; none if these were found for
            certain.
    """

    tensors: Mapping[str, Tensor]
    note: str = ""
    others: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


Entry = tuple[Any, ...]
"""The keys and indices that lead to a state dict in what was saved."""


@dataclass(frozen=True)
class _Place:
    """Where all the names of a model stand: in an entry of what was saved, after a prefix.

    Attributes:
        entry: The keys that lead there.
        prefix: What stands before the names.
        tensors: What stands there, without counters that are not weights.
        extra: Names there that the model does not have.
        ignored: The counters that are not weights.
    """

    entry: Entry
    prefix: str
    tensors: Mapping[str, Tensor]
    extra: tuple[str, ...]
    ignored: tuple[str, ...]

    @property
    def is_exact(self) -> bool:
        """Whether no other names stand there."""
        return not self.extra

    def has_shapes_of(self, own: Mapping[str, Tensor]) -> bool:
        """Whether the tensors could be those of a model with this ``state_dict``."""
        found = ((self.tensors.get(self.prefix + name), tensor) for name, tensor in own.items())
        return all(part is None or part.shape == tensor.shape for part, tensor in found)

    def __str__(self) -> str:
        entry = f"entry {_shown(self.entry)}" if self.entry else ""
        prefix = f"prefix {self.prefix!r}" if self.prefix else ""
        return " with ".join(filter(None, (entry, prefix)))

    def fix(self, file: str) -> str:
        """Code that writes these weights to a file of their own."""
        loaded = loading_code(file) + "".join(f"[{key!r}]" for key in self.entry)
        left_out = (*self.extra, *self.ignored)
        if not left_out and not self.prefix:
            return f"torch.save({loaded}, 'weights.pth')"
        name = f"key.removeprefix({self.prefix!r})" if self.prefix else "key"
        kept = f" if {self._is_wanted(left_out)}" if left_out else ""
        renamed = f"{{{name}: value for key, value in saved.items(){kept}}}"
        return f"saved = {loaded}; torch.save({renamed}, 'weights.pth')"

    def _is_wanted(self, left_out: tuple[str, ...]) -> str:
        """A condition that tells the names of the model from the others."""
        starts = {name.partition(".")[0] + "." for name in left_out}
        own = {name.partition(".")[0] + "." for name in self.tensors if name not in self.extra}
        if len(left_out) <= _MOST_LISTED or starts & own:
            return f"key not in {left_out!r}"
        return f"not key.startswith({tuple(sorted(starts))!r})"


def unwrap(content: Any, own: Mapping[str, Tensor], path: str | os.PathLike[str]) -> Found:
    """Find the weights of a model in what a file holds.

    Args:
        content: What was read.
        own: The ``state_dict`` of the model.
        path: The file, for errors.

    Raises:
        WeightsError: There is no state dict in it, or several fit the model.
    """
    file = os.fspath(path)
    wanted = {name for name in own if not _is_counter(name)}
    if not wanted and isinstance(content, Mapping) and not content:
        return Found({})
    states = dict(_states(content))
    if not states:
        raise WeightsError(f"{file!r} holds no state dict: {_described(content)}")
    shared = [set(group) for group in shared_names(own)]
    places = [
        place for entry, state in states.items() for place in _places(entry, state, wanted, shared)
    ]
    exact = [place for place in places if place.is_exact]
    # all that an exact place lacks is a name that another one has beside, such as a loss's
    exact += [p for p in places if exact and not p.is_exact and p.has_shapes_of(own)]
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
    entry = max(states, key=lambda entry: len(states[entry]))
    others = {_shown(other): state for other, state in states.items() if other != entry}
    notes = []
    if entry:
        more = f", the largest of {len(states)} in the file" if others else ""
        notes.append(f"compared with the entry {_shown(entry)}{more}")
    is_hint = 0 < len(places) <= _MOST_PLACES
    state = _without_bookkeeping(states[entry], wanted)
    nearest = _beside_others(places, file) if is_hint else _without_common_prefix(state, wanted)
    return Found(nearest.tensors, "\n  ".join(filter(None, [*notes, nearest.note])), others)


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


def _states(content: Any, entry: Entry = ()) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """The dicts with tensors under names in what was saved: that itself, or inside of it."""
    if isinstance(content, Mapping):
        items: Iterable[tuple[Any, Any]] = content.items()
        if any(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
            yield entry, {key: value for key, value in content.items() if isinstance(key, str)}
    elif isinstance(content, list | tuple):
        items = enumerate(content)
    else:
        return
    if len(entry) < _DEEPEST:
        for key, value in items:
            yield from _states(value, (*entry, key))


def _shown(entry: Entry) -> str:
    return " in ".join(repr(key) for key in reversed(entry))


def _without_bookkeeping(state: Mapping[str, Any], wanted: set[str]) -> dict[str, Any]:
    """The same without counters that are not weights, unless the model has such names itself."""
    skipped = () if any(_last(name) in _BOOKKEEPING for name in wanted) else _BOOKKEEPING
    kept = {name: tensor for name, tensor in state.items() if _last(name) not in skipped}
    is_average = all(name.startswith("module.") for name in kept if name != _AVERAGED)
    if is_average and _AVERAGED not in wanted:
        kept.pop(_AVERAGED, None)
    return kept


def _places(
    entry: Entry, state: Mapping[str, Any], wanted: set[str], shared: list[set[str]]
) -> Iterator[_Place]:
    """Where all wanted names stand in a state dict, but for counters of batch norm.

    Of names that share a tensor, one is enough.
    """
    if not wanted:
        return
    required = wanted.difference(*shared)
    whole, state = state, _without_bookkeeping(state, wanted)
    names = {name for name in state if not _is_counter(name)}
    tensors = {name for name in names if isinstance(state[name], Tensor)}
    anchors = {max(required, key=len)} if required else shared[0]  # few other names end like it
    prefixes = {name.removesuffix(end) for end in anchors for name in names if name.endswith(end)}
    for prefix in sorted(prefixes):
        groups = [{prefix + name for name in group} & tensors for group in shared]
        moved = {prefix + name for name in required}.union(*groups)
        if (prefix == "" or prefix.endswith(".")) and moved <= tensors and all(groups):
            ignored = tuple(whole.keys() - state.keys())
            yield _Place(entry, prefix, state, tuple(sorted(names - moved)), ignored)


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
