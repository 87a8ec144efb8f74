"""Known fixes for common mistakes, proposed only where the fixed input would be accepted."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from operator import methodcaller
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.explain import dtype_name
from shapezoo.contracts.reading import values_in
from shapezoo.contracts.signatures import Argument
from shapezoo.contracts.types import TensorType, resolve, tensors


class Fix(NamedTuple):
    """Method calls that mend a tensor, and what is wrong with it before."""

    reason: str
    calls: tuple[tuple[str, tuple[int, ...]], ...]

    def __str__(self) -> str:
        return "".join(f".{name}({', '.join(map(str, args))})" for name, args in self.calls)

    def __call__(self, x: Tensor) -> Tensor:
        """The tensor after the calls."""
        for name, args in self.calls:
            x = methodcaller(name, *args)(x)
        return x

    def then(self, other: "Fix") -> "Fix":
        """This fix, followed by another one."""
        reasons = " and ".join(filter(None, (self.reason, other.reason)))
        return Fix(reasons, self.calls + other.calls)


_NONE = Fix("", ())
_LAYOUTS = (
    Fix("its channels stand last", (("permute", (0, 3, 1, 2)),)),
    Fix(
        "it is one image with its channels last",
        (("permute", (2, 0, 1)), ("unsqueeze", (0,))),
    ),
    Fix("its first two axes are swapped", (("transpose", (0, 1)),)),
    Fix("its last two axes are swapped", (("transpose", (-1, -2)),)),
    Fix("its last axis is one too many", (("squeeze", (-1,)),)),
)
_PIXELS = Fix("it holds 8-bit pixels", (("float", ()), ("div", (255,))))
_SCORES = Fix("it has a score for each class", (("argmax", (-1,)),))


def suggest(
    inputs: Sequence[Argument],
    arguments: dict[str, Any],
    culprit: str,
    accepts: Callable[[dict[str, Any]], bool],
) -> str | None:
    """A fix of one tensor, in words and code, if one is known that makes a call acceptable.

    Args:
        inputs: What the arguments should be.
        arguments: The arguments of the call, by name.
        culprit: The argument that was refused; it is tried first.
        accepts: Whether arguments would be accepted. It gets tensors without data.
    """
    for argument in sorted(inputs, key=lambda argument: argument.name != culprit):
        name, value = argument.name, arguments[argument.name]
        try:
            kind = next(tensors(resolve(argument.type, values_in(arguments))), None)
        except ContractError:  # its size depends on an argument that is not there
            continue
        if kind is None or not isinstance(value, Tensor):
            continue
        for fix in _fixes(kind, value):
            try:
                shadow = fix(torch.empty(value.shape, dtype=value.dtype, device="meta"))
            except Exception:  # no such axis, or no shape at all: no fix
                continue
            if accepts({**arguments, name: shadow}):
                whose = "" if name == culprit else f"argument {name!r}: "
                return f"{whose}{fix.reason}; use {name}{fix}"
    return None


def _fixes(kind: TensorType, value: Tensor) -> Iterator[Fix]:
    layouts = [_NONE, *_missing_axes(kind, value), *_LAYOUTS]
    for layout, cast in product(layouts, [_NONE, *_casts(value)]):
        yield layout.then(cast)
    if value.is_floating_point():
        yield _SCORES


def _missing_axes(kind: TensorType, value: Tensor) -> Iterator[Fix]:
    """Axes of size 1 where the contract has one: the batch first, then others that may be 1."""
    absent = len(kind.axes) - value.ndim
    places = [i for i, axis in enumerate(kind.axes) if axis.name == "batch" or axis.size == 1]
    if absent == 1:
        for i in sorted(places, key=lambda i: kind.axes[i].name != "batch"):
            yield Fix(f"axis {i} ({kind.axes[i]}) is missing", (("unsqueeze", (i,)),))
    elif absent == 2 and {0, 1} <= set(places):
        reason = f"axes 0 ({kind.axes[0]}) and 1 ({kind.axes[1]}) are missing"
        yield Fix(reason, (("unsqueeze", (0,)), ("unsqueeze", (1,))))


def _casts(value: Tensor) -> Iterator[Fix]:
    if value.dtype is torch.uint8:
        yield _PIXELS
    for name in () if value.is_complex() else ("float", "double", "long", "bool"):
        yield Fix(f"it is {dtype_name(value)}", ((name, ()),))
