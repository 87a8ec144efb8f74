"""Shape rules above PyTorch's own: fewer questions about sizes, and checks that its own skip.

PyTorch's fake kernels ask about sizes that do not matter (is this tensor contiguous? is that axis
1, and broadcast?), and every question splits the sizes into regions. The rules here answer by the
shapes alone. Fake kernels also let pass what real ones refuse, such as a picture of no rows; these
checks are added.
"""

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch._subclasses import fake_tensor
from torch.fx.experimental import symbolic_shapes
from torch.nn import functional
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from shapezoo.contracts.proving import hint_of
from shapezoo.proving.bounds import State, UndecidedError, Values

_UNDECIDED = (
    fake_tensor.DataDependentOutputException,
    fake_tensor.DynamicOutputShapeException,
    fake_tensor.UnsupportedOperatorException,
    fake_tensor.UnsupportedFakeTensorException,
    symbolic_shapes.GuardOnDataDependentSymNode,
    UndecidedError,
)
_UNDECIDED_TEXTS = (
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


Size = Any
"""A whole number, or a symbol of one."""


def empty(like: Tensor, shape: Sequence[Size], dtype: torch.dtype | None = None) -> Tensor:
    """A contiguous tensor: nothing needs to be asked about its layout."""
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device=like.device)


def require(condition: Any, message: str, *sizes: Size) -> None:
    """What a real kernel checks.

    Args:
        condition: What it checks.
        message: What it says, with ``{}`` for each of the sizes.
        *sizes: Sizes, whose text is made in case of need only.

    Raises:
        RuntimeError: It does not hold.
    """
    if not condition:
        raise RuntimeError(message.format(*sizes))


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
    message = "shape {} is invalid for input of size {}"
    unknown = [index for index, size in enumerate(sizes) if not size >= 0]
    if not unknown:
        require(math.prod(sizes) == total, message, sizes, total)
        return sizes
    known = math.prod(size for index, size in enumerate(sizes) if index != unknown[0])
    require(len(unknown) == 1 and sizes[unknown[0]] == -1, message, sizes, total)
    require(known != 0, message, sizes, total)
    require(total % known == 0, message, sizes, total)
    sizes[unknown[0]] = total // known
    return sizes


class FunctionRules(TorchFunctionMode):
    """Functions whose parts would ask about layout.

    Args:
        values: What is known of values.
    """

    def __init__(self, values: Values) -> None:
        super().__init__()
        self.values = values

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        rule = _FUNCTIONS.get(func)
        if rule and args and isinstance(args[0], Tensor) and args[0].device.type == "meta":
            result = rule(*args, **kwargs)
            if result is not NotImplemented:
                if rule in (_reshape, _flatten, _contiguous):
                    self.values.copy(args[0], result)
                else:
                    self.values.follow("", args, kwargs, result)
                return result
        if func in _INDEXING and has_symbols(args[1]):
            self.values.give_up("an index is a list with sizes")
        if func is functional.one_hot:
            self.values.check_one_hot(*args, **kwargs)
        result = func(*args, **kwargs)
        if func in _LITERALS:
            is_sized = has_symbols(list(args))
            self.values.set([result], State.LOST if is_sized else State.CONSTANT)
        return result


_INDEXING = (Tensor.__getitem__, Tensor.__setitem__)
_LITERALS = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)


def has_symbols(value: Any) -> bool:
    """Whether there is a symbol in a list of numbers."""
    if isinstance(value, tuple):  # of axes; a slice of symbols makes no values
        return any(has_symbols(item) for item in value if isinstance(item, list))
    if isinstance(value, list):
        return any(isinstance(item, torch.SymInt) or has_symbols(item) for item in value)
    return False


def _reshape(x: Tensor, *sizes: Any, shape: Any = None) -> Any:
    if shape is None:
        shape = sizes[0] if isinstance(sizes[0], tuple | list) else sizes
    return empty(x, viewed(x.shape, shape))


