"""Shape rules of functions whose parts would ask about layout."""

import contextlib
import math
import os
import sys
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from shapezoo._containers import tensors_of
from shapezoo._frames import is_library
from shapezoo.proving.effort import require_some
from shapezoo.proving.rules.common import (
    PRODUCT,
    Size,
    broadcast,
    empty,
    fits,
    is_same,
    require,
    require_pixels,
    viewed,
)
from shapezoo.proving.rules.functions.attention_masks import attention
from shapezoo.proving.rules.functions.einsum import EINSUM, einsum
from shapezoo.proving.rules.functions.parts import Parts, split, unbind
from shapezoo.proving.rules.functions.sized import (
    ADAPTIVE,
    AVERAGES,
    adaptive_pool,
    arange,
    average_pool,
    linspace,
)
from shapezoo.proving.rules.kernels.views import is_contiguous
from shapezoo.proving.rules.messages import is_in_message
from shapezoo.proving.rules.values.constants import real_kernels
from shapezoo.proving.rules.values.index_checks import check_one_hot
from shapezoo.proving.rules.values.scalars import require_fit
from shapezoo.proving.rules.values.value_ranges import ValueRanges


class FunctionRules(TorchFunctionMode):
    """Functions whose parts would ask about layout.

    Args:
        ranges: Collects what is known about the values of tensors.
    """

    def __init__(self, ranges: ValueRanges) -> None:
        super().__init__()
        self.ranges = ranges

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        require_some()
        args, kwargs = _by_position(func, args, kwargs or {})
        first = args[0] if args else None
        if any(isinstance(part, Parts) for part in (*args, *kwargs.values())):
            args = tuple(map(_whole, args))
            kwargs = {name: _whole(part) for name, part in kwargs.items()}
        if func in _SHAPING:
            args = args[0], *map(self._size_in, args[1:])
        rule = _FUNCTIONS.get(func)
        if func is functional.one_hot:
            check_one_hot(self.ranges, *args, **kwargs)
        if rule and args and (func in _WITHOUT_TENSOR or isinstance(first, FakeTensor)):
            result = rule(*args, **kwargs)
            if result is not NotImplemented:
                if isinstance(result, Parts):  # each is followed when it is cut
                    return result
                if rule in (_reshape, _flatten, _contiguous):
                    self.ranges.preserve(args[0], result)
                else:
                    self.ranges.lose(tensors_of(result), func.__name__)
                return result
        if func is Tensor.__getitem__ and isinstance(args[1], torch.SymInt):
            return torch.select(args[0], 0, args[1])  # indexing would ask for its number
        if func in _INDEXING:
            args = args[0], self._indices(args[1]), *args[2:]
        if func is Tensor.__bool__ and isinstance(first, FakeTensor):
            args = (first if first.dtype == torch.bool else first != 0,)
        if func in _TEXTS and isinstance(first, FakeTensor):
            if not is_in_message():
                self.ranges.give_up("the text of a tensor depends on its values")
            return "a tensor"
        if func in _LITERALS and _is_of_sizes(args[-1]):
            usual = args[0].dtype if func is Tensor.new_tensor else torch.int64
            literal = torch.empty(_shape_of(args[-1]), dtype=kwargs.get("dtype") or usual)
            for number in _numbers_in(args[-1]):
                require_fit(number, literal.dtype)
            self._note_literal(func.__name__, args[-1], literal)
            return literal
        is_made = isinstance(first, FakeTensor) and not isinstance(first, nn.Parameter)
        is_asked = func in _GRADIENTS and is_made
        if is_asked and _is_of_model(sys._getframe(1)):
            self.ranges.give_up(
                "rules make tensors anew, of which it is not known how they were made"
            )
        if func in _WITH_FUNCTIONS:  # they would read memory that fake tensors do not have
            self.ranges.give_up(f"{func.__name__} calls a function on the values of a tensor")
        if func in (torch.where, Tensor.where):
            dtypes = [part.dtype for part in args[1:] if isinstance(part, Tensor)]
            for number in args[1:] if dtypes else ():
                require_fit(number, dtypes[0])
        result = func(*args, **kwargs)
        if func == _SET_DATA:  # each access makes a new one
            self.ranges.set_lost(args[0])
        if func in _LITERALS:
            self._note_literal(func.__name__, args[-1], result)
        return result

    def _indices(self, index: Any) -> Any:
        """Make tensors of lists in an index, so that their numbers can be checked."""
        if isinstance(index, tuple):
            return tuple(map(self._indices, index))
        if isinstance(index, slice):
            return slice(*map(self._size_in, (index.start, index.stop, index.step)))
        numbers = list(_numbers_in(index)) if isinstance(index, list) else []
        if not numbers or not all(isinstance(n, int | torch.SymInt) for n in numbers):
            return index
        if any(isinstance(number, bool) for number in numbers):
            return index
        literal = torch.empty(_shape_of(index), dtype=torch.int64)
        self._note_literal("a list", index, literal)
        return literal

    def _size_in(self, value: Any) -> Any:
        """Return the size that a tensor was made of, which torch would ask for its number."""
        if isinstance(value, tuple | list):
            return [*map(self._size_in, value)]
        number = self.ranges.number_of(value) if isinstance(value, Tensor) else None
        return value if number is None else number

    def _note_literal(self, name: str, value: Any, result: Tensor) -> None:
        """Note of which numbers a tensor was made."""
        numbers = list(_numbers_in(value))
        if isinstance(value, Tensor):
            if value is not result:
                self.ranges.lose([result], name)
        elif any(isinstance(number, torch.SymInt | torch.SymFloat) for number in numbers):
            self.ranges.set_numbers(result, numbers)
        elif all(isinstance(number, int | float) for number in numbers):
            with real_kernels():
                data = torch.tensor(value, dtype=result.dtype)
            self.ranges.set_data(result, data)
        else:
            self.ranges.lose([result], name)


