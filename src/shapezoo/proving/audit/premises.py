"""What a verdict rests on besides sizes: dtypes, layout, gradients, and earlier calls.

A symbolic run is about one dtype, contiguous arguments, gradients as they are now, and a first
call. These are varied here on real kernels, at sizes for which it is known how a call ends.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import nn

from shapezoo._modules import floating_dtype
from shapezoo.contracts.language.types import tensors
from shapezoo.proving.audit.auditing import confirm
from shapezoo.proving.audit.bounding import TooLargeError
from shapezoo.proving.audit.replay_sizes import narrow
from shapezoo.proving.audit.replaying import count_numbers, replay, replay_in_turn, worst
from shapezoo.proving.causes import cause_of, first_line
from shapezoo.proving.effort import WorkOverError
from shapezoo.proving.findings import Outcome, RestsOn, Sizes, sizes_as_text
from shapezoo.proving.paths.exploring import ExecutionPath, Exploration
from shapezoo.proving.replays import CallSpec, Replay

DTYPES = (
    *(torch.float32, torch.float64, torch.bfloat16, torch.float16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
)
"""The dtypes of a family that are tried."""

MOST_WEIGHTS = 1 << 27
"""A model with more weights is tried in its own dtype only: another one needs a copy of it."""

MOST_NUMBERS = 1 << 16
"""Dtypes are tried at sizes other than the smallest if arguments have at most this many numbers."""

MOST_POINTS = 3
"""At how many sizes of a path calls are made one after another."""

MOST_LAYOUTS = 2
"""The number of sizes of each path that holds at which other layouts are tried."""

MOST_NARROW = 4
"""The number of paths that hold for which layouts are also tried with one axis of size 1."""


def try_premises(exploration: Exploration) -> None:
    """Vary on real kernels what symbolic runs take for granted, and note what a verdict rests on.

    Sets `Exploration.rests_on`, and adds to its probes and gaps.
    """
    rests_on = RestsOn(exploration.subject.mode)
    try:
        points = _points_in_turn(exploration)  # before trying layouts adds more replays
        in_dtypes = list(_in_dtypes(exploration))
        contiguous, in_layouts = _layouts(exploration)
        gradients, in_modes = _gradients(exploration)
        in_turn = _in_turn(exploration, points)
        rests_on = replace(
            rests_on,
            dtypes=_dtype_names(in_dtypes, "holds"),
            refused_dtypes=_dtype_names(in_dtypes, "raises"),
            contiguous=contiguous,
            gradients=gradients,
            checks=tuple(dict.fromkeys(_checks(exploration))),
        )
        exploration.probes += [*in_dtypes, *in_layouts, *in_modes, *in_turn]
        exploration.call_gaps = tuple(map(_dependence, in_turn))
    except WorkOverError as error:
        exploration.call_gaps = (f"dtypes and layouts were not tried: {error}",)
    kept = {n for p in exploration.ending("holds") for each in p.replays for n in each.kept}
    exploration.rests_on = replace(rests_on, kept=tuple(sorted(kept)))


def _checks(exploration: Exploration) -> Iterator[str]:
    """Yield the lines that raise for some values of the arguments."""
    for path in exploration.ending("holds"):
        files = exploration.subject.files(path.smallest) if path.refusals else frozenset()
        for run in path.refusals:
            file, _, number = cause_of(run.error, files).line.rpartition(":")
            yield f"{os.path.basename(file)}:{number}" if file else first_line(run.error)


def _num_ones(sizes: Sizes) -> int:
    """Count the axes of size 1, whose layout does not show."""
    return sum(size == 1 for size in sizes.values())


def _dtype_names(replays: Sequence[Replay], outcome: Outcome) -> tuple[str, ...]:
    dtypes = (str(each.call.dtype) for each in replays if each.outcome == outcome)
    return tuple(dict.fromkeys(dtype.removeprefix("torch.") for dtype in dtypes))


def _in_dtypes(exploration: Exploration) -> Iterator[Replay]:
    """Call with each dtype that an argument may have besides others."""
    allowed = [list(filter(t.allows, DTYPES)) for t in exploration.subject.inputs]
    several = {dtype for dtypes in allowed if len(dtypes) > 1 for dtype in dtypes}
    for sizes in _for_dtypes(exploration):
        model = exploration.subject.make(sizes)
        parameters = model.parameters() if isinstance(model, nn.Module) else ()
        is_large = sum(p.numel() for p in parameters) > MOST_WEIGHTS
        for dtype in DTYPES:
            needs_copy = dtype.is_floating_point and dtype != floating_dtype(model)
            if dtype in several and not (is_large and needs_copy):
                with contextlib.suppress(TooLargeError):
                    call = CallSpec(sizes, dtype=dtype)
                    yield replay(exploration.subject, call, is_repeated=True)[0]


def _for_dtypes(exploration: Exploration) -> list[Sizes]:
    """Return the smallest sizes, and the smallest without an axis of 1 if a call is cheap there."""
    replays = [each for path in exploration.ending("holds") for each in path.replays]
    accepted = [each.call.sizes for each in replays if each.outcome == "holds"]
    accepted.sort(key=lambda sizes: sum(sizes.values()))
    points = accepted[:1]
    for wide in [sizes for sizes in accepted if not _num_ones(sizes)][:1]:
        count = count_numbers(exploration.subject, CallSpec(wide))
        points += [wide] if wide not in points and count <= MOST_NUMBERS else []
    return points


def _layouts(exploration: Exploration) -> tuple[tuple[str, ...], list[Replay]]:
    """Return the arguments that have to be contiguous for calls to end as they do."""
    inputs = exploration.subject.contract.inputs
    names = [a.name for a in inputs if any(len(t.axes) > 1 for t in tensors(a.type))]
    needed: dict[str, None] = {}
    tried: list[Replay] = []

    def differs(path: ExecutionPath, sizes: Sizes, *transposed: str) -> bool:
        call = CallSpec(sizes, transposed=frozenset(transposed))
        tried.extend(differing := _differing(exploration, path, call))
        return bool(differing)

    for path, sizes in _for_layouts(exploration) if names else ():
        if differs(path, sizes, *names):
            alone = [name for name in names if differs(path, sizes, name)]
            needed |= dict.fromkeys(alone or names)
    return tuple(needed), tried


def _for_layouts(exploration: Exploration) -> Iterator[tuple[ExecutionPath, Sizes]]:
    """Yield sizes at which paths were confirmed, and sizes where one of several axes is 1."""
    yield from _confirmed(exploration, MOST_LAYOUTS)
    if len(exploration.axes) > 1:
        for path in exploration.ending("holds")[:MOST_NARROW]:
            tried = [each.call.sizes for each in path.replays]
            for sizes in narrow(exploration, path):
                if sizes not in tried and confirm(exploration, path, sizes):
                    yield path, sizes
                if path.outcome != "holds":
                    return


def _gradients(exploration: Exploration) -> tuple[Literal["", "on", "off"], list[Replay]]:
    """Return whether gradients have to be as they are for calls to end as they do."""
    is_on = torch.is_grad_enabled()
    differing = [
        each
        for path, sizes in _confirmed(exploration, 1)
        for each in _differing(exploration, path, CallSpec(sizes, is_grad=not is_on))
    ]
    return ("on" if is_on else "off") if differing else "", differing


def _sizes_of_replays(path: ExecutionPath) -> list[Sizes]:
    """Return the sizes at which real kernels ended like a path, each once."""
    sizes = [each.call.sizes for each in path.replays if each.outcome == path.outcome]
    return [each for i, each in enumerate(sizes) if each not in sizes[:i]]


def _confirmed(exploration: Exploration, most: int) -> Iterator[tuple[ExecutionPath, Sizes]]:
    """Yield sizes at which paths were confirmed.

    Large ones come first: at small sizes two axes may be equal by accident.
    """
    for path in exploration.ending("holds", "raises"):
        points = _sizes_of_replays(path)
        points.sort(key=lambda sizes: (_num_ones(sizes), -sum(sizes.values())))
        yield from ((path, each) for each in points[: most if path.outcome == "holds" else 1])


def _differing(exploration: Exploration, path: ExecutionPath, call: CallSpec) -> list[Replay]:
    """Return a call if it ends differently from a path; of several values, the worst one."""
    expected = {path.outcome, *(run.outcome for run in path.refusals)}
    fills = (0, 1) if path.outcome == "raises" and exploration.subject.has_indices else (0,)
    try:
        calls = [replace(call, fill=fill) for fill in fills]
        made = worst([each for c in calls for each in replay(exploration.subject, c)])
    except TooLargeError:
        return []
    return [] if made.outcome in expected else [made]


def _points_in_turn(exploration: Exploration) -> list[Sizes]:
    """Return accepted sizes that one instance can take; those first that show most of a layout."""
    points: list[Sizes] = []
    for path in exploration.ending("holds"):
        points += sorted(_sizes_of_replays(path), key=_num_ones)[:MOST_POINTS]
    del points[2 * MOST_POINTS :]
    free = exploration.subject.free
    return [sizes for sizes in points if all(sizes[axis] == points[0][axis] for axis in free)]


def _in_turn(exploration: Exploration, points: Sequence[Sizes]) -> list[Replay]:
    """Call one instance at several sizes, up and down.

    Returns:
        A call that does not hold because of the calls before it, if there is one.
    """
    if not points:
        return []
    calls = [CallSpec(sizes) for sizes in (*points, *points[::-1])]
    try:
        last = replay_in_turn(exploration.subject, calls)
    except TooLargeError:
        return []
    return [] if last.outcome == "holds" else [last]


def _dependence(later: Replay) -> str:
    """Describe a call that depends on the calls before it."""
    before = sizes_as_text(later.before[-1].sizes) if later.before else "none"
    return (
        f"a call depends on earlier ones: after one at {before}, one at "
        f"{sizes_as_text(later.call.sizes)} {later.outcome} ({first_line(later.error)})"
    )