def _flatten(x: Tensor, start_dim: int = 0, end_dim: int = -1) -> Any:
    axes = x.dim()
    if not axes or not all(-axes <= dim < axes for dim in (start_dim, end_dim)):
        return NotImplemented
    start, end = start_dim % axes, end_dim % axes + 1
    if start >= end:
        return NotImplemented
    return empty(x, (*x.shape[:start], math.prod(x.shape[start:end]), *x.shape[end:]))


def _linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Any:
    if not x.dim() or weight.dim() != 2 or weight.dtype != x.dtype or not _is_plain(x, weight):
        return NotImplemented
    if bias is not None and (bias.dtype != x.dtype or not _fits(bias.shape, weight.shape[:1])):
        return NotImplemented
    require(x.shape[-1] == weight.shape[1], _PRODUCT, tuple(x.shape), tuple(weight.shape[::-1]))
    return empty(x, (*x.shape[:-1], weight.shape[0]))


def _matmul(x: Tensor, other: Tensor) -> Any:
    if not isinstance(other, Tensor) or x.dim() < 2 or other.dim() < 2:
        return NotImplemented
    if x.dtype != other.dtype or not _is_plain(x, other):
        return NotImplemented
    require(x.shape[-1] == other.shape[-2], _PRODUCT, tuple(x.shape), tuple(other.shape))
    common = broadcast([x.shape[:-2], other.shape[:-2]])
    if common is None:
        return NotImplemented
    return empty(x, (*common, x.shape[-2], other.shape[-1]))


_PRODUCT = "mat1 and mat2 shapes cannot be multiplied ({} and {})"


def _is_plain(*tensors: Tensor) -> bool:
    """Whether tensors hold numbers that can be multiplied, all on the device of symbols."""
    return all(t.device.type == "meta" and t.dtype != torch.bool for t in tensors)


def _fits(shape: Sequence[Size], wanted: Sequence[Size]) -> bool:
    return len(shape) == len(wanted) and all(map(is_same, shape, wanted))


def _contiguous(x: Tensor, **kwargs: Any) -> Any:
    return NotImplemented if kwargs else empty(x, x.shape)


def _upsample(x: Tensor, output_size: Any, *rest: Any) -> Any:  # rest ends with the factors
    sizes, factors = output_size, rest[-1]
    if not x.is_floating_point() or (sizes is None) == (factors is None):
        return NotImplemented
    if factors is not None:
        pairs = list(zip(x.shape[2:], factors, strict=True))
        if any(isinstance(factor, torch.SymFloat) or factor <= 0 for factor in factors):
            return NotImplemented
        sizes = [s * int(f) if float(f).is_integer() else math.floor(s * f) for s, f in pairs]
    _require_pixels((*x.shape, *sizes))
    return empty(x, (*x.shape[:2], *sizes))


def _max_pool1d(
    x: Tensor,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Any:
    if x.dim() not in (2, 3):
        return NotImplemented
    stride = stride or kernel_size
    each = [kernel_size, stride, padding, dilation]
    kernel, step, pad, gap = (part[0] if isinstance(part, tuple | list) else part for part in each)
    flat = x.unsqueeze(-2)
    pooled = torch.max_pool2d(flat, (1, kernel), (1, step), (0, pad), (1, gap), ceil_mode)
    return pooled.squeeze(-2)


def _group_norm(
    x: Tensor, num_groups: int, weight: Any = None, bias: Any = None, *rest: Any, **options: Any
) -> Any:
    weights = [part for part in (weight, bias) if part is not None]
    if x.dim() < 2 or not x.is_floating_point() or num_groups < 1:
        return NotImplemented
    if any(part.dtype != x.dtype or part.dim() != 1 for part in weights):
        return NotImplemented
    message = (
        "Expected number of channels in input to be divisible by num_groups, but got {} and {}"
    )
    require(x.shape[1] % num_groups == 0, message, tuple(x.shape), num_groups)
    for part in weights:
        message = "Expected weight to be a vector of size {}, but got {}"
        require(part.shape[0] == x.shape[1], message, x.shape[1], part.shape[0])
    return empty(x, x.shape)


def _attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    **options: Any,
) -> Any:
    parts = (query, key, value)
    axes, dtypes = {part.dim() for part in parts}, {part.dtype for part in parts}
    is_odd = options.get("enable_gqa") or (is_causal and attn_mask is not None)
    if len(axes) > 1 or len(dtypes) > 1 or query.dim() < 3 or is_odd:
        return NotImplemented
    common = broadcast([part.shape[:-2] for part in parts])
    if common is None or not query.is_floating_point():
        return NotImplemented
    scores = (*common, query.shape[-2], key.shape[-2])
    if attn_mask is not None:
        fits = broadcast([attn_mask.shape, scores])
        if fits is None or not _fits(fits, scores):
            return NotImplemented
    require(query.shape[-1] == key.shape[-1], _PRODUCT, tuple(query.shape), tuple(key.shape))
    require(key.shape[-2] == value.shape[-2], _PRODUCT, scores, tuple(value.shape))
    return empty(query, (*scores[:-1], value.shape[-1]))


