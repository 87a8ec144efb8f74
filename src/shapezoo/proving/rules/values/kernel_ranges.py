"""What kernels do to the values of tensors: one rule for each kernel, and none for most.

A rule returns an interval or a `Constant` for one tensor of a result, from those of the arguments:
``arange(n)`` is in ``[0, n - 1]``, `argmax` in the positions of its axis. A rule whose interval is
too narrow proves a model that raises, so a kernel without a rule returns values of which nothing is
known, except for two cases: a bool is 0 or 1, and each value that follows from one of the caller's,
in a way that no size changes, is assumed to be valid as that was (`_depends_on_caller`).

The rules compute as if dtypes were exact. What a dtype does to the values is added afterwards, for
all kernels alike (`values_after`).
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shapezoo._containers import tensors_of
from shapezoo.proving.rules import intervals
from shapezoo.proving.rules.intervals import BOOL, UNKNOWN, Size, ValueRange
from shapezoo.proving.rules.shape_rules import Arguments, rule_table
from shapezoo.proving.rules.values.constants import Constant, Values, ValuesOf, as_range

ZERO = ValueRange(0, 0)


@dataclass(frozen=True)
class KernelCall:
    """One call of a kernel, and one tensor of its result.

    Attributes:
        func: The kernel.
        name: Its name, without the underscore of in-place ones.
        arguments: Its arguments by name, with defaults.
        result: The tensor.
        number: The position of the tensor in the result.
        values_of: Returns the values of a tensor, as far as they are known.
    """

    func: Any
    name: str
    arguments: Arguments
    result: Tensor
    number: int
    values_of: ValuesOf

    def values(self, name: str) -> Values:
        """Return the values of an argument, which may be a number."""
        return self._values(self.arguments.get(name))

    def range(self, name: str) -> ValueRange:
        """Return the interval of an argument, which may be a number."""
        return as_range(self.values(name))

    def ranges(self, *names: str) -> list[ValueRange]:
        """Return the intervals of some arguments, and of each tensor in those that are lists."""
        arguments = [self.arguments.get(name) for name in names]
        each = [item for part in arguments for item in (part if isinstance(part, list) else [part])]
        return [as_range(self._values(item)) for item in each]

    def _values(self, value: Any) -> Values:
        return self.values_of(value) if isinstance(value, Tensor) else intervals.of_number(value)

    def may_be_nan(self, *ranges: ValueRange) -> bool:
        """Whether a value may be nan; the bounds of others exclude it."""
        return self.result.is_floating_point() and not all(r.is_bounded for r in ranges)

    def count(self) -> Size:
        """Return how many values are reduced to one."""
        source, dim = self.arguments["self"], self.arguments.get("dim")
        dims = [dim] if isinstance(dim, int) else dim or range(source.dim())
        return math.prod(source.shape[axis] for axis in dims) if source.dim() else 1


Rule = Callable[[KernelCall], Values]


def values_after(call: KernelCall) -> Values:
    """Return the values in the result of a kernel, as far as they are known."""
    if _depends_on_caller(call):
        return BOOL if call.result.dtype == torch.bool else intervals.CALLER
    is_position = _POSITIONS.get(call.name) == call.number
    rule = _positions if is_position else _RULES.get(call.name)
    values: Values = rule(call) if rule else UNKNOWN
    if isinstance(values, Constant):
        return values
    return intervals.in_dtype(values, call.result.dtype)


def _depends_on_caller(call: KernelCall) -> bool:
    """Whether each value follows from one of the caller's, in a way that no size changes."""
    if torch.Tag.pointwise not in call.func.tags:
        return False
    if torch.Tag.nondeterministic_seeded in call.func.tags:
        return False
    parts = [part for name, part in call.arguments.items() if name != "condition"]
    if any(isinstance(part, torch.SymInt | torch.SymFloat) for part in parts):
        return False
    values = [call.values_of(tensor) for tensor in tensors_of(parts)]
    return any(v.is_caller for v in values) and all(v.is_caller or _is_fixed(v) for v in values)


def _is_fixed(values: Values) -> bool:
    return values.is_whole if isinstance(values, Constant) else values.is_number


def _same(call: KernelCall) -> Values:
    source = next(tensors_of([*call.arguments.values()]))
    # x.view(torch.int32) reads the same bits as other numbers
    if source.dtype != call.result.dtype:
        return UNKNOWN
    values = call.values_of(source)
    if not isinstance(values, Constant):
        return values
    return values.shuffled() if call.name in _REORDERING.split() else values.partial()


