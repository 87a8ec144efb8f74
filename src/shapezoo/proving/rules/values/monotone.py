"""Values that grow with integers, such as the buckets of relative positions in T5.

Those models look up a small distance as it is, and of a large one a bucket that grows with the
logarithm: ``where(x < 8, x, 8 + (log(x / 8) * 3).long())``. The logarithm of 0 is minus infinity,
so the interval of the second value has no bound, although `where` takes it only from 8 on. So it
is noted which tensors are a function of another that does not fall (`Growing`), and the least value
that `where` takes is that function at the limit, computed by the real kernels. Without this the
models of that family are undecided; with a bound that is too large they would be proved wrongly,
hence the margin `ROUNDING`.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import ValueRange, always, greatest
from shapezoo.proving.rules.shape_rules import Arguments, rule_table
from shapezoo.proving.rules.values.constants import Constant, Values, ValuesOf, real_kernels

ROUNDING = 1e-4
"""How much less, relatively, a kernel may return for many numbers than for one."""

Step = Callable[[Tensor], Tensor]


@dataclass(frozen=True, eq=False)
class Growing:
    """A function that does not fall, of each integer in a tensor.

    Attributes:
        base: The tensor.
        steps: What is done to it, one kernel after the other.
    """

    base: Tensor
    steps: tuple[Step, ...] = ()

    def least_from(self, start: int) -> int | None:
        """Return a lower bound for integers from a start on, or None if there is none."""
        with real_kernels():
            value = torch.tensor([start], dtype=self.base.dtype)
            for step in self.steps:
                before = value.double()
                value = _lowered(step(value))
                if not bool(before.isfinite().all() and value.double().isfinite().all()):
                    return None
            return int(value.double().floor())


class MonotoneValues:
    """Which tensors grow with which, and which compare a tensor with a number."""

    def __init__(self) -> None:
        self._growing: dict[int, Growing] = {}
        # by the id of ``x < limit``, x and the limit
        self._below: dict[int, tuple[Tensor, int]] = {}

    def note(self, func: Any, arguments: Arguments, result: Tensor, of: ValuesOf) -> None:
        """Note what a kernel has computed, which must not have written to its input."""
        name, x = func._schema.name.removeprefix("aten::"), arguments.get("self")
        if not isinstance(x, Tensor):
            return
        other = _number(arguments.get("other"), of)
        if name in ("lt", "le") and _is_integer(x) and type(other) is int:
            self._below[id(result)] = x, other + (name == "le")
        step = _step(name, arguments, other)
        source = self._growing.get(id(x), Growing(x) if _is_integer(x) else None)
        # in a narrow dtype integers wrap, and what wraps falls
        is_wide = _is_integer(result) or result.dtype in (torch.float32, torch.float64)
        if step is not None and source is not None and is_wide:
            self._growing[id(result)] = Growing(source.base, (*source.steps, step))

    def forget(self, tensors: set[int]) -> None:
        """Forget what was noted of tensors that are written to, by their ids."""
        growing, below = self._growing.items(), self._below.items()
        self._growing = {key: g for key, g in growing if tensors.isdisjoint((key, id(g.base)))}
        self._below = {key: b for key, b in below if tensors.isdisjoint((key, id(b[0])))}

    def narrowed(self, arguments: Arguments, of: ValuesOf) -> ValuesOf:
        """Return a function for the values that `torch.where` takes of each tensor."""
        condition = arguments.get("condition")
        if id(condition) not in self._below or arguments.get("self") is arguments.get("other"):
            return of
        base, limit = self._below[id(condition)]
        growing = self._growing.get(id(arguments.get("other")))

        def narrow(tensor: Tensor) -> Values:
            values = of(tensor)
            if not isinstance(values, ValueRange) or values.from_caller:
                return values
            if tensor is arguments.get("self") and tensor is base:
                is_less = values.high is not None and always(values.high < limit)
                return values if is_less else dataclasses.replace(values, high=limit - 1)
            if tensor is arguments.get("other") and growing and growing.base is base:
                lows = [low for low in (growing.least_from(limit), values.low) if low is not None]
                return dataclasses.replace(values, low=greatest(lows)) if lows else values
            return values

        return narrow


def _step(name: str, arguments: Arguments, other: float | None) -> Step | None:
    """Return what a kernel does to one tensor, if the result does not fall where that grows."""
    if name in _GROWING:
        return _GROWING[name]
    if name == "_to_copy":
        dtype: torch.dtype | None = arguments["dtype"]
        return None if dtype is None else lambda x: x.to(dtype)
    is_plain = arguments.get("alpha", 1) == 1 and arguments.get("rounding_mode") is None
    if other is None or not is_plain or (name in ("mul", "div") and not other > 0):
        return None
    step = _GROWING_WITH_NUMBER.get(name)
    return None if step is None else lambda x: step(x, other)


def _number(value: Any, of: ValuesOf) -> float | None:
    """Return the number that an argument is, perhaps in a tensor."""
    if isinstance(value, Tensor):
        values = of(value)
        if isinstance(values, Constant):
            return _number(values.number, of)
        return values.low if values.is_number else None
    return value if type(value) in (int, float) else None


def _lowered(value: Tensor) -> Tensor:
    return value - ROUNDING * value.abs() if value.is_floating_point() else value


def _is_integer(x: Tensor) -> bool:
    return x.dtype in (torch.int32, torch.int64)


_GROWING: dict[str, Step] = {
    name: getattr(torch, name)
    for name in ("log", "log2", "log10", "log1p", "sqrt", "floor", "ceil", "trunc")
}
"""Kernels of one tensor that do not fall."""

_GROWING_WITH_NUMBER: dict[str, Callable[[Tensor, float], Tensor]] = rule_table(
    (torch.add, "add"),
    (torch.sub, "sub"),
    # of a positive number only
    (torch.mul, "mul"),
    (torch.div, "div"),
    (lambda x, number: x.clamp(max=number), "minimum min"),
    (lambda x, number: x.clamp(min=number), "maximum max"),
)
"""Kernels of a tensor and a number that do not fall."""
