"""Bounds of the values in a tensor: whole numbers or symbols, and arithmetic on them.

A bound may be wide but never narrow: an index that seems to be in range is in range. Nothing here
asks about sizes, because a question would split a proof in two; where the result depends on a
sign that is not known, both cases are joined.
"""

import dataclasses
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import statically_known_true

Size = Any
"""A whole number, or a symbol of one."""

Bound = Any
"""A size, or None where it is not known."""


@dataclass(frozen=True, eq=False)
class Doubt:
    """Values that a narrow dtype held exactly only if they were within its limits.

    `UNREACHED` is another doubt: whether there are values at the bounds.

    Attributes:
        low: The least of the values.
        high: The greatest.
        least: The least whole number from which on the dtype is exact.
        most: The greatest.
        dtype: The dtype; None for the doubt whether bounds are reached.
    """

    low: Size
    high: Size
    least: int
    most: int
    dtype: torch.dtype | None

    @property
    def can_wrap(self) -> bool:
        """Whether larger values become smaller ones; floats keep their order when rounded."""
        return self.dtype is not None and not self.dtype.is_floating_point


UNREACHED = Doubt(0, 0, 0, 0, None)
"""There may be no values at the bounds, so what is out of bounds need not raise."""


@dataclass(frozen=True, eq=False)  # an == of symbols would ask
class ValueRange:
    """The bounds of values.

    Attributes:
        low: None of the values is less; None if that is not known.
        high: None of the values is greater; None if that is not known.
        from_caller: Whether there are also values of the caller's arguments among them, which are
            assumed to be valid and need not be within the bounds.
        doubts: What the bounds rest on.
    """

    low: Bound = None
    high: Bound = None
    from_caller: bool = False
    doubts: tuple[Doubt, ...] = ()

    @property
    def is_known(self) -> bool:
        """Whether both bounds are known."""
        return self.low is not None and self.high is not None

    @property
    def is_lost(self) -> bool:
        """Whether nothing is known."""
        return self.low is None and self.high is None and not self.from_caller

    @property
    def is_caller(self) -> bool:
        """Whether all values are those of the caller's arguments."""
        return self.low is None and self.high is None and self.from_caller

    @property
    def is_mask(self) -> bool:
        """Whether all values are 0 or 1."""
        return type(self.low) is type(self.high) is int and 0 <= self.low <= self.high <= 1

    @property
    def is_size(self) -> bool:
        """Whether all values are the same number, which may depend on sizes."""
        is_plain = self.is_known and not self.from_caller and not self.doubts
        return is_plain and known(self.low == self.high)

    @property
    def is_number(self) -> bool:
        """Whether all values are the same number, whatever the sizes."""
        return type(self.low) is int and self.low is self.high and not self.from_caller


LOST = ValueRange()
"""Nothing is known."""

CALLER = ValueRange(from_caller=True)
"""Values of the caller's arguments alone."""

BOOL = ValueRange(0, 1)


def of_number(value: object) -> ValueRange:
    """Return the bounds of one number; those of a fraction are the whole numbers around it."""
    if isinstance(value, int | torch.SymInt):
        number = int(value) if isinstance(value, bool) else value
        return ValueRange(number, number)
    if isinstance(value, float) and math.isfinite(value):
        low, high = math.floor(value), math.ceil(value)
        return ValueRange(low, low if low == high else high)
    return LOST


def known(condition: Any) -> bool:
    """Return whether a condition holds for all sizes on this path; asks nothing."""
    return bool(statically_known_true(condition))


def least(sizes: Sequence[Size]) -> Size:
    """Return the least of some sizes, as a symbol if need be."""
    found = sizes[0]
    for size in sizes[1:]:
        if not known(found <= size):
            found = size if known(size <= found) else torch.sym_min(found, size)
    return found


def greatest(sizes: Sequence[Size]) -> Size:
    """Return the greatest of some sizes, as a symbol if need be."""
    found = sizes[0]
    for size in sizes[1:]:
        if not known(found >= size):
            found = size if known(size >= found) else torch.sym_max(found, size)
    return found


def join(ranges: Sequence[ValueRange]) -> ValueRange:
    """Return the bounds of values that are each in one of some ranges."""
    bounded = [each for each in ranges if not each.is_caller]
    if not bounded:
        return CALLER if ranges else LOST
    lows, highs = [each.low for each in bounded], [each.high for each in bounded]
    low = None if None in lows else least(lows)
    high = None if None in highs else greatest(highs)
    if low is None and high is None:
        return LOST
    return ValueRange(low, high, any(r.from_caller for r in ranges), _doubts(ranges))


