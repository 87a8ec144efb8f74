"""Finding a model's weights in what somebody saved: under an entry, under a prefix, or both.

Training code saves ``{"state_dict": ..., "epoch": ...}``; wrappers put ``module.`` or
``_orig_mod.`` before every key; Lightning puts the name of an attribute there. This module has no
list of such names. It searches everything that was saved for dicts of tensors whose keys are those
of the model after a common prefix. Adding a prefix keeps keys distinct, so at most one prefix fits
each dict. If exactly one candidate fits, its weights are the only ones that can be meant. Otherwise
nothing is guessed, and the error shows how to pick a candidate.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from shapezoo.weights.strict_loading import COUNTER, WeightsError, shared_names
from shapezoo.weights.weights_reading import loading_code

_MAX_DEPTH = 6
"""How many containers deep to search for weights."""

_MAX_LISTED = 6
"""How many extra keys the code in an error lists."""

_MAX_CANDIDATES = 3
"""How many candidates an error shows. A model with few keys is found in more by coincidence."""

_BOOKKEEPING = ("total_ops", "total_params")
"""Buffers that thop, which counts operations, leaves in every module of a model."""

_AVERAGED = "n_averaged"
"""The counter of `torch.optim.swa_utils.AveragedModel`, beside its ``module``."""


@dataclass(frozen=True)
class FoundWeights:
    """Weights found in a file.

    Attributes:
        tensors: The weights, under the keys of the model if they were found for certain.
        notes: Lines that an error about them should add.
        others: The other state dicts in the file, by where they are; empty if these weights were
            found for certain.
    """

    tensors: Mapping[str, Tensor]
    notes: tuple[str, ...] = ()
    others: Mapping[str, Mapping[str, Tensor]] = field(default_factory=dict)


Entry = tuple[Any, ...]
"""The keys and indices that lead to a state dict in what was saved."""


@dataclass(frozen=True)
class _Candidate:
    """A state dict with all keys of a model after a prefix.

    Attributes:
        entry: The keys that lead to it.
        prefix: What precedes the keys of the model.
        tensors: Its content, without counters that are not weights.
        extra: Its keys that the model does not have.
        ignored: The counters that are not weights.
    """

    entry: Entry
    prefix: str
    tensors: Mapping[str, Tensor]
    extra: tuple[str, ...]
    ignored: tuple[str, ...]

    def has_shapes_of(self, own: Mapping[str, Tensor]) -> bool:
        """Whether the tensors could be those of a model with this ``state_dict``."""
        pairs = ((self.tensors.get(self.prefix + name), tensor) for name, tensor in own.items())
        return all(saved is None or saved.shape == tensor.shape for saved, tensor in pairs)

    def without_prefix(self) -> dict[str, Tensor]:
        """Return the tensors under the keys of the model."""
        return {name.removeprefix(self.prefix): tensor for name, tensor in self.tensors.items()}

    def __str__(self) -> str:
        entry = f"entry {_path(self.entry)}" if self.entry else ""
        prefix = f"prefix {self.prefix!r}" if self.prefix else ""
        return " with ".join(filter(None, (entry, prefix)))

    def extraction_code(self, file: str) -> str:
        """Return code that writes these weights to a file of their own."""
        loaded = loading_code(file) + "".join(f"[{key!r}]" for key in self.entry)
        left_out = (*self.extra, *self.ignored)
        if not left_out and not self.prefix:
            return f"torch.save({loaded}, 'weights.pth')"
        name = f"key.removeprefix({self.prefix!r})" if self.prefix else "key"
        condition = f" if {self._condition(left_out)}" if left_out else ""
        renamed = f"{{{name}: value for key, value in saved.items(){condition}}}"
        return f"saved = {loaded}; torch.save({renamed}, 'weights.pth')"

    def _condition(self, left_out: tuple[str, ...]) -> str:
        """Return a condition on ``key`` that holds for the keys of the model only."""
        starts = {_first_part(name) for name in left_out}
        own = {_first_part(name) for name in self.tensors if name not in self.extra}
        if len(left_out) <= _MAX_LISTED or starts & own:
            return f"key not in {left_out!r}"
        return f"not key.startswith({tuple(sorted(starts))!r})"


def find_weights(
    content: Any, own: Mapping[str, Tensor], path: str | os.PathLike[str]
) -> FoundWeights:
    """Find the weights of a model in the content of a file.

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
        return FoundWeights({})
    states = dict(_state_dicts(content))
    if not states:
        raise WeightsError(f"{file!r} holds no state dict: {_summary(content)}")
    shared = [set(group) for group in shared_names(own)]
    candidates = [
        candidate
        for entry, state in states.items()
        for candidate in _candidates(entry, state, wanted, shared)
    ]
    fitting = [candidate for candidate in candidates if not candidate.extra]
    if fitting:
        # another candidate may differ only by a key that training added, such as a loss's weight
        fitting += [c for c in candidates if c.extra and c.has_shapes_of(own)]
    if len(fitting) == 1:
        return FoundWeights(fitting[0].without_prefix())
    if fitting:
        raise WeightsError(
            f"{file!r} holds weights that fit the model several times: "
            f"{', '.join(map(str, fitting))}; write the ones you want to a file of their own:\n"
            + "\n".join(f"  {candidate.extraction_code(file)}" for candidate in fitting)
        )
    entry = max(states, key=lambda entry: len(states[entry]))
    others = {_path(other): state for other, state in states.items() if other != entry}
    notes: tuple[str, ...] = ()
    if entry:
        more = f", the largest of {len(states)} in the file" if others else ""
        notes = (f"compared with the entry {_path(entry)}{more}",)
    if 0 < len(candidates) <= _MAX_CANDIDATES:
        nearest = _with_extra_keys(candidates, file)
    else:
        nearest = _without_common_prefix(_without_bookkeeping(states[entry], wanted), wanted)
    return FoundWeights(nearest.tensors, notes + nearest.notes, others)