def _repeated(call: KernelCall) -> Values:
    if "self" in call.arguments:
        return _same(call)
    return ValueRange(0, call.arguments["repeats"].shape[0] - 1)


def _slice(call: KernelCall) -> Values:
    values = call.values("self")
    dim, start, step = (call.arguments[name] for name in ("dim", "start", "step"))
    if not isinstance(values, Constant):
        return values
    is_line = isinstance(start, torch.SymInt) and type(step) is int and step == 1
    count = call.result.shape[dim]
    part = values.part_of_progression(dim, start, count) if is_line else None
    return part or values.sliced(dim, start, step, call.result)


def _select(call: KernelCall) -> Values:
    values, dim, index = call.values("self"), call.arguments["dim"], call.arguments["index"]
    if not isinstance(values, Constant):
        return values
    is_line = isinstance(index, torch.SymInt) and values.data.dim() == 1
    part = values.part_of_progression(0, index, 1) if is_line else None
    return part or values.selected(dim, index)


def _from(*names: str) -> Rule:
    """Return the rule of a kernel whose values are each in the interval of some argument."""
    return lambda call: intervals.join(call.ranges(*names))


def _pair(rule: Callable[[ValueRange, ValueRange], ValueRange], call: KernelCall) -> ValueRange:
    """Apply a rule to the two operands of a kernel."""
    other = call.range("other")
    if call.arguments.get("alpha", 1) != 1:
        other = intervals.multiply(other, call.range("alpha"))
    return rule(call.range("self"), other)


def _divided(call: KernelCall) -> ValueRange:
    left, right, mode = call.range("self"), call.range("other"), call.arguments.get("rounding_mode")
    # truncation rounds down what is not negative
    is_down = mode == "floor" or (mode and left.low is not None and intervals.always(left.low >= 0))
    return (intervals.floor_divide if is_down else intervals.divide)(left, right)


def _extreme(rule: Callable[[list[ValueRange]], ValueRange], call: KernelCall) -> Values:
    """Return the values of a minimum or maximum: of two operands, or along an axis."""
    if "other" not in call.arguments:
        return _same(call)
    ranges = call.ranges("self", "other")
    return UNKNOWN if call.may_be_nan(*ranges) else rule(ranges)


def _clamped(call: KernelCall) -> ValueRange:
    limits = [None if call.arguments.get(n) is None else call.range(n) for n in ("min", "max")]
    return intervals.clamp(call.range("self"), *limits)


def _unless_nan(rule: Rule) -> Rule:
    """Return a rule for what may not be nan, which no limit turns into a number."""
    return lambda call: UNKNOWN if call.may_be_nan(call.range("self")) else rule(call)


def _remainder(call: KernelCall) -> ValueRange:
    left, right = call.ranges("self", "other")
    # the bounds are the same for any integer, known or not
    return intervals.remainder(left if call.result.is_floating_point() else ZERO, right)


def _sum(*, is_running: bool) -> Rule:
    return lambda call: intervals.add_up(call.range("self"), call.count(), is_running=is_running)


def _positions(call: KernelCall) -> ValueRange:
    """Return the interval of positions along an axis, or in the whole where none is given."""
    source: Tensor = call.arguments["self"]
    dim = call.arguments.get("dim")
    count = source.numel() if dim is None or not source.dim() else source.shape[dim]
    return ValueRange(0, count - 1)


def _pooled_positions(call: KernelCall) -> ValueRange:
    if call.number == 0:
        return UNKNOWN
    axes = 3 if "3d" in call.name else 2
    return ValueRange(0, math.prod(call.arguments["self"].shape[-axes:]) - 1)


def _sorted_into(name: str) -> Rule:
    """Return the rule of a kernel that finds where values belong in an argument."""
    return lambda call: ValueRange(0, call.arguments[name].shape[-1])


def _arange(call: KernelCall) -> ValueRange:
    start, step = call.arguments.get("start", 0), call.arguments.get("step", 1)
    numbers = (start, step, call.arguments["end"])
    if not all(isinstance(number, int | torch.SymInt) for number in numbers):
        return UNKNOWN
    last = start + (call.result.shape[0] - 1) * step
    if intervals.always(step > 0):
        return ValueRange(start, last)
    return ValueRange(last, start) if intervals.always(step < 0) else UNKNOWN


