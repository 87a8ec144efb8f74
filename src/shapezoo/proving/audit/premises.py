"""What a verdict rests on besides sizes: dtypes, layout, gradients, and earlier calls.

A run on symbols is about one dtype, contiguous arguments, gradients as they are now, and a first
call. These are varied here on real kernels, at sizes of which it is known how a call ends.
"""

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch import nn

from shapezoo._modules import floating_dtype
from shapezoo.contracts.language.types import TensorType, tensors
from shapezoo.proving.audit.auditing import confirm, narrow
from shapezoo.proving.audit.bounding import TooLargeError
from shapezoo.proving.audit.replaying import (
    count_numbers,
    has_indices,
    replay,
    replay_in_turn,
    worst,
)
from shapezoo.proving.causes import cause_of
from shapezoo.proving.effort import WorkOverError
from shapezoo.proving.findings import RestsOn, Sizes, sizes_as_text
from shapezoo.proving.paths.exploring import Exploration, Path, first_line
from shapezoo.proving.replays import Call, Replay
from shapezoo.proving.subjects import Subject

DTYPES = (
    *(torch.float32, torch.float64, torch.bfloat16, torch.float16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
"""The dtypes of a family that are tried."""

MOST_WEIGHTS = 1 << 27
"""A model of more weights is tried in its own dtype only: another needs a copy of it."""

MOST_NUMBERS = 1 << 16
"""Dtypes are tried at sizes other than the smallest if arguments have at most so many numbers."""

MOST_POINTS = 3
"""At so many sizes of a path, calls are made one after another."""

MOST_LAYOUTS = 2
"""At so many sizes of a path that holds, layouts are tried."""


MOST_NARROW = 4
"""In so many paths that hold, layouts are tried where one axis is 1 too."""


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
        rests_on = RestsOn(_mode(subject), kept=_kept(exploration))
        return Premises(rests_on, (), f"dtypes and layouts were not tried: {error}")


def _mode(subject: Subject) -> Literal["eval", "train"]:
    return "train" if subject.is_training else "eval"


def _premises(subject: Subject, exploration: Exploration) -> Premises:
    accepted = _accepted(exploration)
    in_dtypes = list(_in_dtypes(subject, exploration))
    contiguous, in_layouts = _layouts(subject, exploration)
    gradients, in_modes = _gradients(subject, exploration)
    in_turn, gap = _turns(subject, exploration, accepted)
    rests_on = RestsOn(
        _mode(subject),
        dtypes=_names(found for found in in_dtypes if found.outcome == "holds"),
        refused_dtypes=_names(found for found in in_dtypes if found.outcome == "raises"),
        contiguous=contiguous,
        gradients=gradients,
        kept=_kept(exploration),
        checks=tuple(dict.fromkeys(_checks(subject, exploration))),
    )
    return Premises(rests_on, (*in_dtypes, *in_layouts, *in_modes, *in_turn), gap)


def _kept(exploration: Exploration) -> tuple[str, ...]:
    """The attributes that calls have changed."""
    found = [one for path in exploration.ending("holds") for one in path.replays]
    return tuple(sorted({name for one in found for name in one.kept}))


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


def _names(replays: Iterable[Replay]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(one.call.dtype).removeprefix("torch.") for one in replays))


def _in_dtypes(subject: Subject, exploration: Exploration) -> Iterator[Replay]:
    """Call with each dtype that an argument may have besides others."""
    for sizes in _for_dtypes(subject, exploration):
        for call in _dtype_calls(subject, exploration, sizes):
            with contextlib.suppress(TooLargeError):
                yield replay(subject, exploration.variant, call, is_plain=True)[0]


def _for_dtypes(subject: Subject, exploration: Exploration) -> list[Sizes]:
    """The smallest sizes, and the smallest where no axis is 1 if a call of such is cheap."""
    replays = [one for path in exploration.ending("holds") for one in path.replays]
    accepted = [one.call.sizes for one in replays if one.outcome == "holds"]
    accepted.sort(key=lambda sizes: sum(sizes.values()))
    wide = [sizes for sizes in accepted if not _is_flat(sizes)]
    few = [
        sizes
        for sizes in wide[:1]
        if count_numbers(subject, exploration.variant, Call(sizes)) <= MOST_NUMBERS
    ]
    return [*accepted[:1], *(sizes for sizes in few if sizes != accepted[0])]


def _dtype_calls(subject: Subject, exploration: Exploration, sizes: Sizes) -> Iterator[Call]:
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


def _layouts(subject: Subject, exploration: Exploration) -> tuple[tuple[str, ...], list[Replay]]:
    """The arguments that have to be contiguous for calls to end as they do."""
    inputs = exploration.variant.contract.inputs
    names = [a.name for a in inputs if any(len(t.axes) > 1 for t in tensors(a.type))]
    needed: dict[str, None] = {}
    tried: list[Replay] = []

    def differs(path: Path, sizes: Sizes, *transposed: str) -> bool:
        call = Call(sizes, transposed=frozenset(transposed))
        tried.extend(found := _differing(subject, exploration, path, call))
        return bool(found)

    for path, sizes in _for_layouts(subject, exploration) if names else ():
        if differs(path, sizes, *names):
            alone = [name for name in names if differs(path, sizes, name)]
            needed |= dict.fromkeys(alone or names)
    return tuple(needed), tried


def _for_layouts(subject: Subject, exploration: Exploration) -> Iterator[tuple[Path, Sizes]]:
    """Sizes at which paths have ended as symbols say, and those where one axis is 1 of several."""
    yield from _confirmed(exploration, MOST_LAYOUTS)
    if len(exploration.axes) > 1:
        for path in exploration.ending("holds")[:MOST_NARROW]:
            tried = [one.call.sizes for one in path.replays]
            for sizes in narrow(subject, exploration, path):
                if sizes not in tried and confirm(subject, exploration, path, sizes):
                    yield path, sizes
                if path.outcome != "holds":
                    return


def _gradients(
    subject: Subject, exploration: Exploration
) -> tuple[Literal["", "on", "off"], list[Replay]]:
    """Whether gradients have to be as they are for calls to end as they do."""
    is_on = torch.is_grad_enabled()
    found = [
        one
        for path, sizes in _confirmed(exploration, 1)
        for one in _differing(subject, exploration, path, Call(sizes, is_grad=not is_on))
    ]
    return ("on" if is_on else "off") if found else "", found


def _confirmed(exploration: Exploration, most: int) -> Iterator[tuple[Path, Sizes]]:
    """Sizes at which paths have ended as symbols say; large ones, which no chance makes alike."""
    for path in exploration.ending("holds", "raises"):
        sizes = [one.call.sizes for one in path.replays if one.outcome == path.outcome]
        several = [each for i, each in enumerate(sizes) if each not in sizes[:i]]
        several.sort(key=lambda each: (_is_flat(each), -sum(each.values())))
        yield from ((path, each) for each in several[: most if path.outcome == "holds" else 1])


def _differing(subject: Subject, exploration: Exploration, path: Path, call: Call) -> list[Replay]:
    """A call that ends otherwise than a path, if it does; of several values, the worst count."""
    expected = {path.outcome, *(run.outcome for run in path.refusals)}
    fills = (0, 1) if path.outcome == "raises" and has_indices(exploration.variant) else (0,)
    try:
        calls = [replace(call, fill=fill) for fill in fills]
        found = worst([one for c in calls for one in replay(subject, exploration.variant, c)])
    except TooLargeError:
        return []
    return [] if found.outcome in expected else [found]


def _turns(
    subject: Subject, exploration: Exploration, accepted: Sequence[Sequence[Sizes]]
) -> tuple[list[Replay], str]:
    """Call one instance at several sizes, up and down, to see whether earlier calls matter."""
    if not accepted:
        return [], ""
    points = [sizes for several in accepted for sizes in several][: 2 * MOST_POINTS]
    free = {axis: points[0][axis] for axis in subject.free}
    points = [sizes for sizes in points if free.items() <= sizes.items()]
    calls = [Call(sizes) for sizes in (*points, *points[::-1])]
    try:
        found = replay_in_turn(subject, exploration.variant, calls)[-1]
    except TooLargeError:
        return [], ""
    if found.outcome == "holds":
        return [], ""
    before = sizes_as_text(found.before[-1].sizes) if found.before else "none"
    return [found], (
        f"a call depends on earlier ones: after one at {before}, one at "
        f"{sizes_as_text(found.call.sizes)} {found.outcome} ({first_line(found.error)})"
    )
