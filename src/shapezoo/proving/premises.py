"""What a verdict rests on besides sizes: dtypes, the layout of arguments, and earlier calls.

A run on symbols is about one dtype, contiguous arguments and a first call. These are varied here on
real kernels, at sizes that are known to be accepted.
"""

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from shapezoo._modules import floating_dtype
from shapezoo.contracts.types import TensorType, tensors
from shapezoo.proving.causes import cause_of
from shapezoo.proving.effort import WorkOverError
from shapezoo.proving.exploring import Exploration, first_line
from shapezoo.proving.proofs import RestsOn, Sizes, sizes_as_text
from shapezoo.proving.replaying import Call, Replay, TooLargeError, replay_in_turn
from shapezoo.proving.subjects import Subject

DTYPES = (
    *(torch.float32, torch.float64, torch.bfloat16, torch.float16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
"""The dtypes of a family that are tried."""

MOST_WEIGHTS = 1 << 27
"""A model of more weights is tried in its own dtype only: another needs a copy of it."""

MOST_POINTS = 3
"""At so many sizes of a path, layouts are tried and calls are made one after another."""


@dataclass(frozen=True)
class Premises:
    """What was found of one variant.

    Attributes:
        rests_on: What its regions rest on.
        replays: The calls that were made.
        gap: Why an earlier call matters; empty if none was found to.
    """

    rests_on: RestsOn
    replays: tuple[Replay, ...]
    gap: str = ""


def premises(subject: Subject, exploration: Exploration) -> Premises:
    """Vary on real kernels what symbols take for granted."""
    try:
        return _premises(subject, exploration)
    except WorkOverError as error:
        return Premises(RestsOn(_mode(subject)), (), f"dtypes and layouts were not tried: {error}")


def _mode(subject: Subject) -> Literal["eval", "train"]:
    return "train" if subject.is_training else "eval"


def _premises(subject: Subject, exploration: Exploration) -> Premises:
    accepted = _accepted(exploration)
    if not accepted:
        return Premises(RestsOn(_mode(subject)), ())
    in_dtypes = [_run(subject, exploration, call) for call in _dtype_calls(subject, exploration)]
    contiguous, in_layouts = _layouts(subject, exploration, accepted)
    in_turn, gap = _turns(subject, exploration, accepted)
    first = [found for path in exploration.ending("holds") for found in path.replays]
    kept = sorted({name for found in first for name in found.kept})
    rests_on = RestsOn(
        _mode(subject),
        dtypes=_names(found for found in in_dtypes if found and found.outcome == "holds"),
        refused_dtypes=_names(found for found in in_dtypes if found and found.outcome == "raises"),
        contiguous=contiguous,
        kept=tuple(kept),
        checks=tuple(dict.fromkeys(_checks(subject, exploration))),
    )
    replays = [found for found in (*in_dtypes, *in_layouts, *in_turn) if found is not None]
    return Premises(rests_on, tuple(replays), gap)


def _checks(subject: Subject, exploration: Exploration) -> Iterator[str]:
    """The lines that raise where the data decide."""
    for path in exploration.ending("holds"):
        files = subject.files(path.smallest) if path.refusals else frozenset()
        for run in path.refusals:
            file, _, number = cause_of(run.error, files).line.rpartition(":")
            yield f"{os.path.basename(file)}:{number}" if file else first_line(run.error)


def _accepted(exploration: Exploration) -> list[list[Sizes]]:
    """Sizes at which each path held; those first that tell most about layouts."""
    found = []
    for path in exploration.ending("holds"):
        sizes = [one.call.sizes for one in path.replays if one.outcome == "holds"]
        several = [each for i, each in enumerate(sizes) if each not in sizes[:i]]
        found.append(sorted(several, key=_is_flat)[:MOST_POINTS])
    return [sizes for sizes in found if sizes]


def _is_flat(sizes: Sizes) -> int:
    """How many axes are 1: nothing can be told of their layout."""
    return sum(size == 1 for size in sizes.values())


def _run(subject: Subject, exploration: Exploration, *calls: Call) -> Replay | None:
    """The last of several calls on one instance; None if they are too large."""
    try:
        return replay_in_turn(subject, exploration.variant, calls)[-1]
    except TooLargeError:
        return None


def _names(replays: Iterable[Replay]) -> tuple[str, ...]:
    return tuple(str(found.call.dtype).removeprefix("torch.") for found in replays)


def _dtype_calls(subject: Subject, exploration: Exploration) -> Iterator[Call]:
    """A call for each dtype that an argument may have besides others."""
    sizes = min(itertools.chain(*_accepted(exploration)), key=lambda sizes: sum(sizes.values()))
    kinds = [t for a in exploration.variant.contract.inputs for t in tensors(a.type)]
    families = [allowed for kind in kinds if len(allowed := _dtypes_of(kind)) > 1]
    model = subject.make(sizes)
    is_large = isinstance(model, nn.Module) and _count(model) > MOST_WEIGHTS
    for dtype in DTYPES:
        is_own = dtype == floating_dtype(model) or not dtype.is_floating_point
        if any(dtype in family for family in families) and (is_own or not is_large):
            yield Call(sizes, dtype=dtype)


def _dtypes_of(kind: TensorType) -> list[torch.dtype]:
    return list(filter(kind.allows, DTYPES))


def _count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def _layouts(
    subject: Subject, exploration: Exploration, accepted: Sequence[Sequence[Sizes]]
) -> tuple[tuple[str, ...], list[Replay]]:
    """The arguments that have to be contiguous."""
    inputs = exploration.variant.contract.inputs
    names = [a.name for a in inputs if any(len(t.axes) > 1 for t in tensors(a.type))]
    needed: dict[str, None] = {}
    tried: list[Replay] = []

    def try_at(sizes: Sizes, *transposed: str) -> Any:
        found = _run(subject, exploration, Call(sizes, transposed=frozenset(transposed)))
        tried.extend([found] if found else [])
        return found is not None and found.outcome == "raises"

    for points in accepted if names else ():
        if try_at(points[0], *names):
            alone = [name for name in names if try_at(points[0], name)]
            needed |= dict.fromkeys(alone or names)
    return tuple(needed), tried


def _turns(
    subject: Subject, exploration: Exploration, accepted: Sequence[Sequence[Sizes]]
) -> tuple[list[Replay], str]:
    """Call one instance at several sizes, up and down, to see whether earlier calls matter."""
    points = [sizes for several in accepted for sizes in several][: 2 * MOST_POINTS]
    free = {axis: points[0][axis] for axis in subject.free}
    points = [sizes for sizes in points if free.items() <= sizes.items()]
    calls = [Call(sizes) for sizes in (*points, *points[::-1])]
    found = _run(subject, exploration, *calls)
    if found is None or found.outcome == "holds":
        return [], ""
    before = sizes_as_text(found.before[-1].sizes) if found.before else "none"
    return [found], (
        f"a call depends on earlier ones: after one at {before}, one at "
        f"{sizes_as_text(found.call.sizes)} {found.outcome} ({first_line(found.error)})"
    )
