"""Attention within windows of feature maps, regular or shifted.

Liu et al., "Swin Transformer: hierarchical vision transformer using shifted windows", 2021,
arXiv:2103.14030, Section 3.2 and Figures 2 and 4. As in the code of its authors, maps are padded
with zeros, which are attended to, and the mask subtracts 100. Maps that one window covers are not
shifted.

Nothing here branches on a size, so that one exported program can serve images of many sizes: maps
are padded, shifted and cropped by 0 where they need not be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from shapezoo.layers import merge_windows, partition_windows

Attention = Callable[[Tensor, Tensor], Tensor]
"""Maps windows, and what to add to the scores of attention within them, to windows."""


@dataclass(frozen=True)
class Windows:
    """Windows that begin in the top left corner of feature maps (W-MSA).

    Attributes:
        size: Height and width of a window.
    """

    size: int

    def attend(self, attention: Attention, maps: Tensor, bias: Tensor) -> Tensor:
        """Apply attention within each window.

        Args:
            attention: The attention.
            maps: Feature maps, with the channels last.
            bias: What to add to the scores of each head, for each pair of pixels of a window.
        """
        _, height, width, _ = maps.shape
        whole = _padded(maps, self.size)
        return fitted(_attend(attention, whole, bias, self.size), height, width)


@dataclass(frozen=True)
class ShiftedWindows:
    """Windows that are shifted by half their size, and so connect the regular ones (SW-MSA).

    The maps are rolled instead of the windows; pixels that come from opposite sides of the maps do
    not attend to each other (Figure 4).

    Attributes:
        size: Height and width of a window.
    """

    size: int

    def attend(self, attention: Attention, maps: Tensor, bias: Tensor) -> Tensor:
        """Apply attention within each window; see `Windows.attend`."""
        _, height, width, _ = maps.shape
        whole = _padded(maps, self.size)
        _, rows, columns, _ = whole.shape
        up, left = (torch.sym_min(self.size // 2, side - self.size) for side in (rows, columns))
        rolled = torch.roll(whole, (-up, -left), (1, 2))
        # pixels that were at the top are now at the bottom, and those at the left on the right
        from_top = torch.arange(rows, device=maps.device).view(1, -1, 1, 1) >= rows - up
        from_left = torch.arange(columns, device=maps.device).view(1, 1, -1, 1) >= columns - left
        origins = partition_windows(2.0 * from_top + from_left, self.size).transpose(0, 1)
        masked = torch.add(bias, origins != origins.mT, alpha=-100)
        result = torch.roll(_attend(attention, rolled, masked, self.size), (up, left), (1, 2))
        return fitted(result, height, width)


def _padded(maps: Tensor, size: int) -> Tensor:
    """Append zeros up to whole windows."""
    _, height, width, _ = maps.shape
    # sym_max tells torch.export that there is a window; otherwise it refuses named dimensions
    rows: Any = torch.sym_max(1, (height - 1) // size + 1)
    columns: Any = torch.sym_max(1, (width - 1) // size + 1)
    return fitted(maps, rows * size, columns * size)


def _attend(attention: Attention, maps: Tensor, bias: Tensor, size: int) -> Tensor:
    """Cut maps into windows, apply attention, and put them together again."""
    windows = attention(partition_windows(maps, size), bias)
    return merge_windows(windows, size, maps.shape[1], maps.shape[2])


def fitted(maps: Tensor, height: int, width: int) -> Tensor:
    """Append zeros below and on the right of feature maps, or crop them there.

    A slice is a view, of which PyTorch would ask whether it is contiguous, and so whether the maps
    were padded.

    Args:
        maps: Feature maps, with the channels last.
        height: Height of the result.
        width: Width of the result.
    """
    return functional.pad(maps, (0, 0, 0, width - maps.shape[2], 0, height - maps.shape[1]))


def split_heads(projected: Tensor, num_heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return queries, keys and values of each head, from the result of one linear layer."""
    batch, windows, seq, channels = projected.shape
    by_head = projected.view(batch, windows, seq, 3, num_heads, channels // (3 * num_heads))
    query, key, value = by_head.permute(3, 0, 1, 4, 2, 5).contiguous().unbind()
    return query, key, value


def attended(query: Tensor, key: Tensor, value: Tensor, bias: Tensor) -> Tensor:
    """Return the output of attention within windows, with the heads side by side."""
    scores = query @ key.mT + bias
    return (scores.softmax(-1) @ value).transpose(2, 3).flatten(3)
