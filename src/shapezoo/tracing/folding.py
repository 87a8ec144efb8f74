"""Loops: their rounds look alike, and become one."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from shapezoo.tracing.records import NOWHERE, Call, Flow, Operation

LONGEST_ROUND = 64
"""How many steps a round may have, to be found."""

MANY_ROUNDS = 4
"""How many rounds are a loop, even if none needs the one before."""

Step = Call | Operation


def fold(
    inputs: Sequence[Operation], call: Call, outputs: Sequence[Flow]
) -> tuple[tuple[Operation, ...], Call, tuple[Flow, ...]]:
    """What was recorded, with the first round of each loop for all of its rounds.

    Operations are numbered anew, so that traces with more or fewer rounds are alike.
    """
    aliases: dict[str, str] = {}
    folded = replace(call, steps=_folded(call.steps, aliases))
    kept = [operation.id for operation in (*inputs, *folded.operations())]
    ids = {old: str(number) for number, old in enumerate(kept)}
    for old, standing_for in reversed(aliases.items()):  # what stands for others may go later
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
    folded: list[Step] = []
    waiting = [inner]
    while waiting:
        part = waiting.pop()
        start, length, rounds = _widest_loop(part, aliases)
        if rounds == 1:
            folded += part
            continue
        end = start + length * rounds
        loop = part[start:end]
        inside = {operation.id for step in loop for operation in _operations(step)}
        merged = [_merged(loop[first::length], aliases, inside) for first in range(length)]
        waiting += [part[end:], merged, part[:start]]  # from last to first
    return tuple(folded)


def _look(step: Step) -> tuple[object, ...]:
    """What the rounds of a loop have in common."""
    if isinstance(step, Operation):
        return step.name, tuple(flow.shape for flow in step.inputs), step.outputs, step.times
    inner = tuple(map(_look, step.steps))
    return step.path, step.inputs, step.outputs, step.times, step.has_failed, inner


def _widest_loop(steps: Sequence[Step], aliases: dict[str, str]) -> tuple[int, int, int]:
    """Where the loop with most steps begins, how long its rounds are, and how many."""
    numbers: dict[object, int] = {}
    looks = [numbers.setdefault(_look(step), len(numbers)) for step in steps]
    widest = 0, 0, 1
    for length in range(1, min(LONGEST_ROUND, len(looks) // 2) + 1):
        alike = 0  # steps that are as those a round later
        for end in range(length, len(looks) + 1):
            if end < len(looks) and looks[end - length] == looks[end]:
                alike += 1
                continue
            start, rounds = end - length - alike, alike // length + 1
            is_wider = rounds > 1 and length * rounds > widest[1] * widest[2]
            if is_wider and _is_loop(steps[start : start + length * rounds], rounds, aliases):
                widest = start, length, rounds
            alike = 0
    return widest


def _is_loop(steps: Sequence[Step], rounds: int, aliases: dict[str, str]) -> bool:
    """Whether rounds that are alike are a loop: they are many, or the second needs the first.

    Code often says the same twice or thrice, of a shared encoder for instance. Of operations
    alone it does even where the second needs the first.
    """
    if rounds >= MANY_ROUNDS:
        return True
    length = len(steps) // rounds
    first = {operation.id for step in steps[:length] for operation in _operations(step)}
    second = (o for step in steps[length : 2 * length] for o in _operations(step))
    is_needed = any(_kept(flow, aliases) in first for o in second for flow in o.inputs)
    has_calls = any(isinstance(step, Call) for step in steps[:length])
    return is_needed and (has_calls or rounds > 2)


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
        known = {(flow.source, flow.shape) for flow in first.inputs}
        flows = [f for o in later for f in o.inputs if (f.source, f.shape) not in known]
        carried = [replace(flow, is_carried=_kept(flow, aliases) in inside) for flow in flows]
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


def _kept(flow: Flow, aliases: dict[str, str]) -> str:
    """The id of the operation that stands for the source of a flow."""
    source = flow.source
    while source in aliases:
        source = aliases[source]
    return source


def _operations(step: Step) -> Iterable[Operation]:
    return [step] if isinstance(step, Operation) else step.operations()


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
    found: dict[tuple[str, object, object], Flow] = {}
    for flow in flows:
        if flow.source != NOWHERE:
            source = ids[flow.source]
            found.setdefault((source, flow.result, flow.shape), replace(flow, source=source))
    return tuple(found.values())
