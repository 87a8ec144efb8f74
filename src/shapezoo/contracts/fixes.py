"""Known fixes for common mistakes, proposed only where the fixed input would be accepted."""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import torch
from torch import Tensor

from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.reading import values_in
from shapezoo.contracts.signatures import Argument
from shapezoo.contracts.types import TensorType, resolve, tensors


class Fix(NamedTuple):
    """A change to a tensor: what is wrong with it, the code that mends it, and the change."""

    reason: str
    code: str
    change: Callable[[Tensor], Tensor]


_NONE = Fix("", "{}", lambda x: x)
_LAYOUTS = (
    Fix("its channels stand last", "{}.permute(0, 3, 1, 2)", lambda x: x.permute(0, 3, 1, 2)),
    Fix(
        "it is one image with its channels last",
        "{}.permute(2, 0, 1).unsqueeze(0)",
        lambda x: x.permute(2, 0, 1).unsqueeze(0),
    ),
    Fix("its first two axes are swapped", "{}.transpose(0, 1)", lambda x: x.transpose(0, 1)),
    Fix("its last two axes are swapped", "{}.transpose(-1, -2)", lambda x: x.transpose(-1, -2)),
    Fix("its last axis is one too many", "{}.squeeze(-1)", lambda x: x.squeeze(-1)),
)
_DTYPES = (
    (torch.float32, "{}.float()"),
    (torch.float64, "{}.double()"),
    (torch.int64, "{}.long()"),
    (torch.bool, "{}.bool()"),
)


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
                shadow = fix.change(torch.empty(value.shape, dtype=value.dtype, device="meta"))
            except Exception:  # no such axis, or no shape at all: no fix
                continue
            if accepts({**arguments, name: shadow}):
                whose = "" if name == culprit else f"argument {name!r}: "
                return f"{whose}{fix.reason}; use {fix.code.format(name)}"
    return None


def _fixes(kind: TensorType, value: Tensor) -> Iterator[Fix]:
    layouts, dtypes = [_NONE, *_missing_axes(kind, value), *_LAYOUTS], [_NONE, *_casts(value)]
    for layout, dtype in product(layouts, dtypes):
        reason = " and ".join(fix.reason for fix in (layout, dtype) if fix.reason)
        code = dtype.code.format(layout.code)
        yield Fix(reason, code, lambda x, a=layout, b=dtype: b.change(a.change(x)))  # type: ignore[misc]  # defaults keep both
    if value.is_floating_point():
        yield Fix("it has a score for each class", "{}.argmax(-1)", lambda x: x.argmax(-1))


def _missing_axes(kind: TensorType, value: Tensor) -> Iterator[Fix]:
    """Axes of size 1 in front of what came: the batch first, then others that may be 1."""
    absent = len(kind.axes) - value.ndim
    places = [i for i, axis in enumerate(kind.axes) if axis.name == "batch" or axis.size == 1]
    if absent == 1:
        for i in sorted(places, key=lambda i: kind.axes[i].name != "batch"):
            code = f"{{}}.unsqueeze({i})"
            reason = f"axis {i} ({kind.axes[i]}) is missing"
            yield Fix(reason, code, lambda x, i=i: x.unsqueeze(i))  # type: ignore[misc]  # the default keeps it
    elif absent == 2 and {0, 1} <= set(places):
        reason = f"axes 0 ({kind.axes[0]}) and 1 ({kind.axes[1]}) are missing"
        yield Fix(reason, "{}[None, None]", lambda x: x[None, None])


def _casts(value: Tensor) -> Iterator[Fix]:
    dtype = str(value.dtype).removeprefix("torch.")
    if value.dtype is torch.uint8:
        yield Fix("it holds 8-bit pixels", "{}.float() / 255", lambda x: x.float())
    for target, code in () if value.is_complex() else _DTYPES:
        yield Fix(f"it is {dtype}", code, lambda x, target=target: x.to(target))  # type: ignore[misc]  # the default keeps it
