"""What kernels do to the bounds of values: one rule for each, and none for most.

A kernel without a rule gives values of which nothing is known, unless they are bool, or each of
them follows from one value of the caller's arguments.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shapezoo._containers import tensors_of
from shapezoo.proving.rules import intervals
from shapezoo.proving.rules.intervals import BOOL, LOST, Size, ValueRange
from shapezoo.proving.rules.values.constants import (
    Constant,
    bounds_of,
    part_of_rising,
    selected,
    sliced,
)

Values = ValueRange | Constant
"""What is known of the values of a tensor."""

ZERO = ValueRange(0, 0)


def as_range(values: Values) -> ValueRange:
    """Return bounds of values of which more may be known."""
    return bounds_of(values) if isinstance(values, Constant) else values


@dataclass(frozen=True)
class KernelCall:
    """One call of a kernel, and one tensor of its result.

    Attributes:
        func: The kernel.
        name: Its name, without the underscore of those that write to their input.
        arguments: Its arguments by name, with defaults.
        result: The tensor.
        number: Which tensor of the result it is.
        values_of: Returns what is known of the values of a tensor.
    """

    func: Any
    name: str
    arguments: Mapping[str, Any]
    result: Tensor
    number: int
    values_of: Callable[[Tensor], Values]

    def values(self, name: str) -> Values:
        """Return what is known of an argument, which may be a number."""
        value = self.arguments.get(name)
        return self.values_of(value) if isinstance(value, Tensor) else intervals.of_number(value)

    def range(self, name: str) -> ValueRange:
        """Return the bounds of an argument, which may be a number."""
        return as_range(self.values(name))

    def ranges(self, *names: str) -> list[ValueRange]:
        """Return the bounds of some arguments, and of each tensor in those that are lists."""
        parts = [self.arguments.get(name) for name in names]
        each = [item for part in parts for item in (part if isinstance(part, list) else [part])]
        return [
            as_range(
                self.values_of(item) if isinstance(item, Tensor) else intervals.of_number(item)
            )
            for item in each
        ]


def values_after(call: KernelCall) -> Values:
    """Return what is known of the values in the result of a kernel."""
    if _depends_on_caller(call):
        return BOOL if call.result.dtype == torch.bool else intervals.CALLER
    rule = _places if _gives_places(call) else _RULES.get(call.name)
    values: Values | None = rule(call) if rule else None
    if isinstance(values, Constant):
        return values
    return intervals.in_dtype(values or LOST, call.result.dtype)


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
    return any(map(_is_caller, values)) and all(_is_caller(v) or _is_fixed(v) for v in values)


def _is_caller(values: Values) -> bool:
    return isinstance(values, ValueRange) and values.is_caller


def _is_fixed(values: Values) -> bool:
    return values.is_whole if isinstance(values, Constant) else values.is_number


def _same(call: KernelCall) -> Values:
    source = next(tensors_of([*call.arguments.values()]))
    if source.dtype != call.result.dtype:  # the same bits, read otherwise
        return LOST
    values = call.values_of(source)
    if not isinstance(values, Constant):
        return values
    return values.shuffled() if call.name in _REORDERING else values.partial()


def _repeated(call: KernelCall) -> Values:
    if "self" in call.arguments:
        return _same(call)
    return ValueRange(0, call.arguments["repeats"].shape[0] - 1)


def _whole(call: KernelCall) -> ValueRange:
    return call.range("self")  # the bounds of a fraction are whole numbers already


def _slice(call: KernelCall) -> Values:
    values, parts = call.values("self"), call.arguments
    if not isinstance(values, Constant):
        return values
    start, step = parts["start"], parts["step"]
    if isinstance(start, torch.SymInt) and type(step) is int and step == 1:
        count = call.result.shape[parts["dim"]]
        if found := part_of_rising(values, parts["dim"], start, count):
            return found
    return sliced(values, parts["dim"], parts["start"], parts["step"], call.result)


def _select(call: KernelCall) -> Values:
    values, parts = call.values("self"), call.arguments
    if not isinstance(values, Constant):
        return values
    is_line = isinstance(parts["index"], torch.SymInt) and values.data.dim() == 1
    found = part_of_rising(values, 0, parts["index"], 1) if is_line else None
    return found or selected(values, parts["dim"], parts["index"])


def _joined(*names: str) -> Callable[[KernelCall], ValueRange]:
    return lambda call: intervals.join(call.ranges(*names))


def _pair(
    rule: Callable[[ValueRange, ValueRange], ValueRange],
) -> Callable[[KernelCall], ValueRange]:
    def of_pair(call: KernelCall) -> ValueRange:
        other = call.range("other")
        if call.arguments.get("alpha", 1) != 1:
            other = intervals.multiply(other, call.range("alpha"))
        return rule(call.range("self"), other)

    return of_pair


def _divided(call: KernelCall) -> ValueRange:
    left, right, mode = call.range("self"), call.range("other"), call.arguments.get("rounding_mode")
    is_down = mode == "floor" or (mode and left.low is not None and intervals.known(left.low >= 0))
    return (intervals.floor_divide if is_down else intervals.divide)(left, right)


def _extreme(
    rule: Callable[[list[ValueRange]], ValueRange],
) -> Callable[[KernelCall], Values]:
    def of_pair(call: KernelCall) -> Values:
        if "other" not in call.arguments:  # along an axis
            return _same(call)
        ranges = call.ranges("self", "other")
        return LOST if _may_be_nan(call, ranges) else rule(ranges)

    return of_pair


def _clamped(call: KernelCall) -> ValueRange:
    values = call.range("self")
    limits = [None if call.arguments.get(n) is None else call.range(n) for n in ("min", "max")]
    return LOST if _may_be_nan(call, [values]) else intervals.clamp(values, *limits)


def _rectified(call: KernelCall) -> ValueRange:
    values = call.range("self")
    return LOST if _may_be_nan(call, [values]) else intervals.maximum([values, ZERO])


def _may_be_nan(call: KernelCall, ranges: list[ValueRange]) -> bool:
    """Whether a value may be nan, of which no limit makes a number."""
    return call.result.is_floating_point() and not all(values.is_known for values in ranges)


def _remainder(call: KernelCall) -> ValueRange:
    left, right = call.ranges("self", "other")
    if not call.result.is_floating_point():
        left = ZERO  # the bounds are the same for any whole number
    return intervals.remainder(left, right)


def _sign(call: KernelCall) -> ValueRange:
    return LOST if _may_be_nan(call, [call.range("self")]) else ValueRange(-1, 1)


def _summed(call: KernelCall) -> ValueRange:
    return intervals.add_up(call.range("self"), _count(call, call.arguments.get("dim")))


def _running_sum(call: KernelCall) -> ValueRange:
    count = _count(call, call.arguments["dim"])
    return intervals.add_up(call.range("self"), count, is_running=True)


def _counted(call: KernelCall) -> ValueRange:
    return ValueRange(0, _count(call, call.arguments.get("dim")))


def _count(call: KernelCall, dim: Any) -> Size:
    """How many values are reduced to one."""
    source: Tensor = call.arguments["self"]
    dims = [dim] if isinstance(dim, int) else dim or range(source.dim())
    return math.prod(source.shape[axis] for axis in dims) if source.dim() else 1


def _gives_places(call: KernelCall) -> bool:
    return call.name in _PLACES and call.number == _PLACES[call.name]


def _places(call: KernelCall) -> ValueRange:
    """The bounds of places along an axis, or in the whole where none is given."""
    source: Tensor = call.arguments["self"]
    dim = call.arguments.get("dim")
    count = source.numel() if dim is None or not source.dim() else source.shape[dim]
    return ValueRange(0, count - 1)


def _places_of_pool(call: KernelCall) -> ValueRange:
    if call.number == 0:
        return LOST
    axes = 3 if "3d" in call.name else 2
    return ValueRange(0, math.prod(call.arguments["self"].shape[-axes:]) - 1)


def _sorted_in(name: str) -> Callable[[KernelCall], ValueRange]:
    return lambda call: ValueRange(0, call.arguments[name].shape[-1])


def _range(call: KernelCall) -> ValueRange:
    parts = call.arguments
    start, step = parts.get("start", 0), parts.get("step", 1)
    if not all(isinstance(part, int | torch.SymInt) for part in (start, step, parts["end"])):
        return LOST
    last = start + (call.result.shape[0] - 1) * step
    if intervals.known(step > 0):
        return ValueRange(start, last)
    if intervals.known(step < 0):
        return ValueRange(last, start)
    return LOST


def _filled(name: str) -> Callable[[KernelCall], ValueRange]:
    return lambda call: call.range(name)


def _random(call: KernelCall) -> ValueRange:
    low, high = call.arguments.get("low", 0), call.arguments["high"]
    return LOST if isinstance(high, Tensor) else ValueRange(low, high - 1)


def _scattered(call: KernelCall) -> ValueRange:
    if call.arguments.get("accumulate") or call.arguments.get("reduce"):
        return LOST
    names = ("self", *(name for name in ("src", "value", "values") if name in call.arguments))
    return intervals.join(call.ranges(*names))


def _constant(value: ValueRange) -> Callable[[KernelCall], ValueRange]:
    return lambda call: value


_REORDERING = {
    *("alias", "detach", "lift_fresh", "view", "_unsafe_view", "reshape", "unsqueeze"),
    *("_reshape_alias", "squeeze", "expand", "permute", "transpose", "t", "flip", "roll"),
    *("repeat", "sort", "clone", "contiguous", "pixel_shuffle", "pixel_unshuffle"),
}
"""Kernels that keep all values; others of those below may take some of them."""

_RULES: dict[str, Callable[[KernelCall], Values | None]] = {
    **dict.fromkeys(
        [
            *_REORDERING,
            *("unbind", "split", "split_with_sizes", "as_strided", "unfold", "diagonal", "topk"),
            *("median", "nanmedian", "mode", "kthvalue", "amax", "amin", "cummax", "cummin"),
            *("index", "gather", "index_select", "take", "embedding"),
            *("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
        ],
        _same,
    ),
    **dict.fromkeys(["_to_copy", "floor", "ceil", "round", "trunc"], _whole),
    "repeat_interleave": _repeated,
    "slice": _slice,
    "select": _select,
    **dict.fromkeys(["cat", "stack"], _joined("tensors")),
    "where": _joined("self", "other"),
    "masked_fill": _joined("self", "value"),
    "constant_pad_nd": _joined("self", "value"),
    **dict.fromkeys(["index_put", "scatter", "index_fill", "slice_scatter"], _scattered),
    "masked_scatter": _joined("self", "source"),
    "copy": _filled("src"),
    **dict.fromkeys(["tril", "triu"], lambda call: intervals.join([call.range("self"), ZERO])),
    "add": _pair(intervals.add),
    "sub": _pair(intervals.subtract),
    "rsub": _pair(lambda left, right: intervals.subtract(right, left)),
    "mul": _pair(intervals.multiply),
    "floor_divide": _pair(intervals.floor_divide),
    "div": _divided,
    "remainder": _remainder,
    "neg": lambda call: intervals.negate(call.range("self")),
    "abs": lambda call: intervals.absolute(call.range("self")),
    "sign": _sign,
    "sgn": _sign,
    "relu": _rectified,
    **dict.fromkeys(["min", "minimum"], _extreme(intervals.minimum)),
    **dict.fromkeys(["max", "maximum"], _extreme(intervals.maximum)),
    **dict.fromkeys(["clamp", "clamp_min", "clamp_max"], _clamped),
    "sum": _summed,
    "cumsum": _running_sum,
    "count_nonzero": _counted,
    "searchsorted": _sorted_in("sorted_sequence"),
    "bucketize": _sorted_in("boundaries"),
    **dict.fromkeys(
        [
            *("max_pool2d_with_indices", "max_pool3d_with_indices"),
            *("adaptive_max_pool2d", "adaptive_max_pool3d"),
        ],
        _places_of_pool,
    ),
    "arange": _range,
    "linspace": lambda call: intervals.join(call.ranges("start", "end")),
    **dict.fromkeys(["full", "new_full", "full_like"], _filled("fill_value")),
    "fill": _filled("value"),
    "scalar_tensor": _filled("s"),
    **dict.fromkeys(["zeros", "new_zeros", "zeros_like", "zero"], _constant(ZERO)),
    **dict.fromkeys(["ones", "new_ones", "ones_like"], _constant(ValueRange(1, 1))),
    "eye": _constant(BOOL),
    **dict.fromkeys(["randint", "randint_like"], _random),
    "randperm": lambda call: ValueRange(0, call.arguments["n"] - 1),
    "multinomial": lambda call: ValueRange(0, call.arguments["self"].shape[-1] - 1),
}

_PLACES = {
    **dict.fromkeys(["sort", "topk", "max", "min", "median", "nanmedian", "mode", "kthvalue"], 1),
    **dict.fromkeys(["cummax", "cummin"], 1),
    **dict.fromkeys(["argmax", "argmin", "argsort"], 0),
}
"""Kernels that give places along an axis, and which of their results these are."""
