"""Sizes that meet conditions."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shapezoo.contracts import ContractError

Sizes = dict[str, int]

REACH = 4096
"""The largest size that is tried where none is given."""

TRIES = (8, 64, 512)
"""How many sizes of each axis are tried, in turn, for conditions on several axes."""

MOST = 1 << 18
"""How many combinations of sizes are tried."""


@dataclass(frozen=True)
class Demand:
    """A condition on the sizes of axes.

    Attributes:
        text: The condition.
        axes: The names of the axes.
        test: Whether sizes of these axes meet it.
    """

    text: str
    axes: frozenset[str]
    test: Callable[[Sizes], bool]

    def holds(self, sizes: Sizes) -> bool:
        """Whether sizes meet it; where it cannot be computed, they do not."""
        try:
            return self.test(sizes)
        except ArithmeticError:
            return False


def solved(
    wanted: Mapping[str, Sequence[int] | None], demands: Sequence[Demand]
) -> list[list[Sizes]]:
    """Sizes that meet all demands, the smallest first.

    They come in groups of axes that depend on one another; any of one group goes with any of
    another.

    Args:
        wanted: The sizes of each axis to choose from; None for any.
        demands: The conditions on them.

    Raises:
        ContractError: None were found.
    """
    groups: list[list[Sizes]] = []
    rest = list(wanted)
    while rest:
        group = {rest[0]}
        while more := {a for d in demands if d.axes & group for a in d.axes} - group:
            group |= more
        inside = [demand for demand in demands if demand.axes & group]
        groups.append(_of_group({axis: wanted[axis] for axis in rest if axis in group}, inside))
        rest = [axis for axis in rest if axis not in group]
    return groups


def _of_group(wanted: Mapping[str, Sequence[int] | None], demands: Sequence[Demand]) -> list[Sizes]:
    """The combinations of sizes that meet all demands."""
    for most in TRIES:
        few = {axis: _alone(axis, sizes, demands, most) for axis, sizes in wanted.items()}
        grid = itertools.islice(itertools.product(*few.values()), MOST)
        tried = (dict(zip(few, sizes, strict=True)) for sizes in grid)
        found = [sizes for sizes in tried if all(demand.holds(sizes) for demand in demands)]
        if found:
            return sorted(found, key=lambda sizes: sum(sizes.values()))
    texts = " and ".join(demand.text for demand in demands) or "no conditions"
    given = "".join(f"; {axis} is one of {list(s)}" for axis, s in wanted.items() if s is not None)
    raise ContractError(
        f"no sizes of {', '.join(wanted)} up to {REACH} were found with {texts}{given}"
    )


def _alone(
    axis: str, sizes: Sequence[int] | None, demands: Sequence[Demand], most: int
) -> list[int]:
    """Sizes of an axis that meet the demands on it alone: those that are given, or the least."""
    own = [demand for demand in demands if demand.axes == {axis}]
    candidates = range(1, REACH + 1) if sizes is None else sizes
    good = (size for size in candidates if all(demand.holds({axis: size}) for demand in own))
    return list(itertools.islice(good, REACH if sizes is not None else most))
