"""Shape rules of kernels whose fake versions ask too much, or check too little."""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._subclasses import fake_tensor
from torch.fx.experimental import symbolic_shapes
from torch.utils._python_dispatch import TorchDispatchMode

from shapezoo.contracts.matching.proof_mode import hint_of
from shapezoo.proving.effort import KERNEL, note
from shapezoo.proving.rules.common import (
    Size,
    broadcast,
    common_shape,
    empty,
    fits,
    require,
    viewed,
)
from shapezoo.proving.rules.kernels.kernel_limits import LIMITS
from shapezoo.proving.rules.kernels.products import addmm, grouped_mm
from shapezoo.proving.rules.kernels.sliding import fold, unfold
from shapezoo.proving.rules.kernels.views import expand, index, is_contiguous, stack, unsqueeze
from shapezoo.proving.rules.values.index_checks import check_indices
from shapezoo.proving.rules.values.scalars import check_numbers
from shapezoo.proving.rules.values.value_checks import may_refuse
from shapezoo.proving.rules.values.value_ranges import UndecidedError, ValueRanges, named

_UNDECIDED = (
    fake_tensor.DataDependentOutputException,
    fake_tensor.DynamicOutputShapeException,
    fake_tensor.UnsupportedOperatorException,
    fake_tensor.UnsupportedFakeTensorException,
    symbolic_shapes.GuardOnDataDependentSymNode,
    UndecidedError,
)
_UNDECIDED_TEXTS = (
    ".numpy() is not supported",
    "Could not run 'aten::",
    "FakeTensor",
    "Meta tensor",
    "SymIntArrayRef",
    "meta tensor",
    "symbolic sizes",
    "unbacked",
)


def is_undecided(error: BaseException) -> bool:
    """Whether an error tells of the symbols, and not of the model."""
    if isinstance(error, TypeError) and "Sym" in str(error):
        return True
    return isinstance(error, _UNDECIDED) or any(text in str(error) for text in _UNDECIDED_TEXTS)