_UPSAMPLING = (
    *(torch._C._nn.upsample_nearest1d, torch._C._nn.upsample_nearest2d),
    *(torch._C._nn.upsample_nearest3d, torch._C._nn._upsample_nearest_exact1d),
    *(torch._C._nn._upsample_nearest_exact2d, torch._C._nn._upsample_nearest_exact3d),
    *(torch._C._nn.upsample_linear1d, torch._C._nn.upsample_bilinear2d),
    *(torch._C._nn.upsample_bicubic2d, torch._C._nn.upsample_trilinear3d),
)

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    functional.scaled_dot_product_attention: _attention,
    torch.max_pool1d: _max_pool1d,
    torch.group_norm: _group_norm,
    torch.reshape: _reshape,
    Tensor.reshape: _reshape,
    torch.flatten: _flatten,
    Tensor.flatten: _flatten,
    functional.linear: _linear,
    torch.matmul: _matmul,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
    Tensor.contiguous: _contiguous,
    **dict.fromkeys(_UPSAMPLING, _upsample),
}


@contextlib.contextmanager
def outermost_builtins() -> Iterator[None]:
    """Let a mode see the built-in functions inside PyTorch's functions that are written in Python.

    Those would be seen themselves, and what they call would not: a mode sees the outermost
    function only. They ask `has_torch_function`, which knows of modes.
    """
    with contextlib.ExitStack() as stack:
        for module in (functional, torch.functional):
            for name in [name for name in vars(module) if name.startswith("has_torch_function")]:
                stack.enter_context(patch.object(module, name, lambda *args: False))
        yield


