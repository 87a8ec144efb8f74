"""What real kernels check of sizes and fake kernels do not; indices have `index_checks`.

Without these checks a model is proved for sizes at which it raises: the fake kernel accepts
``torch.ones(30).multinomial(n)`` for every `n`, and ``x.amax(0)`` for an axis without entries.
"""

import itertools
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import Size, always
from shapezoo.proving.rules.shape_rules import Shape, are_equal, common_shape, require, rule_table
from shapezoo.proving.rules.values.value_ranges import UndecidedError

MOST_CATEGORIES = 1 << 24
"""`torch.multinomial` draws from at most so many categories."""


def _multinomial(x: Tensor, num_samples: Size, replacement: bool = False, **options: Any) -> None:
    categories = x.shape[-1]
    require(categories <= MOST_CATEGORIES, "number of categories cannot exceed 2^24")
    require(num_samples > 0, "cannot sample n_sample <= 0 samples")
    message = "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
    require(replacement or num_samples <= categories, message)


def _index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *rest: Any, **how: Any) -> None:
    message = "source tensor shape {} does not fit self {} along dim {}"
    require(x.dim() == source.dim(), message, tuple(source.shape), tuple(x.shape), dim)
    for axis, (size, own) in enumerate(zip(source.shape, x.shape, strict=True)):
        wanted = index.numel() if axis == dim % x.dim() else own
        require(size == wanted, message, tuple(source.shape), tuple(x.shape), dim)