def _randint(call: KernelCall) -> ValueRange:
    low, high = call.arguments.get("low", 0), call.arguments["high"]
    return UNKNOWN if isinstance(high, Tensor) else ValueRange(low, high - 1)


def _scattered(call: KernelCall) -> ValueRange:
    if call.arguments.get("accumulate") or call.arguments.get("reduce"):
        return UNKNOWN
    sources = [name for name in ("src", "value", "values") if name in call.arguments]
    return intervals.join(call.ranges("self", *sources))


_REORDERING = (
    "alias detach lift_fresh view _unsafe_view reshape unsqueeze _reshape_alias squeeze expand "
    "permute transpose t flip roll repeat sort clone contiguous pixel_shuffle pixel_unshuffle"
)
"""Kernels that keep all values; others with the rule `_same` may take only some of them."""

_RULES: dict[str, Rule] = rule_table(
    # These move values, and change none.
    (
        _same,
        _REORDERING,
        "unbind split split_with_sizes as_strided unfold diagonal topk median nanmedian mode",
        "kthvalue amax amin cummax cummin index gather index_select take embedding",
        "reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d",
    ),
    (_repeated, "repeat_interleave"),
    # Of constants, these keep the values in their places.
    (_slice, "slice"),
    (_select, "select"),
    # These take each value from one of several tensors, or write it over another.
    (_from("tensors"), "cat stack"),
    (_from("self", "other"), "where"),
    (_from("self", "value"), "masked_fill constant_pad_nd"),
    (_from("self", "source"), "masked_scatter"),
    (_scattered, "index_put scatter index_fill slice_scatter"),
    (_from("src"), "copy"),
    (lambda call: intervals.join([call.range("self"), ZERO]), "tril triu"),
    # Arithmetic. The bounds of a fraction are integers already, so rounding does not change them.
    (_from("self"), "_to_copy floor ceil round trunc"),
    (functools.partial(_pair, intervals.add), "add"),
    (functools.partial(_pair, intervals.subtract), "sub"),
    (functools.partial(_pair, lambda left, right: intervals.subtract(right, left)), "rsub"),
    (functools.partial(_pair, intervals.multiply), "mul"),
    (functools.partial(_pair, intervals.floor_divide), "floor_divide"),
    (_divided, "div"),
    (_remainder, "remainder"),
    (lambda call: intervals.subtract(ZERO, call.range("self")), "neg"),
    (lambda call: intervals.absolute(call.range("self")), "abs"),
    # Limits, which make a number of everything but nan.
    (_unless_nan(lambda call: ValueRange(-1, 1)), "sign sgn"),
    (_unless_nan(lambda call: intervals.maximum([call.range("self"), ZERO])), "relu"),
    (functools.partial(_extreme, intervals.minimum), "min minimum"),
    (functools.partial(_extreme, intervals.maximum), "max maximum"),
    (_unless_nan(_clamped), "clamp clamp_min clamp_max"),
    # Sums and counts, whose bounds depend on the size of an axis.
    (_sum(is_running=False), "sum"),
    (_sum(is_running=True), "cumsum"),
    (lambda call: ValueRange(0, call.count()), "count_nonzero"),
    # Positions; see also `_POSITIONS`.
    (_sorted_into("sorted_sequence"), "searchsorted"),
    (_sorted_into("boundaries"), "bucketize"),
    (
        _pooled_positions,
        "max_pool2d_with_indices max_pool3d_with_indices adaptive_max_pool2d adaptive_max_pool3d",
    ),
    (lambda call: ValueRange(0, call.arguments["self"].shape[-1] - 1), "multinomial"),
    # Tensors made from numbers and sizes.
    (_arange, "arange"),
    (_from("start", "end"), "linspace"),
    (_from("fill_value"), "full new_full full_like"),
    (_from("value"), "fill"),
    (_from("s"), "scalar_tensor"),
    (lambda call: ZERO, "zeros new_zeros zeros_like zero"),
    (lambda call: ValueRange(1, 1), "ones new_ones ones_like"),
    (lambda call: BOOL, "eye"),
    (_randint, "randint randint_like"),
    (lambda call: ValueRange(0, call.arguments["n"] - 1), "randperm"),
)

_POSITIONS = rule_table(
    (1, "sort topk max min median nanmedian mode kthvalue cummax cummin"),
    (0, "argmax argmin argsort"),
)
"""Kernels that return positions along an axis, and which tensor of their result holds them."""
