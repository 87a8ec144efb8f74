"""Loops: their rounds look alike, and become one."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from shapezoo.tracing.records import Call, Flow, Operation

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
    kept = [operation.id for operation in (*inputs, *_operations(folded))]
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
        replace(s, steps=_folded(s.steps, aliases)) if isinstance(s, Call) else s for s in steps
    ]
    looks = [_look(step) for step in inner]
    folded: list[Step] = []
    start = 0
    while start < len(inner):
        length, rounds = _loop(looks, start)
        end = start + length * rounds
        rest = range(start, start + length)
        folded += [_merged(inner[first:end:length], aliases) for first in rest]
        start = end
    return tuple(folded)


def _look(step: Step) -> object:
    """What the rounds of a loop have in common."""
    if isinstance(step, Operation):
        return step.name, step.outputs, step.times
    inner = tuple(_look(s) for s in step.steps)
    return step.path, step.inputs, step.outputs, step.times, step.has_failed, inner


def _loop(looks: Sequence[object], start: int) -> tuple[int, int]:
    """The length of the rounds that begin here, and their number."""
    for length in range(1, LONGEST_ROUND + 1):
        first = looks[start : start + length]
        end = start + length
        while looks[end : end + length] == first:
            end += length
        if end > start + length:
            return length, (end - start) // length
    return 1, 1


def _merged(rounds: Sequence[Step], aliases: dict[str, str]) -> Step:
    """The step that stands for those of all rounds."""
    first = rounds[0]
    times = sum(int(step.times) for step in rounds)
    if isinstance(first, Operation):
        operations = [step for step in rounds if isinstance(step, Operation)]
        aliases.update({operation.id: first.id for operation in operations[1:]})
        carried = [replace(flow, is_carried=True) for o in operations[1:] for flow in o.inputs]
        return replace(first, inputs=(*first.inputs, *carried), times=times)
    calls = [step for step in rounds if isinstance(step, Call)]
    return replace(
        first,
        times=times,
        macs=sum(int(call.macs) for call in calls),
        activation_bytes=sum(int(call.activation_bytes) for call in calls),
        steps=tuple(_merged(same, aliases) for same in zip(*(c.steps for c in calls), strict=True)),
    )


def _operations(call: Call) -> Iterator[Operation]:
    """All operations in a call, in order."""
    for step in call.steps:
        if isinstance(step, Operation):
            yield step
        else:
            yield from _operations(step)


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
    """The flows with new ids; one that is carried is new only if it comes from elsewhere."""
    found: dict[tuple[str, object], Flow] = {}
    for flow in flows:
        source = ids[flow.source]
        found.setdefault((source, flow.shape), replace(flow, source=source))
    return tuple(found.values())