def _whole(value: Any) -> Any:
    """Return the tuple of all parts; anything else as it is."""
    return tuple(value) if isinstance(value, Parts) else value


def _by_position(
    func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Give the argument that the rules look at by position."""
    names = _DATA if func in _LITERALS else _INPUT
    is_looked_at = func in _LITERALS or (not args and func in _FUNCTIONS)
    for name in names & kwargs.keys() if is_looked_at else ():
        args, kwargs = (*args, kwargs[name]), {k: v for k, v in kwargs.items() if k != name}
    return args, kwargs


_DATA, _INPUT = {"data", "obj"}, {"input", "query"}
"""Names of what a tensor is made of, and of the first tensor of functions."""


def _is_of_sizes(value: Any) -> bool:
    """Whether a literal is of whole numbers with sizes among them, which torch would fix."""
    numbers = list(_numbers_in(value))
    are_whole = all(type(number) in (int, torch.SymInt) for number in numbers)
    return are_whole and any(isinstance(number, torch.SymInt) for number in numbers)


_RULES = os.path.dirname(os.path.dirname(__file__))


def _is_of_model(frame: FrameType | None) -> bool:
    """Whether code of a model has called the rules, and not PyTorch's."""
    while frame is not None and frame.f_code.co_filename.startswith(_RULES):
        frame = frame.f_back
    return frame is not None and not is_library(frame.f_code.co_filename)


_SET_DATA = Tensor.data.__set__  # type: ignore[attr-defined]  # a descriptor for torch

_SHAPING = (Tensor.view, Tensor.reshape)

_INDEXING = (Tensor.__getitem__, Tensor.__setitem__)
_WITHOUT_TENSOR = (EINSUM, torch.linspace, torch.arange)
_GRADIENTS = tuple(
    getattr(Tensor, name).__get__ for name in ("requires_grad", "grad_fn", "is_leaf")
)
_WITH_FUNCTIONS = (Tensor.apply_, Tensor.map_, Tensor.map2_)
_TEXTS = (Tensor.__repr__, Tensor.__format__)
_LITERALS = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)


