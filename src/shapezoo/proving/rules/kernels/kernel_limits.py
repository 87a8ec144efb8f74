"""What real kernels check of sizes and fake ones do not, apart from the values of indices."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.common import Size, require
from shapezoo.proving.rules.intervals import known
from shapezoo.proving.rules.values.value_ranges import UndecidedError

MOST_CATEGORIES = 1 << 24
"""`torch.multinomial` draws from no more."""


def _multinomial(x: Tensor, num_samples: Size, replacement: bool = False, **options: Any) -> None:
    categories = x.shape[-1]
    require(categories <= MOST_CATEGORIES, "number of categories cannot exceed 2^24")
    require(num_samples > 0, "cannot sample n_sample <= 0 samples")
    message = "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
    require(replacement or num_samples <= categories, message)


def _index_add(x: Tensor, dim: int, index: Tensor, source: Tensor, *rest: Any, **how: Any) -> None:
    message = "source tensor shape {} does not fit self {} along dim {}"
    require(x.dim() == source.dim(), message, tuple(source.shape), tuple(x.shape), dim)
    for axis, (size, other) in enumerate(zip(source.shape, x.shape, strict=True)):
        wanted = index.numel() if axis == dim % x.dim() else other
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
        _require_fit(x, indices, values)
    elif masks < len(indices) or masks > 1:
        _require_one(values.shape)
    else:
        _require_fit_of_rows(x.shape[axis:], values)


def _require_one(shape: Sequence[Size]) -> None:
    if not all(known(size == 1) for size in shape):
        raise UndecidedError("the ones in a mask decide how many values index_put needs")


def _require_fit_of_rows(row: Sequence[Size], values: Tensor) -> None:
    """Require that the same values can be put in each row that a mask picks."""
    extra = max(values.dim() - len(row), 0)
    _require_one(values.shape[:extra])
    message = "shape mismatch: value tensor of shape {} cannot be broadcast to {}"
    for size, wanted in zip(values.shape[extra:][::-1], row[::-1], strict=False):
        require(size == wanted or size == 1, message, tuple(values.shape), tuple(row))


def _require_mask(x: Tensor, mask: Tensor, start: int) -> None:
    require(start + mask.dim() <= x.dim(), "too many indices for tensor of dimension {}", x.dim())
    for axis, size in enumerate(mask.shape):
        message = "The shape of the mask {} does not match the shape of the indexed tensor {}"
        require(size == x.shape[start + axis], message, tuple(mask.shape), tuple(x.shape))


def _require_fit(x: Tensor, indices: Sequence[Tensor | None], values: Tensor) -> None:
    """Require that values can be broadcast to what is indexed."""
    taken = [axis for axis, index in enumerate(indices) if index is not None]
    picked = _broadcast([index.shape for index in indices if index is not None])
    kept = [size for axis, size in enumerate(x.shape) if axis not in taken]
    is_together = all(b - a == 1 for a, b in itertools.pairwise(taken))
    start = taken[0] if taken and is_together else 0
    shape = [*kept[:start], *picked, *kept[start:]]
    message = "shape mismatch: value tensor of shape {} cannot be broadcast to {}"
    extra = max(values.dim() - len(shape), 0)
    for size in values.shape[:extra]:
        require(size == 1, message, tuple(values.shape), tuple(shape))
    for size, wanted in zip(values.shape[extra:][::-1], shape[::-1], strict=False):
        require(size == wanted or size == 1, message, tuple(values.shape), tuple(shape))


def _broadcast(shapes: Sequence[Sequence[Size]]) -> list[Size]:
    """Return the common shape; asks which sizes are equal.

    Raises:
        RuntimeError: There is none.
    """
    found: list[Size] = []
    for sizes in itertools.zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1):
        common: Size = 1
        for size in sizes:
            if not (size == common or size == 1):
                require(common == 1, "shape mismatch: indexing tensors could not be broadcast")
                common = size
        found.append(common)
    return found[::-1]


def _masked_scatter(x: Tensor, mask: Tensor, source: Tensor) -> None:
    if not source.numel() >= x.numel():
        raise UndecidedError("the ones in the mask of masked_scatter decide whether it is possible")


def _repeat(x: Tensor, repeats: object = None, *rest: Any, **options: Any) -> None:
    is_counted = isinstance(repeats, Tensor) or repeats is None
    if is_counted and options.get("output_size") is not None:
        raise UndecidedError("the sum of the repeats of repeat_interleave decides a size")


def _addmv(x: Tensor, matrix: Tensor, vector: Tensor, **options: Any) -> None:
    if x.dim() == 1 and matrix.dim() == 2:
        is_fit = x.shape[0] == 1 or x.shape[0] == matrix.shape[0]
        require(is_fit, "size mismatch, got input ({}), mat {}", x.shape[0], tuple(matrix.shape))


def _select_scatter(x: Tensor, src: Tensor, dim: int, index: Size) -> None:
    size = x.shape[dim]
    if not (bool(index < size) and bool(-size <= index)):
        raise IndexError(f"select(): index {index} out of range for size {size}")
    axis = dim % x.dim()
    _require_same(src, [*x.shape[:axis], *x.shape[axis + 1 :]])


def _diagonal_scatter(
    x: Tensor, src: Tensor, offset: int = 0, dim1: int = 0, dim2: int = 1
) -> None:
    _require_same(src, torch.diagonal(x, offset, dim1, dim2).shape)


def _require_same(src: Tensor, shape: Sequence[Size]) -> None:
    message = "expected src to have a size equal to the slice of self, {}, got {}"
    is_same = src.dim() == len(shape) and all(a == b for a, b in zip(src.shape, shape, strict=True))
    require(is_same, message, tuple(shape), tuple(src.shape))


def _both(names: Sequence[str], check: Callable[..., None]) -> dict[str, Callable[..., None]]:
    """Return a check for kernels that give a new tensor, and for those that write to theirs."""
    return {name + suffix: check for name in names for suffix in ("", "_")}


LIMITS: dict[str, Callable[..., None]] = {
    "multinomial": _multinomial,
    **_both(["index_add", "index_reduce"], _index_add),
    **_both(["put"], _put),
    **_both(["index_put", "_index_put_impl"], _index_put),
    **_both(["masked_scatter"], _masked_scatter),
    **_both(["addmv"], _addmv),
    "repeat_interleave": _repeat,
    "select_scatter": _select_scatter,
    "diagonal_scatter": _diagonal_scatter,
}
"""What is checked of each kernel, before its fake version runs."""
