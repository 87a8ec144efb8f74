"""Shape rules of PyTorch's Python functions whose parts would ask about layout or broadcasting.

A function such as `reshape` or `linear` calls different kernels according to strides and numbers of
axes, which are questions. By the shapes of its arguments alone the result is known. `FunctionRules`
returns it in place of the function, so no kernel runs; what the function checks is checked here.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from shapezoo.proving.rules.functions.attention_masks import attention
from shapezoo.proving.rules.functions.einsum import EINSUM, einsum
from shapezoo.proving.rules.functions.lazy_split import split, unbind
from shapezoo.proving.rules.functions.sizes_as_arguments import SIZED
from shapezoo.proving.rules.intervals import Size
from shapezoo.proving.rules.kernels.views import is_contiguous, strided
from shapezoo.proving.rules.shape_rules import (
    PRODUCT,
    broadcast,
    empty,
    fits,
    has_channel_weights,
    is_same,
    require,
    rule_table,
    viewed,
)


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


def _unflatten(x: Tensor, dim: Any, sizes: Any) -> Any:
    if not isinstance(sizes, tuple | list) or not sizes:
        return NotImplemented
    if not isinstance(dim, int) or not -x.dim() <= dim < x.dim():
        return NotImplemented
    axis = dim % x.dim()
    before, after = slice(axis), slice(axis + 1, None)
    parts = viewed(x.shape[axis : axis + 1], sizes)
    # whatever the strides are, one axis can be divided without a copy
    steps = [math.prod(parts[place + 1 :], start=x.stride()[axis]) for place in range(len(parts))]
    return strided(
        x,
        (*x.shape[before], *parts, *x.shape[after]),
        (*x.stride()[before], *steps, *x.stride()[after]),
    )


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


def _upsample(x: Tensor, output_size: Any, *rest: Any) -> Any:
    # between them may be align_corners
    sizes, factors = output_size, rest[-1]
    if not x.is_floating_point() or (sizes is None) == (factors is None):
        return NotImplemented
    if factors is not None:
        pairs = list(zip(x.shape[2:], factors, strict=True))
        if any(isinstance(factor, torch.SymFloat) or factor <= 0 for factor in factors):
            return NotImplemented
        sizes = [s * int(f) if float(f).is_integer() else math.floor(s * f) for s, f in pairs]
    for size in (*x.shape[2:], *sizes):
        require(size > 0, "Input and output sizes should be greater than 0")
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
    # as PyTorch computes it, but by functions that have rules
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
    if num_groups < 1 or not has_channel_weights(x, (weight, bias)):
        return NotImplemented
    message = "Expected number of channels to be divisible by num_groups, but got {} and {}"
    require(x.shape[1] % num_groups == 0, message, tuple(x.shape), num_groups)
    return empty(x, x.shape)


_nn: Any = torch._C._nn  # pyright: ignore[reportAttributeAccessIssue]  # torch has no types for it

FUNCTIONS = rule_table(
    # Which kernels these call depends on strides; their values are those of their argument.
    (_reshape, torch.reshape, Tensor.reshape),
    (_flatten, torch.flatten, Tensor.flatten),
    (_unflatten, torch.unflatten, Tensor.unflatten),
    (_contiguous, Tensor.contiguous),
    # These fold axes and broadcast, which asks whether axes are of size 1.
    (_linear, functional.linear),
    (_matmul, torch.matmul, Tensor.matmul, Tensor.__matmul__),
    (einsum, EINSUM),
    (attention, functional.scaled_dot_product_attention),
    # What these call asks about channels or pixels, which no shape depends on.
    (_group_norm, torch.group_norm),
    (_max_pool1d, torch.max_pool1d),
    (
        _upsample,
        *(_nn.upsample_nearest1d, _nn.upsample_nearest2d, _nn.upsample_nearest3d),
        *(_nn._upsample_nearest_exact1d, _nn._upsample_nearest_exact2d),
        *(_nn._upsample_nearest_exact3d, _nn.upsample_linear1d, _nn.upsample_bilinear2d),
        *(_nn.upsample_bicubic2d, _nn.upsample_trilinear3d),
    ),
    # The number of parts depends on a size.
    (split, Tensor.split),
    (unbind, torch.unbind, Tensor.unbind),
    # PyTorch expects plain numbers where a model passes sizes.
    (_one_hot, functional.one_hot),
    *SIZED,
)
"""The rules, by what a mode sees of each function.

Those of `torch._C._nn` are private. The functions of `torch.nn.functional` that call them pick one
by the number of axes, and hand it sizes or factors; a rule for those would have to do that too.
"""

PRESERVING = (_reshape, _flatten, _unflatten, _contiguous)
"""Rules whose result has the values of its argument."""
