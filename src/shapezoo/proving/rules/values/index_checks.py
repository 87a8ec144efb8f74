"""Checks of indices, by kernel: real kernels raise where one is out of range, fake ones do not.

Without them, ``table[torch.arange(n)]`` is proved for every `n`. A kernel that has an argument of
such a name but no check here gets none of its indices from sizes: `check_indices` gives up.
"""

import functools

import torch
from torch import Tensor

from shapezoo._containers import tensors_of
from shapezoo.proving.rules.intervals import ValueRange
from shapezoo.proving.rules.shape_rules import Arguments, require, rule_table
from shapezoo.proving.rules.values.value_ranges import ValueRanges


def check_indices(ranges: ValueRanges, name: str, arguments: Arguments) -> None:
    """Check the indices of a kernel, if it has some.

    Args:
        ranges: The values of tensors.
        name: The name of the kernel.
        arguments: Its arguments by name.

    Raises:
        UndecidedError: Not enough is known about the values of an index.
        Exception: An index is out of range, as the real kernel says.
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


def _rows(table: str, ranges: ValueRanges, arguments: Arguments) -> None:
    """Check the indices of a kernel that looks up rows of an argument."""
    ranges.require(arguments["indices"], 0, arguments[table].shape[0] - 1, IndexError)


def _embedding_bag(ranges: ValueRanges, arguments: Arguments) -> None:
    _rows("weight", ranges, arguments)
    offsets = arguments["offsets"]
    ranges.require(offsets, 0, arguments["indices"].shape[0], RuntimeError)
    values = ranges.of(offsets)
    if isinstance(values, ValueRange) and values.is_bounded:
        require(values.low == 0, "offsets[0] has to be 0, got {}", values.low)


def _index(ranges: ValueRanges, arguments: Arguments) -> None:
    axis = 0
    for index in arguments["indices"]:
        if isinstance(index, Tensor) and index.dtype in (torch.bool, torch.uint8):
            axis += index.dim()
            continue
        if index is not None:
            size = arguments["self"].shape[axis]
            ranges.require(index, -size, size - 1, IndexError)
        axis += 1


def _along_axis(error: type[Exception], ranges: ValueRanges, arguments: Arguments) -> None:
    """Check the index of a kernel that counts along its axis ``dim``."""
    x = arguments["self"]
    size = x.shape[arguments["dim"]] if x.dim() else 1
    ranges.require(arguments["index"], 0, size - 1, error)


def _take(ranges: ValueRanges, arguments: Arguments) -> None:
    count = arguments["self"].numel()
    ranges.require(arguments["index"], -count, count - 1, IndexError)


def _loss(ranges: ValueRanges, arguments: Arguments) -> None:
    x = arguments["self"]
    classes, weight = x.shape[1 if x.dim() > 1 else 0], arguments.get("weight")
    if weight is not None:
        require(weight.shape[0] == classes, "weight tensor should be defined for all {}", classes)
    ranges.require(arguments["target"], 0, classes - 1, IndexError)


_CHECKS = rule_table(
    # An index counts the rows of a table.
    (functools.partial(_rows, "weight"), "embedding"),
    (functools.partial(_rows, "self"), "embedding_renorm"),
    (_embedding_bag, "embedding_bag _embedding_bag _embedding_bag_forward_only"),
    # One index for each axis; -1 is the last position.
    (_index, "index index_put _index_put_impl"),
    # An index counts positions along one axis.
    (functools.partial(_along_axis, IndexError), "index_select"),
    (
        functools.partial(_along_axis, RuntimeError),
        "gather scatter scatter_add scatter_reduce index_add index_fill index_copy index_reduce",
    ),
    # An index counts the entries of the whole tensor.
    (_take, "take put"),
    # A target is one of the classes.
    (
        _loss,
        "nll_loss nll_loss_nd nll_loss2d nll_loss_forward nll_loss2d_forward multi_margin_loss",
    ),
)
