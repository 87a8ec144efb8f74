"""Products of matrices."""

from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.common import PRODUCT, broadcast, empty, fits, require

_GROUPED_DTYPES = (torch.float32, torch.bfloat16, torch.float16)
_ALIGNMENT = 16  # bytes, of each row of both operands


def addmm(bias: Tensor, x: Tensor, other: Tensor, **kwargs: Any) -> Any:
    """Return a product of two matrices plus a bias."""
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
    """Return groups of rows, each times a matrix of its own; the fake kernel wants bfloat16."""
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
    require(
        other.shape[0] == offs.shape[0],
        "expected one offset for each of {} matrices",
        other.shape[0],
    )
    return empty(x, (x.shape[0], other.shape[2]), out_dtype)