class KernelRules(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's has no types
    """Kernels whose fake versions ask too much, or too little.

    Args:
        values: What is known of values.
    """

    def __init__(self, values: Values) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch's has no types
        self.values = values

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        has_tensor = bool(args) and isinstance(args[0], Tensor)
        result = NotImplemented
        if has_tensor:
            if name in _CHECKS:
                _CHECKS[name](*args, **kwargs)
            self.values.check(name, func._schema, args)
            result = _by_rule(func, name, args, kwargs)
        if result is NotImplemented:
            try:
                result = func(*args, **kwargs)
            except Exception as error:
                if is_undecided(error):
                    self.values.undecided = error
                raise
        self.values.follow(name, args, kwargs, result)
        return result


def _by_rule(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    if name in _KERNELS:
        return _KERNELS[name](*args, **kwargs)
    if name.removesuffix("_") in _LIKE_INPUT and args[0].is_floating_point():
        return args[0] if name.endswith("_") else empty(args[0], args[0].shape)
    if torch.Tag.pointwise in func.tags and len(func._schema.returns) == 1:
        return _pointwise(func, name, args, kwargs)
    return NotImplemented


_LIKE_INPUT = {"hardswish", "hardsigmoid", "hardtanh", "leaky_relu"}


def _pointwise(func: Any, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    operands = [arg for arg in args if isinstance(arg, Tensor)]
    if any(isinstance(value, Tensor) for value in kwargs.values()):
        return NotImplemented
    shape = broadcast([operand.shape for operand in operands])
    first = operands[0]
    if shape is None:
        return NotImplemented
    dtype = _dtype(func, args, kwargs)
    if name.endswith("_"):
        return first if args[0] is first and _fits(shape, first.shape) else NotImplemented
    whole = [operand for operand in operands if _fits(operand.shape, shape)]
    if (
        whole
        and _is_permuted(whole[0])
        and all(_fits(t.stride(), whole[0].stride()) for t in whole)
    ):
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


def _is_contiguous(x: Tensor) -> bool:
    """Whether a tensor is written as a contiguous one; asks nothing."""
    return _fits(x.stride(), empty(x, x.shape).stride())


def _is_permuted(x: Tensor) -> bool:
    """Whether a tensor is written as a contiguous one whose axes were permuted."""
    if _is_contiguous(x):
        return False
    steps = [hint_of(step) if isinstance(step, torch.SymInt) else step for step in x.stride()]
    orders = itertools.permutations(range(x.dim()))
    falling = (o for o in orders if all(steps[a] >= steps[b] for a, b in itertools.pairwise(o)))
    return any(_is_contiguous(x.permute(order)) for order in falling)


def _view(x: Tensor, size: Any, *rest: Any) -> Any:
    if not isinstance(size, tuple | list) or not _is_contiguous(x):
        return NotImplemented
    return empty(x, viewed(x.shape, size))


def _layer_norm(x: Tensor, shape: Sequence[Size], *rest: Any) -> Any:
    count = len(shape)
    weights = [weight for weight in rest if isinstance(weight, Tensor)]
    if x.dim() < count or not x.is_floating_point():
        return NotImplemented
    if any(weight.dtype != x.dtype or not _fits(weight.shape, shape) for weight in weights):
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


def _addmm(bias: Tensor, x: Tensor, other: Tensor, **kwargs: Any) -> Any:
    if not x.dtype == other.dtype == bias.dtype or x.dim() != 2 or other.dim() != 2:
        return NotImplemented
    require(x.shape[1] == other.shape[0], _PRODUCT, tuple(x.shape), tuple(other.shape))
    shape = (x.shape[0], other.shape[1])
    common = broadcast([bias.shape, shape])
    fits = bias.dim() <= 2 and common is not None and _fits(common, shape)
    return empty(x, shape) if fits else NotImplemented


def _mean(x: Tensor, dim: Any = None, keepdim: bool = False, **kwargs: Any) -> Any:
    dims = [dim] if isinstance(dim, int) else dim
    if dims is None or kwargs or not x.is_floating_point():
        return NotImplemented
    if not all(-x.dim() <= d < x.dim() for d in dims):
        return NotImplemented
    gone = {d % x.dim() for d in dims} or set(range(x.dim()))
    if len(dims) not in (0, len(gone)):
        return NotImplemented
    sizes = [1 if axis in gone else size for axis, size in enumerate(x.shape)]
    return empty(x, [size for axis, size in enumerate(sizes) if keepdim or axis not in gone])


def _require_pixels(shape: Sequence[Size]) -> None:
    for size in shape[2:]:
        require(size > 0, "Input and output sizes should be greater than 0")


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
    "addmm": _addmm,
    "mean": _mean,
}


def _strided(x: Tensor, size: Sequence[Size], stride: Sequence[Size], offset: Any = None) -> None:
    last = x.storage_offset() if offset is None else offset
    for count, step in zip(size, stride, strict=True):
        last = last + (count - 1) * step
    room = x.untyped_storage().nbytes() // x.element_size()
    require(last < room, "setStorage: out of bounds for storage of {} numbers", room)


def _unpooled(*args: Any, **kwargs: Any) -> None:
    raise UndecidedError("the indices of an unpooling decide whether it is possible")


_CHECKS: dict[str, Callable[..., None]] = {
    "as_strided": _strided,
    "max_unpool2d": _unpooled,
    "max_unpool3d": _unpooled,
    "squeeze": _squeezed,
    "select": _selected,
    **dict.fromkeys(
        ["max", "min", "amax", "amin", "argmax", "argmin", "median", "aminmax", "mode"], _reduced
    ),
}
