"""Short conditions that some sizes meet and others do not, suggested by examples."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

Sizes = Mapping[str, int]

DIVISORS = (*range(2, 65), 72, 80, 96, 112, 128, 160, 192, 224, 256)

MOST_REMAINDERS = 8
"""How many numbers a condition lists at most."""

LARGEST_SMALL = 16
"""Up to here, small sizes may be exceptions of a pattern."""


@dataclass(frozen=True)
class Term:
    """A size, or a number that is made of two.

    Attributes:
        left: The name of an axis.
        operator: ``-``, ``*`` or ``+``; empty for the size of one axis.
        right: The name of another axis, if there is an operator.
    """

    left: str
    operator: str = ""
    right: str = ""

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}" if self.operator else self.left

    def of(self, sizes: Sizes) -> int:
        """Return its value."""
        left, right = sizes[self.left], sizes.get(self.right, 0)
        return left * right if self.operator == "*" else left + right * _SIGNS[self.operator]

    def compared(self, operator: str, number: int) -> str:
        """Return the text of a comparison with a number; ``a >= b + 3`` rather than ``a - b``."""
        if self.operator != "-":
            return f"{self} {operator} {number}"
        shift = f" {'-' if number < 0 else '+'} {abs(number)}" if number else ""
        return f"{self.left} {operator} {self.right}{shift}"

    @property
    def remainder(self) -> str:
        """The text of its remainder, without the divisor."""
        return f"({self}) %" if self.operator in ("-", "+") else f"{self} %"


_SIGNS = {"": 0, "+": 1, "-": -1}


def conditions(term: Term, values: Sequence[int], other: int) -> Iterator[str]:
    """Yield conditions on a term that these values meet, but not the other one.

    Args:
        term: The term.
        values: Some values that must meet them, in order.
        other: A value that must not.
    """
    if not values or other in values:
        return
    least, most = values[0], values[-1]
    if least == most:
        yield term.compared("==", least)
    elif not term.operator and len(values) <= min(MOST_REMAINDERS, most - least):
        yield f"{term} in {tuple(values)}"
    if term.operator in ("", "-"):
        if other < least:
            yield term.compared(">=", least)
        if other > most:
            yield term.compared("<=", most)
    yield from filter(None, [_remainders(term, values, other)])
    if not term.operator:
        yield from _with_exceptions(term, values, other)
    if term.operator in ("", "-") and least < other < most:
        yield term.compared("!=", other)


def _remainders(term: Term, values: Sequence[int], other: int) -> str | None:
    """Return the condition that leaves the fewest remainders, by the least divisor."""
    best: tuple[float, int, set[int]] | None = None
    for divisor in DIVISORS:
        counts = Counter(value % divisor for value in values)
        found = {*counts}
        most = 1 if term.operator else MOST_REMAINDERS
        is_short = len(found) <= most or len(found) == divisor - 1
        is_shown = min(counts.values()) > 1  # or it says no more than which values there are
        if other % divisor in found or not is_short or not is_shown:
            continue
        if best is None or len(found) / divisor < best[0]:
            best = len(found) / divisor, divisor, found
    return _remainder_text(term, best[1], sorted(best[2])) if best else None


def _remainder_text(term: Term, divisor: int, remainders: Sequence[int]) -> str:
    text = f"{term.remainder} {divisor}"
    if len(remainders) == 1:
        return f"{text} == {remainders[0]}"
    if len(remainders) == divisor - 1:
        missing = next(iter({*range(divisor)} - {*remainders}))
        return f"{text} != {missing}"
    return f"{text} in {tuple(remainders)}"


def _with_exceptions(term: Term, values: Sequence[int], other: int) -> Iterator[str]:
    """Yield patterns that hold from some size on, and of some smaller sizes too."""
    small = [value for value in values if value <= LARGEST_SMALL]
    for count in range(1, len(small) + 1):
        exceptions, rest = values[:count], values[count:]
        if other <= exceptions[-1] or not rest:
            continue
        if text := _remainders(term, rest, other):
            fits = [value for value in exceptions if not _fits(text, term, value)]
            is_all = exceptions == list(range(1, count + 1))
            if fits and (count <= MOST_REMAINDERS or is_all):
                yield f"{_exceptions_text(term, fits, count if is_all else 0)} or {text}"
                return


def _fits(text: str, term: Term, value: int) -> bool:
    return bool(eval(text, {}, {term.left: value}))


def _exceptions_text(term: Term, exceptions: Sequence[int], largest: int) -> str:
    if len(exceptions) == 1:
        return f"{term} == {exceptions[0]}"
    return f"{term} <= {largest}" if largest else f"{term} in {tuple(exceptions)}"


def of_pairs(left: str, right: str, values: Sequence[Sizes], other: Sizes) -> Iterator[str]:
    """Yield conditions on two axes that these sizes meet, but not the other ones."""
    for operator in ("-", "*", "+"):
        term = Term(left, operator, right)
        yield from conditions(term, sorted({term.of(sizes) for sizes in values}), term.of(other))
    for one, two in ((left, right), (right, left)):
        if all(sizes[one] % sizes[two] == 0 for sizes in values) and other[one] % other[two]:
            yield f"{one} % {two} == 0"
        factor = math.gcd(*(sizes[one] for sizes in values))
        if factor > 1 and all(sizes[one] == factor * sizes[two] for sizes in values):
            yield f"{one} == {factor} * {two}"
