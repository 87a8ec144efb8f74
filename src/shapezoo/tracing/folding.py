"""Loops: their rounds look alike, and become one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from shapezoo.tracing.records import NOWHERE, Call, Flow, Operation

LONGEST_ROUND = 64
"""How many steps a round may have, to be found."""

Step = Call | Operation


def fold(
    inputs: Sequence[Operation], call: Call, outputs: Sequence[Flow]
) -> tuple[tuple[Operation, ...], Call, tuple[Flow, ...]]:
    """What was recorded, with the first round of each loop for all of its rounds.

    Operations are numbered anew, so that traces with more or fewer rounds are alike.
    """
    aliases: dict[str, str] = {}
    folded = replace(call, steps=_folded(call.steps, aliases))
    kept = [operation.id for operation in (*inputs, *_operations([folded]))]
    ids = {old: str(number) for number, old in enumerate(kept)}
    for old, standing_for in reversed(aliases.items()):  # the outer loops were folded last
        ids[old] = ids[standing_for]
    return (
        tuple(replace(operation, id=ids[operation.id]) for operation in inputs),
        _renamed(folded, ids),
        _renamed_flows(outputs, ids),
    )


def _folded(steps: Sequence[Step], aliases: dict[str, str]) -> tuple[Step, ...]:
    """The steps, with one for those of all rounds, and the aliases of those that are gone."""
    inner = [
        replace(step, steps=_folded(step.steps, aliases)) if isinstance(step, Call) else step
        for step in steps
    ]
    return tuple(_without_loops(inner, aliases))


def _without_loops(steps: list[Step], aliases: dict[str, str]) -> list[Step]:
    """The steps with the widest loop in one round, and likewise before, in and after it."""
    start, length, rounds = _widest_loop([_look(step) for step in steps])
    if rounds == 1:
        return steps
    end = start + length * rounds
    inside = {operation.id for operation in _operations(steps[start:end])}
    merged = [
        _merged(steps[first:end:length], aliases, inside) for first in range(start, start + length)
    ]
    before, after = steps[:start], steps[end:]
    return [part for s in (before, merged, after) for part in _without_loops(s, aliases)]


def _look(step: Step) -> object:
    """What the rounds of a loop have in common."""
    if isinstance(step, Operation):
        return step.name, [flow.shape for flow in step.inputs], step.outputs, step.times
    inner = [_look(s) for s in step.steps]
    return step.path, step.inputs, step.outputs, step.times, step.has_failed, inner


def _widest_loop(looks: Sequence[object]) -> tuple[int, int, int]:
    """Where the loop with most steps begins, how long its rounds are, and how many."""
    widest = 0, 0, 1
    for length in range(1, min(LONGEST_ROUND, len(looks) // 2) + 1):
        alike = 0  # steps that are as those a round later
        for end in range(length, len(looks) + 1):
            if end < len(looks) and looks[end - length] == looks[end]:
                alike += 1
                continue
            rounds = alike // length + 1
            if rounds > 1 and length * rounds > widest[1] * widest[2]:
                widest = end - length - alike, length, rounds
            alike = 0
    return widest


def _merged(rounds: Sequence[Step], aliases: dict[str, str], inside: set[str]) -> Step:
    """The step that stands for those of all rounds.

    Args:
        rounds: The steps.
        aliases: Takes the ids of those that are gone.
        inside: The ids of all operations in the loop.
    """
    first = rounds[0]
    times = sum(int(step.times) for step in rounds)
    if isinstance(first, Operation):
        later = [step for step in rounds[1:] if isinstance(step, Operation)]
        aliases.update({operation.id: first.id for operation in later})
        flows = [flow for operation in later for flow in operation.inputs]
        carried = [replace(flow, is_carried=flow.source in inside) for flow in flows]
        return replace(first, inputs=(*first.inputs, *carried), times=times)
    calls = [step for step in rounds if isinstance(step, Call)]
    return replace(
        first,
        times=times,
        macs=sum(int(call.macs) for call in calls),
        activation_bytes=sum(int(call.activation_bytes) for call in calls),
        steps=tuple(
            _merged(same, aliases, inside)
            for same in zip(*(call.steps for call in calls), strict=True)
        ),
    )


def _operations(steps: Iterable[Step]) -> Iterator[Operation]:
    """All operations in steps, in order."""
    for step in steps:
        if isinstance(step, Operation):
            yield step
        else:
            yield from _operations(step.steps)


def _renamed(call: Call, ids: dict[str, str]) -> Call:
    steps: list[Step] = []
    for step in call.steps:
        if isinstance(step, Call):
            steps.append(_renamed(step, ids))
        else:
            inputs = _renamed_flows(step.inputs, ids)
            steps.append(replace(step, id=ids[step.id], inputs=inputs))
    return replace(call, steps=tuple(steps))


def _renamed_flows(flows: Iterable[Flow], ids: dict[str, str]) -> tuple[Flow, ...]:
    """The flows with new ids, each once: what is carried from the same place is nothing new."""
    found: dict[tuple[str, object], Flow] = {}
    for flow in flows:
        if flow.source != NOWHERE:
            source = ids[flow.source]
            found.setdefault((source, flow.shape), replace(flow, source=source))
    return tuple(found.values())
