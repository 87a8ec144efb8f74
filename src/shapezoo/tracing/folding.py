"""Fold loops: steps that repeat become one step with a count.

A recurrent model records one call of its cell for each time step. Such a trace is too long to read,
and traces of sequences of different lengths would have different structures, so that no expression
could be found for their sizes. So iterations that look alike are merged into the first one, with
the sum of their costs. What later iterations read is kept as further inputs of the merged
operations: those that come from an earlier iteration are marked as carried.

Merging removes operations, and flows that refer to them by id are redirected through ``aliases``,
from the id of each removed operation to the id of the one that replaced it. That one may be removed
later itself, as part of an outer loop.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from shapezoo.tracing.records import NOWHERE, Call, Flow, Operation, Step, operations_in

LONGEST_ITERATION = 64
"""The largest number of steps in one iteration for a loop to be found."""

MANY_ITERATIONS = 4
"""This many iterations are a loop even if none of them reads a result of the one before."""


def fold(
    call: Call, inputs: Sequence[Operation], outputs: Sequence[Flow]
) -> tuple[Call, tuple[Operation, ...], tuple[Flow, ...]]:
    """Return a recorded call with its inputs and outputs, where each loop is one iteration.

    Operations get new ids, so that traces with more or fewer iterations are equal.
    """
    aliases: dict[str, str] = {}
    folded = replace(call, steps=_folded(call.steps, aliases))
    kept = [operation.id for operation in (*inputs, *folded.operations())]
    ids = {old: str(number) for number, old in enumerate(kept)}
    # An operation that replaced others may have been removed later: resolve the last ones first.
    for removed, replacement in reversed(aliases.items()):
        ids[removed] = ids[replacement]
    return (
        replace(folded, steps=tuple(_renumbered(folded.steps, ids))),
        tuple(replace(operation, id=ids[operation.id]) for operation in inputs),
        _renumbered_flows(outputs, ids),
    )


def _folded(steps: Sequence[Step], aliases: dict[str, str]) -> tuple[Step, ...]:
    """Return the steps with all loops merged, and add the removed operations to the aliases."""
    inner = [
        replace(step, steps=_folded(step.steps, aliases)) if isinstance(step, Call) else step
        for step in steps
    ]
    folded: list[Step] = []
    waiting = [inner]
    while waiting:
        part = waiting.pop()
        start, length, iterations = _widest_loop(part, aliases)
        if iterations == 1:
            folded += part
            continue
        end = start + length * iterations
        loop = part[start:end]
        inside = {operation.id for operation in operations_in(loop)}
        merged = [_merged(loop[first::length], aliases, inside) for first in range(length)]
        waiting += [part[end:], merged, part[:start]]  # the last one is folded first
    return tuple(folded)


def _look(step: Step) -> tuple[object, ...]:
    """Return what the same step of all iterations has in common."""
    if isinstance(step, Operation):
        return step.name, tuple(flow.shape for flow in step.inputs), step.outputs, step.times
    inner = tuple(map(_look, step.steps))
    return step.path, step.inputs, step.outputs, step.times, step.has_failed, inner


def _widest_loop(steps: Sequence[Step], aliases: dict[str, str]) -> tuple[int, int, int]:
    """Return the start, the steps per iteration and the iterations of the loop with most steps."""
    numbers: dict[object, int] = {}
    looks = [numbers.setdefault(_look(step), len(numbers)) for step in steps]
    widest = 0, 0, 1
    for length in range(1, min(LONGEST_ITERATION, len(looks) // 2) + 1):
        alike = 0  # how many steps before `end` look like those an iteration earlier
        for end in range(length, len(looks) + 1):
            if end < len(looks) and looks[end - length] == looks[end]:
                alike += 1
                continue
            start, iterations = end - length - alike, alike // length + 1
            is_wider = iterations > 1 and length * iterations > widest[1] * widest[2]
            loop = steps[start : start + length * iterations]
            if is_wider and _is_loop(loop, iterations, aliases):
                widest = start, length, iterations
            alike = 0
    return widest


def _is_loop(steps: Sequence[Step], iterations: int, aliases: dict[str, str]) -> bool:
    """Whether repeated steps are a loop: they are many, or the second iteration needs the first.

    Code that is not a loop often repeats itself two or three times: a shared encoder is called for
    two inputs, or the same function twice in a row on its own result.
    """
    if iterations >= MANY_ITERATIONS:
        return True
    length = len(steps) // iterations
    first, second = steps[:length], steps[length : 2 * length]
    made = {operation.id for operation in operations_in(first)}
    read = (flow for operation in operations_in(second) for flow in operation.inputs)
    is_needed = any(_kept_source(flow, aliases) in made for flow in read)
    has_calls = any(isinstance(step, Call) for step in first)
    return is_needed and (has_calls or iterations > 2)


def _merged(same: Sequence[Step], aliases: dict[str, str], inside: set[str]) -> Step:
    """Merge the same step of all iterations.

    Args:
        same: The step in each iteration.
        aliases: Gets the ids of the removed operations.
        inside: The ids of all operations in the loop.
    """
    first = same[0]
    times = sum(int(step.times) for step in same)
    if isinstance(first, Operation):
        later = [step for step in same[1:] if isinstance(step, Operation)]
        aliases.update({operation.id: first.id for operation in later})
        read = {(flow.source, flow.shape) for flow in first.inputs}
        flows = [f for o in later for f in o.inputs if (f.source, f.shape) not in read]
        carried = [replace(f, is_carried=_kept_source(f, aliases) in inside) for f in flows]
        return replace(first, inputs=(*first.inputs, *carried), times=times)
    calls = [step for step in same if isinstance(step, Call)]
    columns = zip(*(call.steps for call in calls), strict=True)
    return replace(
        first,
        times=times,
        macs=sum(int(call.macs) for call in calls),
        activation_bytes=sum(int(call.activation_bytes) for call in calls),
        steps=tuple(_merged(column, aliases, inside) for column in columns),
    )


def _kept_source(flow: Flow, aliases: dict[str, str]) -> str:
    """Return the id of the operation that replaced the source of a flow, or that of the source."""
    source = flow.source
    while source in aliases:
        source = aliases[source]
    return source


def _renumbered(steps: Iterable[Step], ids: dict[str, str]) -> Iterator[Step]:
    """Yield the steps with new ids."""
    for step in steps:
        if isinstance(step, Call):
            yield replace(step, steps=tuple(_renumbered(step.steps, ids)))
        else:
            yield replace(step, id=ids[step.id], inputs=_renumbered_flows(step.inputs, ids))


def _renumbered_flows(flows: Iterable[Flow], ids: dict[str, str]) -> tuple[Flow, ...]:
    """Return the flows with new ids, without parameters, constants and duplicates.

    Of a flow from inside and one from outside of the loop that became equal, the first counts.
    """
    distinct: dict[tuple[str, object, object], Flow] = {}
    for flow in flows:
        if flow.source != NOWHERE:
            source = ids[flow.source]
            distinct.setdefault((source, flow.result, flow.shape), replace(flow, source=source))
    return tuple(distinct.values())
