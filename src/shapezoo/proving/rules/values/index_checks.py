"""Which arguments of kernels are indices: real kernels check them, and fake ones do not."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from shapezoo._containers import tensors_of
from shapezoo.proving.rules.common import require
from shapezoo.proving.rules.intervals import ValueRange
from shapezoo.proving.rules.values.value_ranges import ValueRanges


def check_indices(ranges: ValueRanges, name: str, arguments: Mapping[str, Any]) -> None:
    """Check the indices of a kernel, if it has some.

    Args:
        ranges: What is known of values.
        name: The name of the kernel.
        arguments: Its arguments by name.

    Raises:
        UndecidedError: Not enough is known of their values.
        Exception: One is out of range, as the real kernel says.
    """
    short = name.removesuffix("_")
    if short in _CHECKS:
        _CHECKS[short](ranges, arguments)
    elif not name.startswith("_unsafe"):
        for argument in ("index", "indices", "target"):
            for index in tensors_of(arguments.get(argument)):
                ranges.require_fixed(index, name)


def check_one_hot(ranges: ValueRanges, tensor: Tensor, num_classes: int = -1) -> None:
    """Check the indices of `torch.nn.functional.one_hot`."""
    if num_classes >= 0:
        ranges.require(tensor, 0, num_classes - 1, RuntimeError)


def _embedding(ranges: ValueRanges, arguments: Mapping[str, Any]) -> None:
    ranges.require(arguments["indices"], 0, arguments["weight"].shape[0] - 1, IndexError)


def _embedding_bag(ranges: ValueRanges, arguments: Mapping[str, Any]) -> None:
    _embedding(ranges, arguments)
    offsets = arguments["offsets"]
    ranges.require(offsets, 0, arguments["indices"].shape[0], RuntimeError)
    values = ranges.of(offsets)
    if isinstance(values, ValueRange) and values.is_known and not values.is_caller:
        require(values.low == 0, "offsets[0] has to be 0, got {}", values.low)


def _renormalised(ranges: ValueRanges, arguments: Mapping[str, Any]) -> None:
    ranges.require(arguments["indices"], 0, arguments["self"].shape[0] - 1, IndexError)


def _index(ranges: ValueRanges, arguments: Mapping[str, Any]) -> None:
    axis = 0
    for index in arguments["indices"]:
        if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
            axis += index.dim()
            continue
        if index is not None:
            size = arguments["self"].shape[axis]
            ranges.require(index, -size, size - 1, IndexError)
        axis += 1


def _along_axis(error: type[Exception]) -> Callable[[ValueRanges, Mapping[str, Any]], None]:
    def check(ranges: ValueRanges, arguments: Mapping[str, Any]) -> None:
        x = arguments["self"]
        size = x.shape[arguments["dim"]] if x.dim() else 1
        ranges.require(arguments["index"], 0, size - 1, error)

    return check


def _take(ranges: ValueRanges, arguments: Mapping[str, Any]) -> None:
    count = arguments["self"].numel()
    ranges.require(arguments["index"], -count, count - 1, IndexError)


def _loss(ranges: ValueRanges, arguments: Mapping[str, Any]) -> None:
    x = arguments["self"]
    classes, weight = x.shape[1 if x.dim() > 1 else 0], arguments.get("weight")
    if weight is not None:
        require(weight.shape[0] == classes, "weight tensor should be defined for all {}", classes)
    ranges.require(arguments["target"], 0, classes - 1, IndexError)


_CHECKS: dict[str, Callable[[ValueRanges, Mapping[str, Any]], None]] = {
    "embedding": _embedding,
    "embedding_renorm": _renormalised,
    **dict.fromkeys(
        ["_embedding_bag", "_embedding_bag_forward_only", "embedding_bag"], _embedding_bag
    ),
    **dict.fromkeys(["index", "index_put", "_index_put_impl"], _index),
    "index_select": _along_axis(IndexError),
    **dict.fromkeys(
        [
            *("gather", "scatter", "scatter_add", "scatter_reduce"),
            *("index_add", "index_fill", "index_copy", "index_reduce"),
        ],
        _along_axis(RuntimeError),
    ),
    **dict.fromkeys(["take", "put"], _take),
    **dict.fromkeys(
        [
            *("nll_loss", "nll_loss_nd", "nll_loss2d", "nll_loss_forward", "nll_loss2d_forward"),
            *("multi_margin_loss",),
        ],
        _loss,
    ),
}
