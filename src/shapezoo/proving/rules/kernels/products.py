"""Shape rules of products of matrices."""

from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.shape_rules import PRODUCT, broadcast, empty, fits, require

_GROUPED_DTYPES = (torch.float32, torch.bfloat16, torch.float16)

_ALIGNMENT = 16
"""Each row of both operands of a grouped product begins at a multiple of this number of bytes."""


def addmm(bias: Tensor, x: Tensor, other: Tensor, **options: Any) -> Any:
    """Compute the shape of a product of two matrices plus a bias."""
    if not x.dtype == other.dtype == bias.dtype or x.dim() != 2 or other.dim() != 2:
        return NotImplemented
    require(x.shape[1] == other.shape[0], PRODUCT, tuple(x.shape), tuple(other.shape))
    shape = (x.shape[0], other.shape[1])
    common = broadcast([bias.shape, shape])
    can_add = bias.dim() <= 2 and common is not None and fits(common, shape)
    return empty(x, shape) if can_add else NotImplemented


def grouped_mm(
    x: Tensor,
    other: Tensor,
    offs: Tensor | None = None,
    bias: Tensor | None = None,
    out_dtype: torch.dtype | None = None,
) -> Any:
    """Compute the shape of groups of rows, each times a matrix of its own.

    The fake kernel accepts bfloat16 only; the kernel of a CPU takes other dtypes too.
    """
    if x.dim() != 2 or other.dim() != 3 or offs is None or bias is not None:
        return NotImplemented
    if x.dtype != other.dtype or x.dtype not in _GROUPED_DTYPES or offs.dtype != torch.int32:
        return NotImplemented
    if not fits(x.stride()[1:], [1]) or not any(fits([step], [1]) for step in other.stride()[1:]):
        return NotImplemented
    rows = other.stride(1) if fits([other.stride(2)], [1]) else other.stride(2)
    for step in (x.stride(0), other.stride(0), rows):
        is_aligned = step * x.element_size() % _ALIGNMENT == 0
        require(is_aligned, "strides should be multiple of {} bytes", _ALIGNMENT)
    require(x.shape[1] == other.shape[1], PRODUCT, tuple(x.shape), tuple(other.shape))
    message = "expected one offset for each of {} matrices"
    require(other.shape[0] == offs.shape[0], message, other.shape[0])
    return empty(x, (x.shape[0], other.shape[2]), out_dtype)
