"""Shape rules of windows that slide over an image: convolution, `unfold` and `fold`.

PyTorch writes `unfold` and `fold` as many small kernels, which ask about the number of windows. For
a convolution on a CPU it asks which of its implementations to choose, which no result depends on.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import Size
from shapezoo.proving.rules.shape_rules import Shape, empty, require


def windows(
    size: Size, kernel: Size, step: Size, pad: Size, gap: Size = 1, *, message: str
) -> Size:
    """Return how many windows fit along an axis.

    Args:
        size: Size of the axis.
        kernel: Size of the window.
        step: Stride.
        pad: Padding at both ends.
        gap: Dilation.
        message: Message of the kernel if none fits, with ``{}`` for the size.

    Raises:
        RuntimeError: No window fits.
    """
    room = size + 2 * pad - gap * (kernel - 1) - 1
    require(room >= 0, message, size)
    return room // step + 1


def per_axis(option: Any, axes: int) -> Shape:
    """Return an option of a convolution or pooling for each axis, if it is given once for all."""
    sizes = [*option] if isinstance(option, tuple | list) else [option]
    return sizes * axes if len(sizes) == 1 else sizes


def convolution(x: Tensor, *args: Any) -> Any:
    """Compute the shape of a convolution, asking only for what the kernel checks."""
    if x.device.type != "cpu":
        return NotImplemented
    shape = _convolved(x, *args)
    if shape is None:
        # On the meta device there is one implementation only, so none is chosen by size.
        twins = [_on_meta(arg) if isinstance(arg, Tensor) else arg for arg in (x, *args)]
        shape = torch.ops.aten.convolution.default(*twins).shape
    return empty(x, shape)


def _convolved(x: Tensor, weight: Tensor, bias: Tensor | None, *options: Any) -> Shape | None:
    """Return the shape of an ordinary convolution; None for any other."""
    strides, paddings, dilations, transposed, _, groups = options
    axes, weights = weight.dim(), [weight] if bias is None else [weight, bias]
    if transposed or x.dim() != axes or any(part.dtype != x.dtype for part in weights):
        return None
    each = [per_axis(option, axes - 2) for option in (strides, dilations, paddings)]
    if not all(type(size) is int and size > 0 for size in (*weight.shape, *each[0], *each[1])):
        return None
    if weight.shape[0] % groups or (bias is not None and bias.shape != weight.shape[:1]):
        return None
    if not all(size > 0 for size in x.shape):
        return None
    message = "expected input{} to have {} channels"
    require(x.shape[1] == weight.shape[1] * groups, message, x.shape, weight.shape[1] * groups)
    message = "Kernel size can't be greater than actual input size, {}"
    spatial = [
        windows(size, kernel, step, pad, gap, message=message)
        for size, kernel, step, gap, pad in zip(x.shape[2:], weight.shape[2:], *each, strict=True)
    ]
    return (x.shape[0], weight.shape[0], *spatial)


def _on_meta(x: Tensor) -> Tensor:
    return torch.empty_strided(x.shape, x.stride(), dtype=x.dtype, device="meta")


def unfold(x: Tensor, *options: Sequence[int]) -> Any:
    """Compute the shape of the windows of images, each a column."""
    if x.dim() not in (3, 4) or not _are_plain(*options):
        return NotImplemented
    for size in x.shape[-3:]:
        message = "Expected 3D or 4D (batch mode) tensor with non-zero dimensions, but got {}"
        require(size > 0, message, tuple(x.shape))
    entries = math.prod(options[0])
    return empty(x, (*x.shape[:-3], x.shape[-3] * entries, _count(x.shape[-2:], *options)))


def fold(x: Tensor, output_size: Shape, *options: Sequence[int]) -> Any:
    """Compute the shape of images that are sums of windows."""
    if x.dim() not in (2, 3) or not _are_plain(*options):
        return NotImplemented
    for size in (*x.shape[-2:], *output_size):
        require(size > 0, "Expected non-zero dimensions, but got {}", tuple(x.shape))
    entries = math.prod(options[0])
    message = "size of input's dimension 1 must be divisible by {}, but got {}"
    require(x.shape[-2] % entries == 0, message, entries, x.shape[-2])
    count = _count(output_size, *options)
    message = "expected size of input's dimension 2 to match the number of sliding blocks, {}"
    require(x.shape[-1] == count, message, count)
    return empty(x, (*x.shape[:-2], x.shape[-2] // entries, *output_size))


def _are_plain(*options: Sequence[int]) -> bool:
    """Whether the kernel size, dilation, padding and stride of both axes are integers."""
    numbers = [number for option in options for number in option]
    are_whole = len(numbers) == 8 and all(type(number) is int for number in numbers)
    kernel_size, dilation, padding, stride = options
    return are_whole and min(*kernel_size, *dilation, *stride) > 0 and min(padding) >= 0


def _count(sizes: Shape, *options: Sequence[int]) -> Size:
    """Return the number of windows of an image."""
    message = "the array of sliding blocks has no entries for size {}"
    axes = zip(sizes, *options, strict=True)
    return math.prod(
        windows(size, kernel, step, pad, gap, message=message)
        for size, kernel, gap, pad, step in axes
    )
