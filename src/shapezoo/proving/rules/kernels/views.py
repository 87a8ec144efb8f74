"""Shape rules of views, indexing and stacking, whose fake kernels ask whether axes are of size 1.

What is laid out as written needs no question: an axis that is added, an axis of the number 1 that
is expanded, rows of a contiguous tensor. Strides are kept as torch gives them, so that a later view
which a real kernel refuses is refused.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.common import Size, broadcast, empty, fits, is_same, require
from shapezoo.proving.rules.intervals import known


def is_contiguous(x: Tensor) -> bool:
    """Return whether a tensor is written as a contiguous one; ask nothing."""
    return fits(x.stride(), empty(x, x.shape).stride())


def unsqueeze(x: Tensor, dim: int) -> Any:
    """Add an axis of size 1."""
    if not -x.dim() - 1 <= dim <= x.dim():
        return NotImplemented
    axis = dim % (x.dim() + 1)
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    if is_contiguous(x):
        return empty(x, shape)
    step = x.shape[axis] * x.stride()[axis] if axis < x.dim() else 1
    return _strided(x, shape, (*x.stride()[:axis], step, *x.stride()[axis:]))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    """Join contiguous tensors of one shape along a new axis."""
    first = tensors[0]
    if any(x.dtype != first.dtype or not is_contiguous(x) for x in tensors):
        return NotImplemented  # the result of channels-last tensors is channels-last too
    if not -first.dim() - 1 <= dim <= first.dim():
        return NotImplemented
    for x in tensors[1:]:
        message = "stack expects each tensor to be equal size, but got {} and {}"
        are_same = x.dim() == first.dim() and all(
            is_same(a, b) or a == b for a, b in zip(x.shape, first.shape, strict=True)
        )
        require(are_same, message, tuple(first.shape), tuple(x.shape))
    axis = dim % (first.dim() + 1)
    return empty(first, (*first.shape[:axis], len(tensors), *first.shape[axis:]))


def expand(x: Tensor, size: Sequence[Size], *, implicit: bool = False) -> Any:
    """Repeat axes of the number 1, and new ones in front of all."""
    new = len(size) - x.dim()
    if new < 0 or not all(map(_is_count, size[:new])):
        return NotImplemented
    shape, strides = [*size[:new]], [0] * new
    for wanted, own, step in zip(size[new:], x.shape, x.stride(), strict=True):
        if is_same(wanted, -1) or is_same(wanted, own):
            shape.append(own)
            strides.append(step)
        elif is_same(own, 1) and _is_count(wanted):
            shape.append(wanted)
            strides.append(0)
        else:
            return NotImplemented
    return _strided(x, shape, strides)


def _is_count(size: Size) -> bool:
    return known(size >= 0)


def _strided(x: Tensor, shape: Sequence[Size], strides: Sequence[Size]) -> Tensor:
    return torch.empty_strided(tuple(shape), tuple(strides), dtype=x.dtype, device=x.device)


def index(x: Tensor, indices: Sequence[Tensor | None]) -> Any:
    """Take entries of a contiguous tensor by whole numbers along axes side by side.

    The kernel orders the axes of its result by strides, and those of contiguous tensors are in
    order already. Whether the numbers are in range is checked elsewhere.
    """
    axes = [axis for axis, each in enumerate(indices) if each is not None]
    numbers = [each for each in indices if each is not None]
    are_adjacent = axes == list(range(axes[0], axes[-1] + 1)) if axes else False
    if not are_adjacent or len(indices) > x.dim() or not is_contiguous(x):
        return NotImplemented
    if not all(each.dtype in _WHOLE and is_contiguous(each) for each in numbers):
        return NotImplemented
    common = broadcast([each.shape for each in numbers])
    if common is None or not all(known(size > 0) for size in x.shape):
        return NotImplemented
    return empty(x, (*x.shape[: axes[0]], *common, *x.shape[axes[-1] + 1 :]))


_WHOLE = (torch.int32, torch.int64)
