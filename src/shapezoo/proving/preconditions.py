"""Readable conditions that say which sizes a model accepts."""

import itertools
import keyword
from collections.abc import Iterator, Sequence

import sympy
import z3

from shapezoo.contracts import ContractError
from shapezoo.contracts.conditions import Condition
from shapezoo.proving import solving
from shapezoo.proving.exploring import Exploration, Path
from shapezoo.proving.printing import as_python
from shapezoo.proving.solving import Formula

LARGEST = 1 << 14
"""Limits are looked for up to here."""

DIVISORS = (64, 48, 32, 28, 24, 16, 14, 12, 10, 9, 8, 7, 6, 5, 4, 3, 2)


def preconditions(exploration: Exploration) -> tuple[tuple[Condition, ...], bool]:
    """What sizes must meet to be accepted, and whether all that meet it are.

    Each condition follows from being accepted, as z3 shows; sizes of which nothing is known
    count as accepted. That all of them together say just which sizes are accepted, z3 shows too,
    or it is not claimed.

    Args:
        exploration: What is known.

    Raises:
        WorkOverError: The work was over before they were found.
    """
    refused = exploration.ending("raises", "breaks")
    is_closed = not exploration.gaps()
    if not refused:
        return (), is_closed
    known = [exploration.domain, *_sampled(exploration)]
    known += [z3.Not(path.region) for path in exploration.ending("void")]
    accepted = [*known, *(z3.Not(path.region) for path in refused)]
    if solving.is_possible(*accepted) is False:
        return (), False
    axes = [axis for axis in exploration.axes if not keyword.iskeyword(axis)]
    candidates = itertools.chain(_of_axes(axes, accepted), _of_pairs(axes, accepted))
    found = _needed(list(map(Condition, candidates)), known)
    met = [*known, *map(_formula, found)]
    whole = _outside_box(z3.Or(*(path.region for path in refused)), axes, met)
    if whole is not None:
        found.append(whole)
    for path in refused if whole is None else ():
        met = [*known, *map(_formula, found)]
        if solving.is_possible(*met, path.region) is not False and (
            condition := _outside_box(path.region, axes, met) or _against(path, met)
        ):
            found.append(condition)
    found = _needed(found, known)
    met = [*known, *map(_formula, found)]
    is_exact = all(solving.is_possible(*met, path.region) is False for path in refused)
    told = [condition for condition in found if not exploration.sampled.keys() & {*condition.axes}]
    return tuple(told), is_exact and is_closed


def _sampled(exploration: Exploration) -> list[Formula]:
    return [
        z3.Or(*(z3.Int(axis) == size for size in sizes))
        for axis, sizes in exploration.sampled.items()
    ]


def _of_axes(axes: Sequence[str], accepted: Sequence[Formula]) -> Iterator[str]:
    """Conditions on single axes that follow from being accepted."""
    for axis in axes:
        size = z3.Int(axis)
        least = solving.least(size, *accepted, most=LARGEST)
        if least is None:
            continue
        if solving.follows(size == least, *accepted):
            yield f"{axis} == {least}"
            continue
        if least > 1:
            yield f"{axis} >= {least}"
        most = solving.greatest(size, *accepted, most=LARGEST)
        if most is not None:
            yield f"{axis} <= {most}"
        for divisor in DIVISORS:
            if least % divisor == 0 and solving.follows(size % divisor == 0, *accepted):
                yield f"{axis} % {divisor} == 0"
                break


def _of_pairs(axes: Sequence[str], accepted: Sequence[Formula]) -> Iterator[str]:
    """Conditions on two axes that follow from being accepted."""
    for first, second in itertools.combinations(axes, 2):
        left, right = z3.Int(first), z3.Int(second)
        if solving.follows(left == right, *accepted):
            yield f"{first} == {second}"
            continue
        for one, other in ((first, second), (second, first)):
            if solving.follows(z3.Int(one) >= z3.Int(other), *accepted):
                yield f"{one} >= {other}"
            if solving.follows(z3.Int(one) % z3.Int(other) == 0, *accepted):
                yield f"{one} % {other} == 0"


def _outside_box(
    refused: Formula, axes: Sequence[str], known: Sequence[Formula]
) -> Condition | None:
    """A condition against refused sizes, if they are all between some limits of each axis."""
    inside, outside = [], []
    for axis in axes:
        size = z3.Int(axis)
        least = solving.least(size, *known, refused, most=LARGEST)
        most = solving.greatest(size, *known, refused, most=LARGEST)
        if least is not None and least == most:
            inside.append(size == least)
            outside.append(f"{axis} != {least}" if least > 1 else f"{axis} > 1")
            continue
        if least is not None and not solving.follows(size >= least, *known):
            inside.append(size >= least)
            outside.append(f"{axis} < {least}")
        if most is not None and not solving.follows(size <= most, *known):
            inside.append(size <= most)
            outside.append(f"{axis} > {most}")
    if inside and solving.follows(refused, *known, *inside):
        return Condition(" or ".join(outside))
    return None


def _against(path: Path, known: Sequence[Formula]) -> Condition | None:
    """A condition that refuses the sizes of a path, from what was asked of them there."""
    guards = list(path.run.guards)
    for guard in sorted(guards, key=lambda guard: -len(str(guard))):
        others = [solving.translate(other) for other in guards if other is not guard]
        if solving.follows(solving.translate(guard), *known, *others):
            guards.remove(guard)
    try:
        return Condition(as_python(sympy.Or(*map(sympy.Not, guards))))
    except ContractError:
        return None


def _needed(conditions: Sequence[Condition], known: Sequence[Formula]) -> list[Condition]:
    """The conditions without those that follow from the others."""
    kept = list(conditions)
    for condition in reversed(conditions):
        others = [_formula(other) for other in kept if other is not condition]
        if solving.follows(_formula(condition), *known, *others):
            kept.remove(condition)
    return kept


def _formula(condition: Condition) -> Formula:
    return solving.parse(condition.text)
