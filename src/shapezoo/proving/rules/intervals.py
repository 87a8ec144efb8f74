"""Intervals that contain the values of a tensor, and arithmetic on them.

Fake tensors have no data, but whether ``table[index]`` raises depends on the values of `index`. So
each tensor that may become an index gets an interval: `torch.arange(n)` is in ``[0, n - 1]``, twice
that in ``[0, 2 * n - 2]``. Bounds are integers or symbols, and these rules hold for all of them:

* An interval may be too wide, never too narrow: too wide makes a proof undecided, too narrow proves
  a model that raises. Whatever has no rule is `UNKNOWN`.
* Nothing here asks the symbols a question, because each question splits the sizes into two regions.
  `always` looks only at what is certain already; where a sign is not, both cases are joined.
* Dtypes round and wrap: bfloat16 makes 260 of 259, so that ``arange(260).bfloat16()`` exceeds its
  bounds. These are kept with a `Doubt`, which is settled only where an index needs them.
* Values of the caller's arguments are assumed to be valid indices. They are `CALLER`, which is not
  the same as `UNKNOWN`: ``tokens + n`` need not be valid, and so is UNKNOWN.
"""

import dataclasses
import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.fx.experimental.symbolic_shapes import statically_known_true

Size = Any
"""An integer, or a symbol of one."""

Bound = Any
"""A size, or None where there is no bound."""


@dataclass(frozen=True, eq=False)
class Doubt:
    """A condition for bounds to be right: a narrow dtype has to hold the values exactly.

    `UNREACHED` is another doubt: whether any value is at the bounds.

    Attributes:
        low: Lower bound of the values that were put into the dtype.
        high: Upper bound of these.
        least: Smallest of the consecutive integers that the dtype holds exactly.
        most: Largest of these.
        dtype: The dtype; None for `UNREACHED`.
    """

    low: Size
    high: Size
    least: int
    most: int
    dtype: torch.dtype | None

    @property
    def can_wrap(self) -> bool:
        """Whether too large values become small ones; floats keep their order when rounded."""
        return self.dtype is not None and not self.dtype.is_floating_point


UNREACHED = Doubt(0, 0, 0, 0, None)
"""No value need be at the bounds, so bounds out of range do not show that the model raises."""


# An == of two ranges would compare symbols, and so ask.
@dataclass(frozen=True, eq=False)
class ValueRange:
    """An interval that contains values.

    Attributes:
        low: No value is less; None if there is no bound.
        high: No value is greater; None if there is no bound.
        from_caller: Whether some of the values are those of the caller's arguments, which are
            assumed to be valid indices and may be outside the bounds.
        doubts: Conditions for the bounds to be right.
    """

    low: Bound = None
    high: Bound = None
    from_caller: bool = False
    doubts: tuple[Doubt, ...] = ()

    @property
    def is_bounded(self) -> bool:
        """Whether there are both bounds."""
        return self.low is not None and self.high is not None

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is known about the values."""
        return self.low is None and self.high is None and not self.from_caller

    @property
    def is_caller(self) -> bool:
        """Whether all values are those of the caller's arguments."""
        return self.low is None and self.high is None and self.from_caller

    @property
    def is_mask(self) -> bool:
        """Whether all values are 0 or 1."""
        return type(self.low) is type(self.high) is int and 0 <= self.low <= self.high <= 1

    def is_within(self, least: Size | None, most: Size | None) -> bool:
        """Whether all values are certainly within limits, which are None where there is none."""
        is_above = least is None or (self.low is not None and always(self.low >= least))
        is_below = most is None or (self.high is not None and always(self.high <= most))
        return is_above and is_below and not self.doubts

    @property
    def is_size(self) -> bool:
        """Whether all values are the same number, which may depend on sizes."""
        is_plain = self.is_bounded and not self.from_caller and not self.doubts
        return is_plain and always(self.low == self.high)

    @property
    def is_number(self) -> bool:
        """Whether all values are the same number, whatever the sizes."""
        return type(self.low) is int and self.low is self.high and not self.from_caller


UNKNOWN = ValueRange()
CALLER = ValueRange(from_caller=True)
BOOL = ValueRange(0, 1)