def _with_extra_keys(candidates: list[_Candidate], file: str) -> FoundWeights:
    """Return the first candidate, with advice how to remove its extra keys."""
    first = candidates[0]
    short = first.without_prefix()
    where = ", ".join(filter(None, map(str, candidates)))
    advice = f"to keep only those of the model: {first.extraction_code(file)}"
    notes = (f"the file has all keys of the model, and extra ones, under {where}", advice)
    # if removing the prefix makes two keys one, the extra one would go unnoticed
    tensors = short if len(short) == len(first.tensors) else first.tensors
    return FoundWeights(tensors, notes if where else (advice,))


def _without_common_prefix(state: Mapping[str, Tensor], wanted: set[str]) -> FoundWeights:
    """Return a state dict without the prefix of all its keys, if some are the model's then."""
    first, last = min(state, default=""), max(state, default="")
    ends = [end for end, letter in enumerate(first, 1) if letter == "."]
    shared = [first[:end] for end in ends if last.startswith(first[:end])]
    for prefix in shared:
        if any(prefix + name in state for name in wanted):
            short = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
            return FoundWeights(short, (f"compared without {prefix!r}, which starts all its keys",))
    return FoundWeights(state, (f"all its keys start with {shared[-1]!r}",) if shared else ())


def _state_dicts(content: Any, entry: Entry = ()) -> Iterator[tuple[Entry, dict[str, Any]]]:
    """Yield the dicts with tensors under string keys, at any depth of what was saved."""
    if isinstance(content, Mapping):
        items: Iterable[tuple[Any, Any]] = content.items()
        if any(isinstance(k, str) and isinstance(v, Tensor) for k, v in content.items()):
            yield entry, {key: value for key, value in content.items() if isinstance(key, str)}
    elif isinstance(content, list | tuple):
        items = enumerate(content)
    else:
        return
    if len(entry) < _MAX_DEPTH:
        for key, value in items:
            yield from _state_dicts(value, (*entry, key))


def _path(entry: Entry) -> str:
    return " in ".join(repr(key) for key in reversed(entry))


def _without_bookkeeping(state: Mapping[str, Any], wanted: set[str]) -> dict[str, Any]:
    """Return a state dict without counters that are not weights, unless the model has such keys."""
    skipped = () if any(_last_part(name) in _BOOKKEEPING for name in wanted) else _BOOKKEEPING
    kept = {name: tensor for name, tensor in state.items() if _last_part(name) not in skipped}
    is_average = all(name.startswith("module.") for name in kept if name != _AVERAGED)
    if is_average and _AVERAGED not in wanted:
        kept.pop(_AVERAGED, None)
    return kept


def _candidates(
    entry: Entry, state: Mapping[str, Any], wanted: set[str], shared: list[set[str]]
) -> Iterator[_Candidate]:
    """Yield where a state dict has all wanted keys; of those that share a tensor, one is enough."""
    if not wanted:
        return
    required = wanted.difference(*shared)
    kept = _without_bookkeeping(state, wanted)
    ignored = tuple(state.keys() - kept.keys())
    names = {name for name in kept if not _is_counter(name)}
    tensors = {name for name in names if isinstance(kept[name], Tensor)}
    # each prefix is what precedes one required key; of the longest there are the fewest
    anchors = {max(required, key=len)} if required else shared[0]
    prefixes = {name.removesuffix(end) for end in anchors for name in names if name.endswith(end)}
    for prefix in sorted(prefixes):
        groups = [{prefix + name for name in group} & tensors for group in shared]
        moved = {prefix + name for name in required}.union(*groups)
        if (prefix == "" or prefix.endswith(".")) and moved <= tensors and all(groups):
            yield _Candidate(entry, prefix, kept, tuple(sorted(names - moved)), ignored)


def _is_counter(name: str) -> bool:
    return _last_part(name) == COUNTER


def _first_part(name: str) -> str:
    return name.partition(".")[0] + "."


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _summary(content: Any) -> str:
    """Describe what was saved instead of weights."""
    if not isinstance(content, Mapping):
        return f"expected a dict of tensors, got a {type(content).__name__}"
    if not content:
        return "its dict is empty"
    parts = [f"{key!r}: {type(value).__name__}" for key, value in content.items()]
    more = f" and {len(parts) - 8} more" if len(parts) > 8 else ""
    return f"expected a dict of tensors, got {{{', '.join(parts[:8])}}}{more}"
