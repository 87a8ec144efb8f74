"""Suggest short conditions that some sizes meet and others do not, from examples."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shapezoo.proving.findings import Sizes

DIVISORS = (*range(2, 65), 72, 80, 96, 112, 128, 160, 192, 224, 256)

MOST_REMAINDERS = 8
"""How many numbers a condition may list."""

LARGEST_SMALL = 16
"""The largest size that may be an exception to a pattern."""


@dataclass(frozen=True)
class Term:
    """A size, or a combination of two sizes.

    Attributes:
        left: The name of an axis.
        operator: ``-``, ``*`` or ``+``; empty for the size of one axis.
        right: The name of the other axis, if there is an operator.
    """

    left: str
    operator: str = ""
    right: str = ""

    def __str__(self) -> str:
        return f"{self.left} {self.operator} {self.right}" if self.operator else self.left

    def of(self, sizes: Sizes) -> int:
        """Return its value at some sizes."""
        left, right = sizes[self.left], sizes.get(self.right, 0)
        return left * right if self.operator == "*" else left + right * _SIGNS[self.operator]

    def compared(self, operator: str, number: int) -> str:
        """Return a comparison with a number, ``a >= b + 3`` instead of ``a - b >= 3``."""
        if self.operator != "-":
            return f"{self} {operator} {number}"
        shift = f" {'-' if number < 0 else '+'} {abs(number)}" if number else ""
        return f"{self.left} {operator} {self.right}{shift}"


_SIGNS = {"": 0, "+": 1, "-": -1}


def conditions(term: Term, accepted: Sequence[Sizes], point: Sizes) -> Iterator[str]:
    """Yield conditions on a term that accepted sizes meet, but not the refused ones.

    Args:
        term: The term.
        accepted: Accepted sizes.
        point: The refused sizes.
    """
    values, refused = sorted({term.of(sizes) for sizes in accepted}), term.of(point)
    if not values or refused in values:
        return
    least, most = values[0], values[-1]
    if least == most:
        yield term.compared("==", least)
    elif not term.operator and len(values) <= min(MOST_REMAINDERS, most - least):
        yield f"{term} in {tuple(values)}"
    if term.operator in ("", "-"):
        if refused < least:
            yield term.compared(">=", least)
        if refused > most:
            yield term.compared("<=", most)
    yield from filter(None, [_remainders(term, values, refused)])
    if not term.operator:
        yield from _with_exceptions(term, values, refused)
    if term.operator in ("", "-") and least < refused < most:
        yield term.compared("!=", refused)


def _remainders(term: Term, values: Sequence[int], refused: int) -> str | None:
    """Return the condition that allows the smallest share of remainders, for the least divisor."""
    fitting: list[tuple[int, list[int]]] = []
    for divisor in DIVISORS:
        counts = Counter(value % divisor for value in values)
        most = 1 if term.operator else MOST_REMAINDERS
        is_short = len(counts) <= most or len(counts) == divisor - 1
        # a remainder of one value alone would only restate that value
        is_pattern = min(counts.values()) > 1
        if is_short and is_pattern and refused % divisor not in counts:
            fitting.append((divisor, sorted(counts)))
    if not fitting:
        return None
    return _remainder_text(term, *min(fitting, key=lambda pair: len(pair[1]) / pair[0]))


def _remainder_text(term: Term, divisor: int, remainders: Sequence[int]) -> str:
    text = f"({term}) % {divisor}" if term.operator in ("-", "+") else f"{term} % {divisor}"
    if len(remainders) == 1:
        return f"{text} == {remainders[0]}"
    if len(remainders) == divisor - 1:
        missing = next(iter({*range(divisor)} - {*remainders}))
        return f"{text} != {missing}"
    return f"{text} in {tuple(remainders)}"


def _with_exceptions(term: Term, values: Sequence[int], refused: int) -> Iterator[str]:
    """Yield a pattern that holds from some size on, joined with some smaller sizes."""
    small = [value for value in values if value <= LARGEST_SMALL]
    for count in range(1, len(small) + 1):
        exceptions, rest = values[:count], values[count:]
        if refused <= exceptions[-1] or not rest:
            continue
        if text := _remainders(term, rest, refused):
            listed = [size for size in exceptions if not eval(text, {}, {term.left: size})]
            is_all = exceptions == list(range(1, count + 1))
            if listed and (count <= MOST_REMAINDERS or is_all):
                yield f"{_exceptions_text(term, listed, count if is_all else 0)} or {text}"
                return


def _exceptions_text(term: Term, exceptions: Sequence[int], largest: int) -> str:
    if len(exceptions) == 1:
        return f"{term} == {exceptions[0]}"
    return f"{term} <= {largest}" if largest else f"{term} in {tuple(exceptions)}"


def of_pairs(left: str, right: str, accepted: Sequence[Sizes], refused: Sizes) -> Iterator[str]:
    """Yield conditions on two axes that accepted sizes meet, but not the refused ones."""
    for operator in ("-", "*", "+"):
        yield from conditions(Term(left, operator, right), accepted, refused)
    for many, few in ((left, right), (right, left)):
        is_multiple = all(sizes[many] % sizes[few] == 0 for sizes in accepted)
        if is_multiple and refused[many] % refused[few]:
            yield f"{many} % {few} == 0"
        factor = math.gcd(*(sizes[many] for sizes in accepted))
        if factor > 1 and all(sizes[many] == factor * sizes[few] for sizes in accepted):
            yield f"{many} == {factor} * {few}"