class KernelRules(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's has no types
    """Kernels whose fake versions ask too much, or too little.

    Args:
        ranges: Collects what is known about the values of tensors.
        item: Makes the number that a tensor of some dtype holds, where its data decide.
        is_item: Says whether a number is made of such numbers.
    """

    def __init__(
        self,
        ranges: ValueRanges,
        item: Callable[[torch.dtype], Any],
        is_item: Callable[[Any], bool],
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no types
        self.ranges = ranges
        self.item = item
        self.is_item = is_item
        self._items: dict[int, tuple[Tensor, Any]] = {}  # keeps tensors, and so their ids

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        if not name.startswith("prim::"):  # only asks for the device
            note(KERNEL)  # `FunctionRules` stops when none is left
        has_tensor = bool(args) and isinstance(args[0], Tensor)
        result = NotImplemented
        if any(map(self.is_item, _sizes_in(func._schema, args))):
            self.ranges.give_up("a number is read from values, and decides a size or a place")
        if name in _NUMBERS and not args[0].is_complex():
            return self._number_in(args[0])
        arguments = named(func._schema, args, kwargs)
        if may_refuse(self.ranges, name, arguments):
            require(not self.item(torch.bool), f"{name} refuses some values")
        check_numbers(func._schema, name, arguments)
        if has_tensor:
            if name in _CHECKS:
                self._check(name, args, kwargs)
            check_indices(self.ranges, name, arguments)
            result = _by_rule(func, name, args, kwargs)
        elif name == "stack" and args[0]:
            result = stack(*args, **kwargs)
        if result is NotImplemented:
            try:
                result = func(*args, **kwargs)
            except Exception as error:
                if is_undecided(error):
                    self.ranges.undecided = error
                raise
        self.ranges.follow(func, args, kwargs, result)
        return result

    def _check(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        try:
            _CHECKS[name](*args, **kwargs)
        except UndecidedError as error:
            self.ranges.undecided = error
            raise

    def _number_in(self, x: Tensor) -> Any:
        """The number in a tensor: the true one of a constant, or else one that is not known.

        What the model does for any number is followed, whatever it is made of.
        """
        if (number := self.ranges.number_of(x)) is not None:
            return number
        if id(x) not in self._items:
            self._items[id(x)] = x, self.item(x.dtype)
        return self._items[id(x)][1]


_NUMBERS = {"item", "_local_scalar_dense"}
"""Kernels that give the number in a tensor."""


def _sizes_in(schema: Any, args: Sequence[Any]) -> Iterator[Any]:
    """The sizes and places that a kernel is given; fake kernels put off what real ones check."""
    for part, value in zip(schema.arguments, args, strict=False):
        if "int" in str(part.type):  # not "number", of which a value is made
            yield from value if isinstance(value, list | tuple) else (value,)


def _by_rule(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name == "convolution":
        return _convolution(func, args)
    if name == "linalg_vector_norm" and _is_sum_of_powers(*args):
        return _reduction(func, args, kwargs)
    if name in _REDUCTIONS or (name in ("max", "min") and len(args) == 1):
        return _reduction(func, args, kwargs)
    if name in _KERNELS:
        return _KERNELS[name](*args, **kwargs)
    if name.removesuffix("_") in _LIKE_INPUT and args[0].is_floating_point():
        return args[0] if name.endswith("_") else empty(args[0], args[0].shape)
    if torch.Tag.pointwise in func.tags and len(func._schema.returns) == 1:
        return _pointwise(func, name, args, kwargs)
    return NotImplemented


def _is_sum_of_powers(x: Tensor, order: float = 2, *rest: Any) -> bool:
    """Whether a norm is of an order that also the norm of nothing has."""
    return isinstance(order, int | float) and 0 <= order < math.inf


def _convolution(func: Any, args: tuple[Any, ...]) -> Any:
    """Ask for what a convolution checks; on a CPU, torch asks which of its kernels to choose."""
    if args[0].device.type != "cpu":
        return NotImplemented
    shape = _convolved(*args)
    if shape is None:
        twins = [_on_meta(arg) if isinstance(arg, Tensor) else arg for arg in args]
        shape = func(*twins).shape
    return empty(args[0], shape)


def _convolved(
    x: Tensor, weight: Tensor, bias: Tensor | None, *options: Any
) -> tuple[Size, ...] | None:
    """The shape of an ordinary convolution; None for another."""
    strides, paddings, dilations, transposed, _, groups = options
    axes, parts = weight.dim(), [weight] if bias is None else [weight, bias]
    if transposed or x.dim() != axes or any(part.dtype != x.dtype for part in parts):
        return None
    each = [_per_axis(option, axes - 2) for option in (strides, paddings, dilations)]
    if not all(type(size) is int and size > 0 for size in (*weight.shape, *each[0], *each[2])):
        return None
    if weight.shape[0] % groups or (bias is not None and bias.shape != weight.shape[:1]):
        return None
    if not all(size > 0 for size in x.shape):
        return None
    message = "expected input{} to have {} channels"
    require(x.shape[1] == weight.shape[1] * groups, message, x.shape, weight.shape[1] * groups)
    sizes = []
    for size, kernel, step, pad, gap in zip(x.shape[2:], weight.shape[2:], *each, strict=True):
        room = size + 2 * pad - gap * (kernel - 1) - 1
        require(room >= 0, "Kernel size can't be greater than actual input size, {}", size)
        sizes.append(room // step + 1)
    return (x.shape[0], weight.shape[0], *sizes)


def _per_axis(option: Sequence[int], axes: int) -> Sequence[int]:
    return [*option] * axes if len(option) == 1 else option


def _on_meta(x: Tensor) -> Tensor:
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")


_REDUCTIONS = {"mean", "sum", "any", "all", "amax", "amin", "logsumexp"}

_LIKE_INPUT = {"hardswish", "hardsigmoid", "hardtanh", "leaky_relu"}


def _pointwise(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    operands = [arg for arg in args if isinstance(arg, Tensor)]
    if any(isinstance(value, Tensor) for value in kwargs.values()):
        return NotImplemented
    shapes = [operand.shape for operand in operands]
    shape, first = broadcast(shapes), operands[0]
    if shape is None and all(map(is_contiguous, operands)):
        shape = common_shape(shapes)
    if shape is None:
        return NotImplemented
    dtype = _dtype(func, args, kwargs)
    if name.endswith("_"):
        return first if args[0] is first and fits(shape, first.shape) else NotImplemented
    whole = [operand for operand in operands if fits(operand.shape, shape)]
    if whole and _is_permuted(whole[0]) and all(fits(t.stride(), whole[0].stride()) for t in whole):
        return torch.empty_strided(shape, whole[0].stride(), dtype=dtype, device=first.device)
    return empty(first, shape, dtype)


def _dtype(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.dtype:
    """The dtype of the result of a kernel, which knows which dtypes go together."""
    parts = (*args, *kwargs.values())
    key = (func, *(_kind(part) for part in parts), *kwargs)
    if key not in _DTYPES:
        ones = [empty(arg, (1,) * arg.dim()) if isinstance(arg, Tensor) else arg for arg in args]
        _DTYPES[key] = func(*ones, **kwargs).dtype
    return _DTYPES[key]


def _kind(part: object) -> object:
    """All of an argument that the dtype of a result depends on."""
    if isinstance(part, Tensor):
        return part.dtype, part.dim() > 0
    return part if isinstance(part, str | torch.dtype) else type(part)


_DTYPES: dict[object, torch.dtype] = {}


def _is_permuted(x: Tensor) -> bool:
    """Whether a tensor is written as a contiguous one whose axes were permuted."""
    if is_contiguous(x):
        return False
    steps = [hint_of(step) if isinstance(step, torch.SymInt) else step for step in x.stride()]
    orders = itertools.permutations(range(x.dim()))
    falling = (o for o in orders if all(steps[a] >= steps[b] for a, b in itertools.pairwise(o)))
    return any(is_contiguous(x.permute(order)) for order in falling)


def _view(x: Tensor, size: Any, *rest: Any) -> Any:
    if not isinstance(size, tuple | list) or not is_contiguous(x):
        return NotImplemented
    return empty(x, viewed(x.shape, size))


def _layer_norm(x: Tensor, shape: Sequence[Size], *rest: Any) -> Any:
    count = len(shape)
    weights = [weight for weight in rest if isinstance(weight, Tensor)]
    if x.dim() < count or not x.is_floating_point():
        return NotImplemented
    if any(weight.dtype != x.dtype or not fits(weight.shape, shape) for weight in weights):
        return NotImplemented
    for size, wanted in zip(x.shape[-count:], shape, strict=True):
        message = "Given normalized_shape={}, got input of size {}"
        require(size == wanted, message, list(shape), tuple(x.shape))
    statistics = (*x.shape[:-count], *(1,) * count)
    return empty(x, x.shape), empty(x, statistics), empty(x, statistics)


def _batch_norm(x: Tensor, *rest: Any) -> Any:
    weights = [weight for weight in rest if isinstance(weight, Tensor)]
    if x.dim() < 2 or not x.is_floating_point():
        return NotImplemented
    if any(weight.dtype != x.dtype or weight.dim() != 1 for weight in weights):
        return NotImplemented
    for weight in weights:
        message = "running_mean should contain {} elements not {}"
        require(weight.shape[0] == x.shape[1], message, x.shape[1], weight.shape[0])
    return empty(x, x.shape), empty(x, (x.shape[1],)), empty(x, (x.shape[1],))


def _reduction(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """A mean, a sum or another number for each position along the other axes."""
    x, named = (
        args[0],
        dict(zip([part.name for part in func._schema.arguments], args, strict=False)),
    )
    named |= kwargs
    dims = named.get("dim")
    dims = [dims] if isinstance(dims, int) else dims
    if dims is not None and (not dims or not all(-x.dim() <= d < x.dim() for d in dims)):
        return NotImplemented
    gone = {d % x.dim() for d in dims} if dims else set(range(x.dim()))
    if (dims and len(dims) != len(gone)) or "out" in kwargs:
        return NotImplemented
    keeps = named.get("keepdim", False)
    sizes = [1 if axis in gone else size for axis, size in enumerate(x.shape)]
    shape = [size for axis, size in enumerate(sizes) if keeps or axis not in gone]
    return empty(x, shape, _dtype(func, args, kwargs))


def _cumsum(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Any:
    if not -x.dim() <= dim < x.dim():
        return NotImplemented
    is_whole = not x.is_floating_point() and not x.is_complex()
    return empty(x, x.shape, dtype or (torch.int64 if is_whole else x.dtype))


def _to_copy(x: Tensor, **kwargs: Any) -> Any:
    device = kwargs.get("device") or x.device
    if not is_contiguous(x) or torch.device(device).type != x.device.type:
        return NotImplemented
    if kwargs.get("memory_format") not in (None, torch.preserve_format):
        return NotImplemented
    return empty(x, x.shape, kwargs.get("dtype"))


def _squeezed(x: Tensor, dim: Any = None) -> None:
    """Which axes vanish depends on which are 1: ask, so that each case is a region."""
    for axis in range(x.dim()) if dim is None else [dim] if isinstance(dim, int) else dim:
        if x.dim():
            bool(x.shape[axis] == 1)


def _selected(x: Tensor, dim: int, index: Any) -> None:
    if x.dim() and not (bool(index < x.shape[dim]) and bool(-x.shape[dim] <= index)):
        raise IndexError(f"index {index} is out of range for size {x.shape[dim]}")


def _reduced(x: Tensor, dim: Any = None, *rest: Any, **kwargs: Any) -> None:
    dims = [dim] if isinstance(dim, int) else dim if isinstance(dim, tuple | list) else []
    for axis in dims or range(x.dim()):
        if -x.dim() <= axis < x.dim():
            require(x.shape[axis] > 0, "Expected reduction dim {} to have non-zero size.", axis)


_KERNELS: dict[str, Callable[..., Any]] = {
    "view": _view,
    "_unsafe_view": _view,
    "native_layer_norm": _layer_norm,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "_native_batch_norm_legit_no_training": _batch_norm,
    "addmm": addmm,
    "_grouped_mm": grouped_mm,
    "cumsum": _cumsum,
    "_to_copy": _to_copy,
    "im2col": unfold,
    "col2im": fold,
    "unsqueeze": unsqueeze,
    "expand": expand,
    "index": index,
}


def _strided(x: Tensor, size: Sequence[Size], stride: Sequence[Size], offset: Any = None) -> None:
    last = x.storage_offset() if offset is None else offset
    for count, step in zip(size, stride, strict=True):
        last = last + (count - 1) * step
    room = x.untyped_storage().nbytes() // x.element_size()
    require(last < room, "setStorage: out of bounds for storage of {} numbers", room)


def _unpooled(*args: Any, **kwargs: Any) -> None:
    raise UndecidedError("the indices of an unpooling decide whether it is possible")


def _median(x: Tensor, dim: Any = None, *rest: Any, **kwargs: Any) -> None:
    if dim is not None:
        _reduced(x, dim)  # the median of nothing at all is nan


_CHECKS: dict[str, Callable[..., None]] = {
    **LIMITS,
    "as_strided": _strided,
    "max_unpool2d": _unpooled,
    "max_unpool3d": _unpooled,
    "squeeze": _squeezed,
    "select": _selected,
    **dict.fromkeys(
        ["max", "min", "amax", "amin", "argmax", "argmin", "aminmax", "mode"], _reduced
    ),
    **dict.fromkeys(["median", "nanmedian"], _median),
}