def _numbers_in(value: Any) -> Iterator[Any]:
    """Every number in nested lists."""
    if isinstance(value, list | tuple):
        for item in value:
            yield from _numbers_in(item)
    else:
        yield value


def _shape_of(value: Any) -> tuple[int, ...]:
    """The shape of nested lists."""
    return (len(value), *_shape_of(value[0])) if isinstance(value, list) else ()


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
    if bias is not None and (bias.dtype != x.dtype or not fits(bias.shape, weight.shape[:1])):
        return NotImplemented
    require(x.shape[-1] == weight.shape[1], PRODUCT, tuple(x.shape), tuple(weight.shape[::-1]))
    return empty(x, (*x.shape[:-1], weight.shape[0]))


def _matmul(x: Tensor, other: Tensor) -> Any:
    if not isinstance(other, Tensor) or x.dim() < 2 or other.dim() < 2:
        return NotImplemented
    if x.dtype != other.dtype or not _is_plain(x, other):
        return NotImplemented
    require(x.shape[-1] == other.shape[-2], PRODUCT, tuple(x.shape), tuple(other.shape))
    common = broadcast([x.shape[:-2], other.shape[:-2]])
    if common is None:
        return NotImplemented
    return empty(x, (*common, x.shape[-2], other.shape[-1]))


def _is_plain(*tensors: Tensor) -> bool:
    """Whether tensors hold numbers that can be multiplied, all on one device."""
    return all(t.device == tensors[0].device and t.dtype != torch.bool for t in tensors)


def _contiguous(x: Tensor, **kwargs: Any) -> Any:
    if kwargs:
        return NotImplemented
    return x if is_contiguous(x) else empty(x, x.shape)


def _upsample(x: Tensor, output_size: Any, *rest: Any) -> Any:  # rest ends with the factors
    sizes, factors = output_size, rest[-1]
    if not x.is_floating_point() or (sizes is None) == (factors is None):
        return NotImplemented
    if factors is not None:
        pairs = list(zip(x.shape[2:], factors, strict=True))
        if any(isinstance(factor, torch.SymFloat) or factor <= 0 for factor in factors):
            return NotImplemented
        sizes = [s * int(f) if float(f).is_integer() else math.floor(s * f) for s, f in pairs]
    require_pixels((*x.shape, *sizes))
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


def _one_hot(x: Tensor, num_classes: Size = -1) -> Any:
    if is_same(num_classes, -1) or x.dtype != torch.int64:
        return NotImplemented
    return empty(x, (*x.shape, num_classes))


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


_nn: Any = torch._C._nn  # pyright: ignore[reportAttributeAccessIssue]  # torch has no types for it

_UPSAMPLING = (
    *(_nn.upsample_nearest1d, _nn.upsample_nearest2d),
    *(_nn.upsample_nearest3d, _nn._upsample_nearest_exact1d),
    *(_nn._upsample_nearest_exact2d, _nn._upsample_nearest_exact3d),
    *(_nn.upsample_linear1d, _nn.upsample_bilinear2d),
    *(_nn.upsample_bicubic2d, _nn.upsample_trilinear3d),
)

_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    functional.scaled_dot_product_attention: attention,
    EINSUM: einsum,
    torch.linspace: linspace,
    torch.arange: arange,
    **dict.fromkeys(AVERAGES, average_pool),
    **{func: adaptive_pool(func) for func in ADAPTIVE},
    torch.max_pool1d: _max_pool1d,
    torch.group_norm: _group_norm,
    functional.one_hot: _one_hot,
    torch.reshape: _reshape,
    Tensor.reshape: _reshape,
    torch.flatten: _flatten,
    Tensor.flatten: _flatten,
    functional.linear: _linear,
    torch.matmul: _matmul,
    Tensor.matmul: _matmul,
    Tensor.__matmul__: _matmul,
    Tensor.contiguous: _contiguous,
    Tensor.split: split,
    torch.unbind: unbind,
    Tensor.unbind: unbind,
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
