"""Shape rules above PyTorch's own: fewer questions about sizes, and checks that its own skip.

PyTorch's fake kernels ask about sizes that do not matter (is this tensor contiguous? is that axis
1, and broadcast?), and every question splits the sizes into regions. The rules here answer by the
shapes alone. Fake kernels also let pass what real ones refuse, such as a picture of no rows; these
checks are added.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

Size = Any
"""A whole number, or a symbol of one."""


def empty(like: Tensor, shape: Sequence[Size], dtype: torch.dtype | None = None) -> Tensor:
    """A contiguous tensor: nothing needs to be asked about its layout."""
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device=like.device)


def require(condition: Any, message: str) -> None:
    """What a real kernel checks.

    Raises:
        RuntimeError: It does not hold.
    """
    torch._check(bool(condition), lambda: message)


def is_same(left: Size, right: Size) -> bool:
    """Whether two sizes are written alike; asks nothing."""
    if isinstance(left, torch.SymInt) and isinstance(right, torch.SymInt):
        return bool(left.node.expr == right.node.expr)
    return type(left) is type(right) is int and left == right


def broadcast(shapes: Sequence[Sequence[Size]]) -> tuple[Size, ...] | None:
    """The common shape, or None where it depends on sizes."""
    shape = []
    for place in range(-max(map(len, shapes), default=0), 0):
        size: Size = 1
        for other in (shape[place] for shape in shapes if len(shape) >= -place):
            if is_same(size, 1):
                size = other
            elif not is_same(other, 1) and not is_same(size, other):
                return None
        shape.append(size)
    return tuple(shape)


def viewed(shape: Sequence[Size], wanted: Sequence[Size]) -> list[Size]:
    """The shape of a view, the -1 in it computed.

    Raises:
        RuntimeError: It has another number of elements.
    """
    total, sizes = math.prod(shape), list(wanted)
    message = f"shape {sizes} is invalid for input of size {total}"
    unknown = [index for index, size in enumerate(sizes) if is_same(size, -1)]
    if not unknown:
        require(math.prod(sizes) == total, message)
        return sizes
    known = math.prod(size for index, size in enumerate(sizes) if index != unknown[0])
    require(len(unknown) == 1 and known != 0, message)
    require(total % known == 0, message)
    sizes[unknown[0]] = total // known
    return sizes


class FunctionRules(TorchFunctionMode):
    """Functions whose parts would ask about layout."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = _FUNCTIONS.get(func)
        if rule and args and isinstance(args[0], Tensor) and args[0].device.type == "meta":
            result = rule(*args, **kwargs)
            if result is not NotImplemented:
                return result
        return func(*args, **kwargs)


def _reshape(x: Tensor, *sizes: Any, shape: Any = None) -> Any:
    wanted = (
        shape if shape is not None else sizes[0] if isinstance(sizes[0], tuple | list) else sizes
    )
    return empty(x, viewed(x.shape, wanted))


def _flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    axes = x.dim()
    if not axes or not all(-axes <= dim < axes for dim in (start_dim, end_dim)):
        return NotImplemented
    start, end = start_dim % axes, end_dim % axes + 1
    if start >= end:
        return NotImplemented
    return empty(x, (*x.shape[:start], math.prod(x.shape[start:end]), *x.shape[end:]))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not x.dim() or weight.dim() != 2 or weight.device.type != "meta":
        return NotImplemented
    wide, width = weight.shape
    require(
        x.shape[-1] == width,
        f"mat1 and mat2 shapes cannot be multiplied ({tuple(x.shape)} and {width}x{wide})",
    )
    if bias is not None and not (bias.dim() == 1 and is_same(bias.shape[0], wide)):
        return NotImplemented
    return empty(x, (*x.shape[:-1], wide))


def _matmul(x: Tensor, other: Tensor) -> Any:
    if not isinstance(other, Tensor) or x.dim() < 2 or other.dim() < 2 or x.dtype != other.dtype:
        return NotImplemented
    require(
        x.shape[-1] == other.shape[-2],
        f"mat1 and mat2 shapes cannot be multiplied ({tuple(x.shape)} and {tuple(other.shape)})",
    )
    common = broadcast([x.shape[:-2], other.shape[:-2]])
    if common is None:
        return NotImplemented
    return empty(x, (*common, x.shape[-2], other.shape[-1]))


def _contiguous(x: Tensor, **kwargs: Any) -> Any:
    return NotImplemented if kwargs else empty(x, x.shape)


def _interpolate(
    x: Tensor, size: Any = None, scale_factor: Any = None, mode: str = "nearest", **options: Any
) -> Any:
    count = x.dim() - 2
    if _DIMENSIONS.get(mode, count) != count or not 1 <= count <= 3 or options.get("antialias"):
        return NotImplemented
    given = size if scale_factor is None else scale_factor
    each = list(given) if isinstance(given, tuple | list) else [given] * count
    if len(each) != count or (size is None) == (scale_factor is None):
        return NotImplemented
    if size is None:
        if not all(float(factor).is_integer() for factor in each):
            return NotImplemented
        each = [size * int(factor) for size, factor in zip(x.shape[2:], each, strict=True)]
    for pixels in (*x.shape[2:], *each):
        require(pixels > 0, "Input and output sizes should be greater than 0")
    return empty(x, (*x.shape[:2], *each))


_DIMENSIONS = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    torch.reshape: _reshape,
    Tensor.reshape: _reshape,
    torch.flatten: _flatten,
    Tensor.flatten: _flatten,
    functional.linear: _linear,
    torch.matmul: _matmul,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
    Tensor.contiguous: _contiguous,
    functional.interpolate: _interpolate,
}

DEPTH = 3
"""How deep PyTorch's functions that are written in Python call one another.

A mode sees the outermost function only, so there must be one for each level.
"""