def add(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return the bounds of sums."""
    return _combined(left, right, _plus(left.low, right.low), _plus(left.high, right.high))


def negate(values: ValueRange) -> ValueRange:
    """Return the bounds of the values with the other sign."""
    return subtract(of_number(0), values)


def subtract(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return the bounds of differences."""
    return add(left, _mirrored(right))


def multiply(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return the bounds of products."""
    for factor, other in ((left, right), (right, left)):
        if factor.is_number:
            scaled = [end if end is None else end * factor.low for end in (other.low, other.high)]
            low, high = scaled if factor.low >= 0 else reversed(scaled)
            return _combined(left, right, low, high)
        if other.is_caller and factor.is_mask:
            return ValueRange(0, 0, from_caller=True)  # each is kept or set to 0, as by a mask
    if not (left.is_known and right.is_known):
        return LOST
    if known(left.low >= 0) and known(right.low >= 0):
        return _combined(left, right, left.low * right.low, left.high * right.high)
    ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    return _combined(left, right, least(ends), greatest(ends))


def floor_divide(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return the bounds of quotients, rounded down."""
    if not _is_positive(right):
        return LOST
    ends = [end if end is None else end // right.low for end in (left.low, left.high)]
    return _combined(left, right, *ends)


def divide(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return the whole numbers around quotients."""
    down, up = floor_divide(left, right), _mirrored(floor_divide(_mirrored(left), right))
    return dataclasses.replace(down, high=up.high) if down.is_known and up.is_known else LOST


def remainder(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return the bounds of remainders that have the sign of the divisor, as Python's do.

    They do not depend on whether a whole number was wrapped before. A float may be infinite.
    """
    doubts = [*(doubt for doubt in left.doubts if not doubt.can_wrap), *right.doubts]
    if left.is_lost or not _is_positive(right):
        return LOST
    return ValueRange(0, right.low - 1, doubts=tuple(doubts))


def absolute(values: ValueRange) -> ValueRange:
    """Return the bounds of absolute values."""
    if values.from_caller or not values.is_known:
        return LOST
    if known(values.low >= 0):
        return values
    return dataclasses.replace(values, low=0, high=greatest([-values.low, values.high]))


def add_up(values: ValueRange, count: Size, *, is_running: bool = False) -> ValueRange:
    """Return the bounds of sums.

    Args:
        values: The bounds of what is summed.
        count: How many values there are in each sum.
        is_running: Whether there are also sums of the first few of them.
    """
    if values.from_caller or not values.is_known:
        return LOST
    low, high = values.low * count, values.high * count
    if is_running:
        low = values.low if known(values.low >= 0) else least([values.low, low])
        high = values.high if known(values.high <= 0) else greatest([values.high, high])
    return dataclasses.replace(values, low=low, high=high)


def minimum(ranges: Sequence[ValueRange]) -> ValueRange:
    """Return the bounds of whole numbers that are each the least of one of each range."""
    bounded = [each for each in ranges if not each.is_caller]
    if len(bounded) < len(ranges) and all(
        each.low is not None and known(each.low >= 0) for each in bounded
    ):
        return CALLER  # not more than what is valid, and not less than 0
    if any(each.from_caller for each in ranges):
        return join(ranges)
    lows = [each.low for each in ranges]
    highs = [each.high for each in ranges if each.high is not None]
    low = None if None in lows else least(lows)
    return ValueRange(low, least(highs) if highs else None, doubts=_doubts(ranges))


def maximum(ranges: Sequence[ValueRange]) -> ValueRange:
    """Return the bounds of whole numbers that are each the greatest of one of each range."""
    return _mirrored(minimum([_mirrored(each) for each in ranges]))


def clamp(values: ValueRange, low: ValueRange | None, high: ValueRange | None) -> ValueRange:
    """Return the bounds of whole numbers between limits, which are None where there is none.

    Where the values may have been rounded, the limits alone are certain.
    """
    is_finite = all(doubt.dtype != torch.float16 for doubt in values.doubts)
    if values.doubts and is_finite and low and high and low.is_number and high.is_number:
        return ValueRange(min(low.low, high.low), high.low)
    if low is not None:
        values = maximum([values, low])
    return values if high is None else minimum([values, high])


def in_dtype(values: ValueRange, dtype: torch.dtype) -> ValueRange:
    """Return the bounds of values that were put into a dtype, which may round or wrap them."""
    if dtype == torch.bool:
        return BOOL
    if values.is_caller or dtype in (torch.int32, torch.int64):
        return values
    if not values.is_known or dtype not in _EXACT:
        return LOST
    low, high = _EXACT[dtype]
    if known(values.low >= low) and known(values.high <= high):
        return values
    doubt = Doubt(values.low, values.high, low, high, dtype)
    return dataclasses.replace(values, doubts=_unique([*values.doubts, doubt]))


_EXACT = {
    torch.bfloat16: (-(1 << 8), 1 << 8),
    torch.float16: (-(1 << 11), 1 << 11),
    torch.float32: (-(1 << 24), 1 << 24),
    torch.float64: (-(1 << 53), 1 << 53),
    torch.int8: (-(1 << 7), (1 << 7) - 1),
    torch.int16: (-(1 << 15), (1 << 15) - 1),
    torch.uint8: (0, (1 << 8) - 1),
}
"""The whole numbers that a dtype holds exactly; int32 and int64 are assumed to be wide enough."""


def _combined(left: ValueRange, right: ValueRange, low: Bound, high: Bound) -> ValueRange:
    """Return the bounds of results; those of the caller's values are valid if all else is fixed.

    With one bound alone, values could be so large that they wrap.
    """
    from_caller = left.from_caller or right.from_caller
    if from_caller and not left.is_number and not right.is_number:
        return LOST
    if not all(values.is_known or values.is_caller for values in (left, right)):
        return LOST
    return ValueRange(low, high, from_caller, _doubts([left, right]))


def _is_positive(divisor: ValueRange) -> bool:
    return (
        divisor.low is not None
        and divisor.low is divisor.high
        and not divisor.from_caller
        and known(divisor.low > 0)
    )


def _plus(left: Bound, right: Bound) -> Bound:
    return None if left is None or right is None else left + right


def _mirrored(values: ValueRange) -> ValueRange:
    low, high = (None if end is None else -end for end in (values.high, values.low))
    return dataclasses.replace(values, low=low, high=high)


def _doubts(ranges: Iterable[ValueRange]) -> tuple[Doubt, ...]:
    return _unique(doubt for each in ranges for doubt in each.doubts)


def _unique(doubts: Iterable[Doubt]) -> tuple[Doubt, ...]:
    """Drop doubts about the very same bounds."""
    found: dict[object, Doubt] = {}
    for doubt in doubts:
        found.setdefault((id(doubt.low), id(doubt.high), doubt.dtype), doubt)
    return tuple(found.values())
