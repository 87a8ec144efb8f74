"""Examples of sizes that a model accepts: they rule out most conditions without asking z3."""

import random
from collections.abc import Iterator, Mapping, Sequence

from shapezoo.proving.formulas.evaluating import compiled
from shapezoo.proving.formulas.solving import Formula
from shapezoo.proving.limits.candidates import Term

RANGE = 192
"""So many sizes of each axis are tried around a start."""

STARTS = 4

RANDOM = 200


class Points:
    """Sizes for which formulas hold, and more whenever z3 finds some.

    Args:
        axes: The names of the axes.
        formulas: What holds for them.
        starts: Some such sizes, to look around at.
    """

    def __init__(
        self,
        axes: Sequence[str],
        formulas: Sequence[Formula],
        starts: Sequence[Mapping[str, int]],
    ) -> None:
        self.axes = axes
        self.all: list[Mapping[str, int]] = []
        self._tests = [compiled(formula, axes) for formula in formulas]
        self._seen: set[tuple[int, ...]] = set()
        for sizes in starts[:STARTS]:
            for near in _around(axes, sizes):
                self.add(near)

    def add(self, sizes: Mapping[str, int]) -> None:
        """Add sizes, if they are such."""
        key = tuple(sizes[axis] for axis in self.axes)
        if key not in self._seen:
            self._seen.add(key)
            if all(test(sizes) for test in self._tests):
                self.all.append(dict(sizes))

    def values(self, term: Term) -> list[int]:
        """Return all values of a term, in order."""
        return sorted({term.of(sizes) for sizes in self.all})


def _around(axes: Sequence[str], sizes: Mapping[str, int]) -> Iterator[Mapping[str, int]]:
    """Yield sizes that differ from these in one axis, and some others."""
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