def of_number(value: object) -> ValueRange:
    """Return the interval of one number; of a fraction, the integers around it."""
    if isinstance(value, int | torch.SymInt):
        number = int(value) if isinstance(value, bool) else value
        return ValueRange(number, number)
    if isinstance(value, float) and math.isfinite(value):
        low, high = math.floor(value), math.ceil(value)
        return ValueRange(low, low if low == high else high)
    return UNKNOWN


def always(condition: Any) -> bool:
    """Whether a condition is known to hold for all sizes of this region; adds no guard."""
    # of the experimental torch.fx, as all that answers without adding a guard
    return bool(statically_known_true(condition))


def least(sizes: Iterable[Size]) -> Size:
    """Return the smallest size, as a symbolic minimum where the order is not known."""
    return functools.reduce(_smaller, sizes)


def _smaller(left: Size, right: Size) -> Size:
    if always(left <= right):
        return left
    return right if always(right <= left) else torch.sym_min(left, right)


def greatest(sizes: Iterable[Size]) -> Size:
    """Return the largest size, as a symbolic maximum where the order is not known."""
    return functools.reduce(_larger, sizes)


def _larger(left: Size, right: Size) -> Size:
    if always(left >= right):
        return left
    return right if always(right >= left) else torch.sym_max(left, right)


def join(ranges: Sequence[ValueRange]) -> ValueRange:
    """Return an interval of values that are each in one of several intervals."""
    bounded = [each for each in ranges if not each.is_caller]
    if not bounded:
        return CALLER if ranges else UNKNOWN
    lows, highs = [each.low for each in bounded], [each.high for each in bounded]
    low = None if None in lows else least(lows)
    high = None if None in highs else greatest(highs)
    if low is None and high is None:
        return UNKNOWN
    return ValueRange(low, high, any(r.from_caller for r in ranges), _doubts(ranges))


