"""Square windows of feature maps, for attention within each, and the relative positions in them.

Liu et al., "Swin transformer: hierarchical vision transformer using shifted windows", 2021,
arXiv:2103.14030, Section 3.2.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, unflatten

from shapezoo.contracts import checked


@checked
def partition_windows(
    maps: Float[Tensor, "batch height width channels"], size: int
) -> Float[Tensor, "batch windows=(height//{size})*(width//{size}) seq={size}*{size} channels"]:
    """Cut feature maps into windows, row by row, and list the pixels of each, row by row.

    Args:
        maps: The feature maps. Their height and width are multiples of the size.
        size: Height and width of a window.
    """
    tiles = unflatten(unflatten(maps, 2, (-1, size)), 1, (-1, size)).transpose(2, 3)
    return tiles.flatten(3, 4).flatten(1, 2)


@checked
def merge_windows(
    windows: Float[
        Tensor, "batch windows={(height//size)*(width//size)} seq={size}*{size} channels"
    ],
    size: int,
    height: int,
    width: int,
) -> Float[Tensor, "batch height={height} width={width} channels"]:
    """Return the feature maps that `partition_windows` cuts into these windows.

    Args:
        windows: The windows.
        size: Height and width of a window.
        height: Height of the feature maps, a multiple of the size.
        width: Width of the feature maps, a multiple of the size.
    """
    batch, channels = windows.shape[0], windows.shape[3]
    tiles = windows.view(batch, height // size, width // size, size, size, channels)
    return tiles.transpose(2, 3).reshape(batch, height, width, channels)


@checked
def relative_position_index(
    height: int, width: int
) -> Int64[Tensor, "seq={height}*{width} kv_seq={height}*{width}"]:
    """Number the steps that lead from one pixel of a window to another.

    The steps are numbered row by row, from the one that leads furthest up and left. Pixels are
    listed row by row.

    Args:
        height: Height of the window.
        width: Width of the window.

    Returns:
        The number of the step from each key to each query: an index into a table of
        ``(2 * height - 1) * (2 * width - 1)`` biases.
    """
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    rows, columns = rows.flatten(), columns.flatten()
    down = rows[:, None] - rows + height - 1
    right = columns[:, None] - columns + width - 1
    return down * (2 * width - 1) + right
