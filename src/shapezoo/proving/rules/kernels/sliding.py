"""Blocks that slide over an image: `torch.nn.functional.unfold` and `fold`.

PyTorch writes both as many small kernels, which ask about the number of blocks.
"""

import math
from collections.abc import Sequence
from typing import Any

from torch import Tensor

from shapezoo.proving.rules.common import Size, empty, require

Pair = Sequence[int]


def unfold(x: Tensor, kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> Any:
    """Return the blocks of images as columns."""
    options = (kernel_size, dilation, padding, stride)
    if x.dim() not in (3, 4) or not _are_plain(*options):
        return NotImplemented
    for size in x.shape[-3:]:
        message = "Expected 3D or 4D (batch mode) tensor with non-zero dimensions, but got {}"
        require(size > 0, message, tuple(x.shape))
    blocks = _count(x.shape[-2:], *options)
    return empty(x, (*x.shape[:-3], x.shape[-3] * math.prod(kernel_size), math.prod(blocks)))


def fold(
    x: Tensor,
    output_size: Sequence[Size],
    kernel_size: Pair,
    dilation: Pair,
    padding: Pair,
    stride: Pair,
) -> Any:
    """Return images that are the sums of blocks."""
    options = (kernel_size, dilation, padding, stride)
    if x.dim() not in (2, 3) or not _are_plain(*options):
        return NotImplemented
    for size in (*x.shape[-2:], *output_size):
        require(size > 0, "Expected non-zero dimensions, but got {}", tuple(x.shape))
    entries = math.prod(kernel_size)
    message = "size of input's dimension 1 must be divisible by {}, but got {}"
    require(x.shape[-2] % entries == 0, message, entries, x.shape[-2])
    blocks = math.prod(_count(output_size, *options))
    message = "expected size of input's dimension 2 to match the number of sliding blocks, {}"
    require(x.shape[-1] == blocks, message, blocks)
    return empty(x, (*x.shape[:-2], x.shape[-2] // entries, *output_size))


def _are_plain(kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair) -> bool:
    numbers = [*kernel_size, *dilation, *padding, *stride]
    are_whole = len(numbers) == 8 and all(type(number) is int for number in numbers)
    are_positive = are_whole and min(*kernel_size, *dilation, *stride) > 0
    return are_positive and min(padding) >= 0


def _count(
    sizes: Sequence[Size], kernel_size: Pair, dilation: Pair, padding: Pair, stride: Pair
) -> list[Size]:
    """The number of blocks along each axis.

    Raises:
        RuntimeError: There is none.
    """
    blocks = []
    for size, kernel, gap, pad, step in zip(
        sizes, kernel_size, dilation, padding, stride, strict=True
    ):
        room = size + 2 * pad - gap * (kernel - 1) - 1
        require(room >= 0, "the array of sliding blocks has no entries for size {}", size)
        blocks.append(room // step + 1)
    return blocks
