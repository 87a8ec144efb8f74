"""Find sizes that meet conditions.

The smallest sizes of each axis are tried in all combinations. That takes no solver, and hypothesis
gets a list from which it can draw, the smallest first. To keep the combinations few, axes that no
condition connects are treated apart, and each axis is first reduced to sizes that meet the
conditions on it alone.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shapezoo.contracts import Axis, Condition, ContractError
from shapezoo.contracts.examples.arguments import size_of

Sizes = dict[str, int]

LARGEST = 4096
"""The largest size that is tried if none is given."""

TRIES = (8, 64, 512)
"""How many sizes of each axis are tried, one number after the other until one suffices."""

MOST_COMBINATIONS = 1 << 18
"""How many combinations of sizes are tried."""


@dataclass(frozen=True)
class ComputedSize:
    """The condition that an expression of axes, such as ``height//2``, is a valid size.

    Attributes:
        axis: The axis with the expression.
        values: The values of parts in braces.
    """

    axis: Axis
    values: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The condition in Python's notation."""
        return f"{self.axis} >= 1"

    @property
    def axes(self) -> frozenset[str]:
        """The names of the axes in the expression."""
        return self.axis.needs

    def holds(self, sizes: Sizes) -> bool:
        """Whether the expression is a size for these sizes."""
        try:
            return size_of(self.axis, {**sizes, **self.values}) >= 1
        except (ArithmeticError, ContractError):  # not an integer, or negative
            return False


AnyCondition = Condition | ComputedSize


def solved(
    choices: Mapping[str, Sequence[int] | None], conditions: Sequence[AnyCondition]
) -> list[list[Sizes]]:
    """Return sizes that meet all conditions, the smallest first.

    They come in groups of axes that depend on each other; any sizes of one group can be combined
    with any of another.

    Args:
        choices: The sizes of each axis to choose from; None for any.
        conditions: The conditions.

    Raises:
        ContractError: No sizes were found.
    """
    groups: list[list[Sizes]] = []
    rest = list(choices)
    while rest:
        group = {rest[0]}
        while more := {a for c in conditions if group & {*c.axes} for a in c.axes} - group:
            group |= more
        inside = [condition for condition in conditions if group & {*condition.axes}]
        groups.append(_combined({axis: choices[axis] for axis in rest if axis in group}, inside))
        rest = [axis for axis in rest if axis not in group]
    return groups


def _combined(
    choices: Mapping[str, Sequence[int] | None], conditions: Sequence[AnyCondition]
) -> list[Sizes]:
    """Return the combinations of sizes that meet all conditions."""
    for most in TRIES:
        few = {axis: _alone(axis, sizes, conditions, most) for axis, sizes in choices.items()}
        grid = itertools.islice(itertools.product(*few.values()), MOST_COMBINATIONS)
        tried = (dict(zip(few, sizes, strict=True)) for sizes in grid)
        if good := [sizes for sizes in tried if all(c.holds(sizes) for c in conditions)]:
            return sorted(good, key=lambda sizes: sum(sizes.values()))
    texts = " and ".join(condition.text for condition in conditions) or "no conditions"
    given = "".join(f"; {axis} is one of {list(s)}" for axis, s in choices.items() if s is not None)
    raise ContractError(
        f"no sizes of {', '.join(choices)} up to {LARGEST} were found with {texts}{given}"
    )


def _alone(
    axis: str, choices: Sequence[int] | None, conditions: Sequence[AnyCondition], most: int
) -> list[int]:
    """Return sizes of an axis that meet the conditions on it alone: all, or the smallest."""
    own = [condition for condition in conditions if {*condition.axes} == {axis}]
    candidates = range(1, LARGEST + 1) if choices is None else choices
    good = (size for size in candidates if all(c.holds({axis: size}) for c in own))
    return list(itertools.islice(good, LARGEST if choices is not None else most))
