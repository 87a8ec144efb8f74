"""Examples of sizes that a model accepts: they rule out most conditions without asking z3."""

import random
from collections.abc import Iterator, Sequence

from shapezoo.proving.findings import Sizes
from shapezoo.proving.formulas.evaluating import compiled
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.limits.candidates import Term

RANGE = 192
"""How many sizes of each axis are tried around a start."""

STARTS = 4
"""How many starts are used."""

RANDOM = 200
"""How many pairs of random sizes are tried for each start."""


class Points:
    """Sizes that satisfy some formulas; more can be added.

    Args:
        axes: The names of the axes.
        formulas: The formulas.
        starts: Some sizes that satisfy them, around which to search.
    """

    def __init__(
        self, axes: Sequence[str], formulas: Sequence[Formula], starts: Sequence[Sizes]
    ) -> None:
        self.axes = axes
        self.all: list[Sizes] = []
        self._tests = [compiled(formula, axes) for formula in formulas]
        self._tried: set[tuple[int, ...]] = set()
        for start in starts[:STARTS]:
            for sizes in _around(axes, start):
                self.add(sizes)

    def add(self, sizes: Sizes) -> None:
        """Add sizes, if they satisfy all formulas."""
        key = tuple(sizes[axis] for axis in self.axes)
        if key not in self._tried:
            self._tried.add(key)
            if all(test(sizes) for test in self._tests):
                self.all.append(dict(sizes))

    def values(self, term: Term) -> list[int]:
        """Return all values of a term, in ascending order."""
        return sorted({term.of(sizes) for sizes in self.all})


def _around(axes: Sequence[str], sizes: Sizes) -> Iterator[Sizes]:
    """Yield sizes that differ from these in one axis, and some random ones."""
    yield sizes
    numbers = random.Random(0)
    for axis in axes:
        first = max(1, sizes[axis] - RANGE // 4)
        for size in {*range(1, RANGE // 2), *range(first, first + RANGE)}:
            yield {**sizes, axis: size}
    for _ in range(RANDOM):
        most = numbers.choice((4, 16, 96))
        yield {**sizes, **{axis: numbers.randint(1, most) for axis in axes}}
        yield {**sizes, **dict.fromkeys(axes, numbers.randint(1, RANGE))}