def add(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return an interval of the sums."""
    pairs = ((left.low, right.low), (left.high, right.high))
    return _combined(left, right, *(None if None in pair else sum(pair) for pair in pairs))


def subtract(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return an interval of the differences."""
    return add(left, _mirrored(right))


def multiply(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return an interval of the products."""
    for factor, other in ((left, right), (right, left)):
        if factor.is_number:
            scaled = [end if end is None else end * factor.low for end in (other.low, other.high)]
            low, high = scaled if factor.low >= 0 else reversed(scaled)
            return _combined(left, right, low, high)
        # tokens * mask keeps a valid index or makes it 0, as padded positions in RoBERTa are
        if other.is_caller and factor.is_mask:
            return ValueRange(0, 0, from_caller=True)
    if not (left.is_bounded and right.is_bounded):
        return UNKNOWN
    if always(left.low >= 0) and always(right.low >= 0):
        return _combined(left, right, left.low * right.low, left.high * right.high)
    ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    return _combined(left, right, least(ends), greatest(ends))


def floor_divide(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return an interval of the quotients, rounded down."""
    if not _is_positive_number(right):
        return UNKNOWN
    ends = [end if end is None else end // right.low for end in (left.low, left.high)]
    return _combined(left, right, *ends)


def divide(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return an interval of the quotients, with integer bounds."""
    down, up = floor_divide(left, right), _mirrored(floor_divide(_mirrored(left), right))
    both = down.is_bounded and up.is_bounded
    return dataclasses.replace(down, high=up.high) if both else UNKNOWN


def remainder(left: ValueRange, right: ValueRange) -> ValueRange:
    """Return an interval of the remainders, which have the sign of the divisor as in Python.

    An integer that wrapped before has a remainder in the same interval. Only a float can be
    infinite, whose remainder is nan.
    """
    doubts = [*(doubt for doubt in left.doubts if not doubt.can_wrap), *right.doubts]
    if left.is_unknown or not _is_positive_number(right):
        return UNKNOWN
    return ValueRange(0, right.low - 1, doubts=tuple(doubts))


def absolute(values: ValueRange) -> ValueRange:
    """Return an interval of the absolute values."""
    if values.from_caller or not values.is_bounded:
        return UNKNOWN
    if always(values.low >= 0):
        return values
    return dataclasses.replace(values, low=0, high=greatest([-values.low, values.high]))


def add_up(values: ValueRange, count: Size, *, is_running: bool = False) -> ValueRange:
    """Return an interval of sums.

    Args:
        values: Interval of the summands.
        count: Number of summands of each sum.
        is_running: Whether sums of the first few summands are also among the values.
    """
    if values.from_caller or not values.is_bounded:
        return UNKNOWN
    low, high = values.low * count, values.high * count
    if is_running:
        low = values.low if always(values.low >= 0) else least([values.low, low])
        high = values.high if always(values.high <= 0) else greatest([values.high, high])
    return dataclasses.replace(values, low=low, high=high)


def minimum(ranges: Sequence[ValueRange]) -> ValueRange:
    """Return an interval of integers that are each the least of one of each interval."""
    bounded = [each for each in ranges if not each.is_caller]
    if len(bounded) < len(ranges) and all(
        each.low is not None and always(each.low >= 0) for each in bounded
    ):
        # at most a valid index and at least 0, so valid itself
        return CALLER
    if any(each.from_caller for each in ranges):
        return join(ranges)
    lows = [each.low for each in ranges]
    highs = [each.high for each in ranges if each.high is not None]
    low = None if None in lows else least(lows)
    return ValueRange(low, least(highs) if highs else None, doubts=_doubts(ranges))


def maximum(ranges: Sequence[ValueRange]) -> ValueRange:
    """Return an interval of integers that are each the greatest of one of each interval."""
    return _mirrored(minimum([_mirrored(each) for each in ranges]))


def clamp(values: ValueRange, low: ValueRange | None, high: ValueRange | None) -> ValueRange:
    """Return an interval of clamped integers.

    Args:
        values: Interval of the integers.
        low: Interval of the lower limit; None if there is no limit.
        high: Interval of the upper limit; None if there is no limit.
    """
    # Rounded or wrapped values are still clamped, so the limits are certain where the bounds are
    # not. Except in float16: its infinities can have become nan, which clamp keeps.
    is_finite = all(doubt.dtype != torch.float16 for doubt in values.doubts)
    if values.doubts and is_finite and low and high and low.is_number and high.is_number:
        return ValueRange(min(low.low, high.low), high.low)
    if low is not None:
        values = maximum([values, low])
    return values if high is None else minimum([values, high])


def in_dtype(values: ValueRange, dtype: torch.dtype) -> ValueRange:
    """Return an interval of values that were put into a dtype, which may round or wrap them."""
    if dtype == torch.bool:
        return BOOL
    if values.is_caller or dtype in (torch.int32, torch.int64):
        return values
    if not values.is_bounded or dtype not in _EXACT:
        return UNKNOWN
    low, high = _EXACT[dtype]
    if always(values.low >= low) and always(values.high <= high):
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
"""Consecutive integers that a dtype holds exactly; int32 and int64 are assumed to be large enough.

Of any other dtype (float8, complex) nothing is assumed.
"""


def _combined(left: ValueRange, right: ValueRange, low: Bound, high: Bound) -> ValueRange:
    """Return the interval of results that have these bounds.

    The caller's values stay valid only in combination with a fixed number: no size can move them
    out of range then. With one bound alone, values could be so large that they wrap.
    """
    from_caller = left.from_caller or right.from_caller
    if from_caller and not left.is_number and not right.is_number:
        return UNKNOWN
    if not all(values.is_bounded or values.is_caller for values in (left, right)):
        return UNKNOWN
    return ValueRange(low, high, from_caller, _doubts([left, right]))


def _is_positive_number(divisor: ValueRange) -> bool:
    if divisor.low is None or divisor.low is not divisor.high or divisor.from_caller:
        return False
    return always(divisor.low > 0)


def _mirrored(values: ValueRange) -> ValueRange:
    low, high = (None if end is None else -end for end in (values.high, values.low))
    return dataclasses.replace(values, low=low, high=high)


def _doubts(ranges: Iterable[ValueRange]) -> tuple[Doubt, ...]:
    return _unique(doubt for each in ranges for doubt in each.doubts)


def _unique(doubts: Iterable[Doubt]) -> tuple[Doubt, ...]:
    """Drop doubts about the very same bounds; comparing the bounds by value would ask."""
    by_bounds: dict[object, Doubt] = {}
    for doubt in doubts:
        by_bounds.setdefault((id(doubt.low), id(doubt.high), doubt.dtype), doubt)
    return tuple(by_bounds.values())