def _put(x: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> None:
    message = "put_(): expected source and index to have the same number of elements, got {} and {}"
    require(source.numel() == index.numel(), message, source.numel(), index.numel())


def _index_put(
    x: Tensor, indices: Sequence[Tensor | None], values: Tensor, *rest: Any, **options: Any
) -> None:
    axis, masks = 0, 0
    for index in indices:
        if index is None or index.dtype not in (torch.bool, torch.uint8):
            axis += 1
        else:
            _require_mask(x, index, axis)
            axis, masks = axis + index.dim(), masks + 1
    if masks == 0:
        _require_broadcast(values, _indexed_shape(x, indices))
        return
    # How many rows a mask picks only its values decide; one row of values fits any number.
    row = x.shape[axis:] if masks == len(indices) == 1 else ()
    extra = values.shape[: max(values.dim() - len(row), 0)]
    if not all(always(size == 1) for size in extra):
        raise UndecidedError(
            "the number of True entries in a mask decides how many values index_put needs"
        )
    _require_broadcast(values, row)


def _require_mask(x: Tensor, mask: Tensor, start: int) -> None:
    require(start + mask.dim() <= x.dim(), "too many indices for tensor of dimension {}", x.dim())
    for size, own in zip(mask.shape, x.shape[start:], strict=False):
        message = "The shape of the mask {} does not match the shape of the indexed tensor {}"
        require(size == own, message, tuple(mask.shape), tuple(x.shape))


def _indexed_shape(x: Tensor, indices: Sequence[Tensor | None]) -> list[Size]:
    """Return the shape of ``x[indices]``, which asks whether the indices broadcast."""
    indexed = [axis for axis, index in enumerate(indices) if index is not None]
    picked = common_shape([index.shape for index in indices if index is not None])
    kept = [size for axis, size in enumerate(x.shape) if axis not in indexed]
    are_adjacent = all(b - a == 1 for a, b in itertools.pairwise(indexed))
    start = indexed[0] if indexed and are_adjacent else 0
    return [*kept[:start], *picked, *kept[start:]]


def _require_broadcast(values: Tensor, shape: Shape) -> None:
    """Require that values can be broadcast to what is indexed."""
    message = "shape mismatch: value tensor of shape {} cannot be broadcast to {}"
    extra = max(values.dim() - len(shape), 0)
    wanted = [*(1,) * extra, *shape[len(shape) - values.dim() + extra :]]
    for size, target in zip(values.shape, wanted, strict=True):
        require(size == target or size == 1, message, tuple(values.shape), tuple(shape))


def _masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> None:
    if not source.numel() >= x.numel():
        raise UndecidedError(
            "the number of True entries in the mask decides whether masked_scatter is possible"
        )


def _repeat_interleave(x: Tensor, repeats: object = None, *rest: Any, **options: Any) -> None:
    is_counted = isinstance(repeats, Tensor) or repeats is None
    if is_counted and options.get("output_size") is not None:
        raise UndecidedError("the sum of the repeats of repeat_interleave decides a size")


def _addmv(x: Tensor, matrix: Tensor, vector: Tensor, **options: Any) -> None:
    if x.dim() == 1 and matrix.dim() == 2:
        can_add = x.shape[0] == 1 or x.shape[0] == matrix.shape[0]
        require(can_add, "size mismatch, got input ({}), mat {}", x.shape[0], tuple(matrix.shape))


def _select(x: Tensor, dim: int, index: Size) -> None:
    if x.dim():
        _require_position(index, x.shape[dim])


def _require_position(index: Size, size: Size) -> None:
    if not (bool(index < size) and bool(-size <= index)):
        raise IndexError(f"index {index} is out of range for size {size}")


def _select_scatter(x: Tensor, src: Tensor, dim: int, index: Size) -> None:
    _require_position(index, x.shape[dim])
    axis = dim % x.dim()
    _require_shape(src, [*x.shape[:axis], *x.shape[axis + 1 :]])


def _diagonal_scatter(x: Tensor, src: Tensor, *options: int) -> None:
    _require_shape(src, torch.diagonal(x, *options).shape)


def _require_shape(src: Tensor, shape: Shape) -> None:
    message = "expected src to have a size equal to the slice of self, {}, got {}"
    require(are_equal(src.shape, shape), message, tuple(shape), tuple(src.shape))


def _squeeze(x: Tensor, dim: Any = None) -> None:
    """Ask which axes are of size 1: they vanish, so that each answer has a region of its own."""
    for axis in range(x.dim()) if dim is None else [dim] if isinstance(dim, int) else dim:
        if x.dim():
            bool(x.shape[axis] == 1)


def _reduced(x: Tensor, dim: Any = None, *rest: Any, **kwargs: Any) -> None:
    dims = [dim] if isinstance(dim, int) else dim if isinstance(dim, tuple | list) else []
    for axis in dims or range(x.dim()):
        if -x.dim() <= axis < x.dim():
            require(x.shape[axis] > 0, "Expected reduction dim {} to have non-zero size.", axis)


def _median(x: Tensor, dim: Any = None, *rest: Any, **kwargs: Any) -> None:
    # the median of a whole tensor without entries is nan
    if dim is not None:
        _reduced(x, dim)


def _as_strided(x: Tensor, size: Shape, stride: Shape, offset: Any = None) -> None:
    last = x.storage_offset() if offset is None else offset
    for count, step in zip(size, stride, strict=True):
        last = last + (count - 1) * step
    room = x.untyped_storage().nbytes() // x.element_size()
    require(last < room, "setStorage: out of bounds for storage of {} numbers", room)


def _max_unpool(*args: Any, **kwargs: Any) -> None:
    raise UndecidedError("the indices of an unpooling decide whether it is possible")


CHECKS = rule_table(
    # The sizes of one argument have to fit those of another.
    (_index_add, "index_add index_add_ index_reduce index_reduce_"),
    (_put, "put put_"),
    (_index_put, "index_put index_put_ _index_put_impl _index_put_impl_"),
    (_addmv, "addmv addmv_"),
    (_select_scatter, "select_scatter"),
    (_diagonal_scatter, "diagonal_scatter"),
    # A number has to be within limits that sizes set.
    (_multinomial, "multinomial"),
    (_select, "select"),
    (_as_strided, "as_strided"),
    # An empty axis has no largest and no most frequent entry.
    (_reduced, "max min amax amin argmax argmin aminmax mode"),
    (_median, "median nanmedian"),
    # Values decide whether the sizes fit, and values are not known.
    (_masked_scatter, "masked_scatter masked_scatter_"),
    (_repeat_interleave, "repeat_interleave"),
    (_max_unpool, "max_unpool2d max_unpool3d"),
    # The number of axes depends on sizes.
    (_squeeze, "squeeze"),
)
"""What is checked of each kernel, before a shape rule or its fake kernel runs."""