class KernelRules(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's has no types
    """Kernels whose fake versions ask too much, or too little."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if args and isinstance(args[0], Tensor):
            name = func._schema.name.removeprefix("aten::")
            if name in _CHECKS:
                _CHECKS[name](*args, **kwargs)
            if name in _KERNELS:
                result = _KERNELS[name](*args, **kwargs)
            elif name.removesuffix("_") in _LIKE_INPUT:
                result = args[0] if name.endswith("_") else empty(args[0], args[0].shape)
            elif torch.Tag.pointwise in func.tags and len(func._schema.returns) == 1:
                result = _pointwise(func, name, args, kwargs)
            else:
                result = NotImplemented
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if args and isinstance(args[0], Tensor) and name.startswith("upsample_"):
            _require_pixels(result.shape)
        return result


_LIKE_INPUT = {"roll", "softmax", "_softmax", "hardswish", "hardsigmoid", "hardtanh", "leaky_relu"}


def _pointwise(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    operands = [arg for arg in args if isinstance(arg, Tensor)]
    if any(isinstance(value, Tensor) for value in kwargs.values()):
        return NotImplemented
    shape = broadcast([operand.shape for operand in operands])
    first = operands[0]
    if shape is None:
        return NotImplemented
    if name.endswith("_"):
        fits = len(shape) == first.dim() and all(map(is_same, shape, first.shape))
        return first if fits and args[0] is first else NotImplemented
    ones = [empty(arg, (1,) * arg.dim()) if isinstance(arg, Tensor) else arg for arg in args]
    return empty(first, shape, func(*ones, **kwargs).dtype)


def _view(x: Tensor, size: Any, *rest: Any) -> Any:
    if not isinstance(size, tuple | list) or not all(
        map(is_same, x.stride(), empty(x, x.shape).stride())
    ):
        return NotImplemented
    return empty(x, viewed(x.shape, size))


def _layer_norm(x: Tensor, shape: Sequence[Size], *rest: Any) -> Any:
    count = len(shape)
    message = f"Given normalized_shape={list(shape)}, got input of size {tuple(x.shape)}"
    require(x.dim() >= count, message)
    for size, wanted in zip(x.shape[-count:], shape, strict=True):
        require(size == wanted, message)
    statistics = (*x.shape[:-count], *(1,) * count)
    return empty(x, x.shape), empty(x, statistics), empty(x, statistics)


def _batch_norm(x: Tensor, *rest: Any) -> Any:
    for parameter in rest:
        if isinstance(parameter, Tensor):
            require(
                parameter.dim() == 1 and parameter.shape[0] == x.shape[1],
                f"running_mean should contain {x.shape[1]} elements not {parameter.shape[0]}",
            )
    return empty(x, x.shape), empty(x, (x.shape[1],)), empty(x, (x.shape[1],))


def _addmm(bias: Tensor, x: Tensor, other: Tensor, **kwargs: Any) -> Any:
    require(
        x.shape[1] == other.shape[0],
        f"mat1 and mat2 shapes cannot be multiplied ({tuple(x.shape)} and {tuple(other.shape)})",
    )
    shape = (x.shape[0], other.shape[1])
    common = broadcast([bias.shape, shape])
    fits = common is not None and len(common) == 2 and all(map(is_same, common, shape))
    return empty(x, shape) if fits else NotImplemented


def _mean(x: Tensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    dims = [dim] if isinstance(dim, int) else dim
    if dims is None or kwargs or not all(-x.dim() <= d < x.dim() for d in dims):
        return NotImplemented
    gone = {d % x.dim() for d in dims} or set(range(x.dim()))
    kept = [
        1 if axis in gone else size
        for axis, size in enumerate(x.shape)
        if keepdim or axis not in gone
    ]
    return empty(x, kept)


def _require_pixels(shape: Sequence[Size]) -> None:
    for size in shape[2:]:
        require(size > 0, "Input and output sizes should be greater than 0")


def _upsampled(x: Tensor, *rest: Any, **kwargs: Any) -> None:
    _require_pixels(x.shape)


def _squeezed(x: Tensor, dim: Any = None) -> None:
    """Which axes vanish depends on which are 1: ask, so that each case is a region."""
    for axis in range(x.dim()) if dim is None else [dim] if isinstance(dim, int) else dim:
        if x.dim():
            bool(x.shape[axis] == 1)


def _selected(x: Tensor, dim: int, index: Any) -> None:
    if x.dim() and not (bool(index < x.shape[dim]) and bool(-x.shape[dim] <= index)):
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {tuple(x.shape)} "
            f"at dimension {dim}"
        )


def _reduced(x: Tensor, dim: Any = None, *rest: Any, **kwargs: Any) -> None:
    dims = [dim] if isinstance(dim, int) else dim if isinstance(dim, tuple | list) else []
    for axis in dims if x.dim() else []:
        require(x.shape[axis] > 0, f"Expected reduction dim {axis} to have non-zero size.")


_KERNELS: dict[str, Callable[..., Any]] = {
    "view": _view,
    "_unsafe_view": _view,
    "native_layer_norm": _layer_norm,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "addmm": _addmm,
    "mean": _mean,
}

_CHECKS: dict[str, Callable[..., None]] = {
    "squeeze": _squeezed,
    "select": _selected,
    **dict.fromkeys(["max", "min", "amax", "amin", "argmax", "argmin", "median"], _reduced),
    **dict.fromkeys(
        [
            "upsample_nearest1d",
            "upsample_nearest2d",
            "upsample_nearest3d",
            "upsample_linear1d",
            "upsample_bilinear2d",
            "upsample_trilinear3d",
            "upsample_bicubic2d",
        ],
        _upsampled,
    ),
}
