"""Shape rules of views, indexing and stacking, whose fake kernels ask whether axes are of size 1.

What is laid out as written needs no question: an axis that is added, an axis of the number 1 that
is expanded, rows of a contiguous tensor. Strides are kept as torch computes them, so that a later
`view` that a real kernel refuses is refused here too.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import always
from shapezoo.proving.rules.shape_rules import (
    Shape,
    are_equal,
    broadcast,
    empty,
    fits,
    is_same,
    require,
    viewed,
)


def is_contiguous(x: Tensor) -> bool:
    """Whether the strides are those of a contiguous tensor, as expressions; asks nothing.

    `Tensor.is_contiguous` ignores the strides of axes of size 1, and so asks which are.
    """
    return fits(x.stride(), empty(x, x.shape).stride())


def view(x: Tensor, size: Any, *rest: Any) -> Any:
    """Compute the shape of a contiguous tensor in another shape."""
    if not isinstance(size, tuple | list) or not is_contiguous(x):
        return NotImplemented
    return empty(x, viewed(x.shape, size))


def unsqueeze(x: Tensor, dim: int) -> Any:
    """Add an axis of size 1."""
    if not -x.dim() - 1 <= dim <= x.dim():
        return NotImplemented
    axis = dim % (x.dim() + 1)
    shape = (*x.shape[:axis], 1, *x.shape[axis:])
    if is_contiguous(x):
        return empty(x, shape)
    step = x.shape[axis] * x.stride()[axis] if axis < x.dim() else 1
    return strided(x, shape, (*x.stride()[:axis], step, *x.stride()[axis:]))


def stack(tensors: Sequence[Tensor], dim: int = 0) -> Any:
    """Join contiguous tensors of one shape along a new axis."""
    # the result of channels-last tensors is channels-last too
    if not tensors or any(x.dtype != tensors[0].dtype or not is_contiguous(x) for x in tensors):
        return NotImplemented
    first = tensors[0]
    if not -first.dim() - 1 <= dim <= first.dim():
        return NotImplemented
    for x in tensors[1:]:
        message = "stack expects each tensor to be equal size, but got {} and {}"
        require(are_equal(x.shape, first.shape), message, tuple(first.shape), tuple(x.shape))
    axis = dim % (first.dim() + 1)
    return empty(first, (*first.shape[:axis], len(tensors), *first.shape[axis:]))


def expand(x: Tensor, size: Shape, *, implicit: bool = False) -> Any:
    """Repeat axes of the number 1, and add axes in front."""
    new = len(size) - x.dim()
    if new < 0 or not all(always(wanted >= 0) for wanted in size[:new]):
        return NotImplemented
    shape, strides = [*size[:new]], [0] * new
    for wanted, own, step in zip(size[new:], x.shape, x.stride(), strict=True):
        if is_same(wanted, -1) or is_same(wanted, own):
            shape.append(own)
            strides.append(step)
        elif is_same(own, 1) and always(wanted >= 0):
            shape.append(wanted)
            strides.append(0)
        else:
            return NotImplemented
    return strided(x, shape, strides)


def strided(x: Tensor, shape: Shape, strides: Shape) -> Tensor:
    """Return a view of a tensor, with this shape and these strides."""
    return torch.empty_strided(tuple(shape), tuple(strides), dtype=x.dtype, device=x.device)


def index(x: Tensor, indices: Sequence[Tensor | None]) -> Any:
    """Take entries of a contiguous tensor by integers along adjacent axes.

    The kernel orders the axes of its result by strides, and those of contiguous tensors are in
    order already. `index_checks` checks that the integers are in range.
    """
    axes = [axis for axis, each in enumerate(indices) if each is not None]
    integers = [each for each in indices if each is not None]
    are_adjacent = axes == list(range(axes[0], axes[-1] + 1)) if axes else False
    if not are_adjacent or len(indices) > x.dim() or not is_contiguous(x):
        return NotImplemented
    is_plain = (
        each.dtype in (torch.int32, torch.int64) and is_contiguous(each) for each in integers
    )
    common = broadcast([each.shape for each in integers]) if all(is_plain) else None
    if common is None or not all(always(size > 0) for size in x.shape):
        return NotImplemented
    return empty(x, (*x.shape[: axes[0]], *common, *x.shape[axes[-1] + 1 :]))
