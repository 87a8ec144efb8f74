"""The blocks of Swin Transformer: patches, attention within windows, and an MLP.

Liu et al., "Swin Transformer: hierarchical vision transformer using shifted windows", 2021,
arXiv:2103.14030, Section 3 and Figure 3. Feature maps have their channels last. `shifted_windows`
has the windows.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers import MLPBlock, StochasticDepth, relative_position_index
from shapezoo.layers.channels_last import ChannelsLast
from shapezoo.models.vision.transformers.shifted_windows import (
    ShiftedWindows,
    Windows,
    attended,
    fitted,
    split_heads,
)


class PatchEmbedding(nn.Sequential):
    """A linear layer on each patch of 4 x 4 pixels, and layer normalisation.

    Args:
        in_channels: Channels of the images.
        channels: Output channels.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        patches = nn.Conv2d(in_channels, channels, 4, stride=4)
        super().__init__(patches, ChannelsLast(), nn.LayerNorm(channels))
        self.in_channels = in_channels
        self.channels = channels

    @checked
    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch height=height//4 width=width//4 channels={self.channels}"]:
        """Return the patches as feature maps, with the channels last."""
        for layer in self:
            images = layer(images)
        return images


class PatchMerging(Module):
    """Halves the resolution and doubles the channels by a linear layer on 2 x 2 neighbours.

    Args:
        channels: Input channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(4 * channels)

    def forward(
        self, maps: Float[Tensor, "batch height width channels={self.channels}"]
    ) -> Float[Tensor, "batch height=(height+1)//2 width=(width+1)//2 channels=2*{self.channels}"]:
        """Return coarser maps. Where a neighbour is missing, it is zero."""
        merged: Tensor = self.reduction(self.norm(concatenated_neighbours(maps)))
        return merged


def concatenated_neighbours(maps: Tensor) -> Tensor:
    """Concatenate the channels of 2 x 2 neighbours, in the order of the authors' weights."""
    batch, height, width, channels = maps.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    tiles = fitted(maps, 2 * rows, 2 * columns).view(batch, rows, 2, columns, 2, channels)
    return tiles.permute(0, 1, 3, 4, 2, 5).flatten(3)  # column by column


class WindowAttention(Module):
    """Multi-head self-attention within windows, with a learned bias for each step (Equation 4).

    Args:
        channels: Input and output channels.
        head_dim: Width of a head.
        windows: The windows, regular or shifted.
        dropout: Probability of dropping an output in train mode.
    """

    relative_position_index: Tensor

    def __init__(
        self, channels: int, *, head_dim: int, windows: Windows | ShiftedWindows, dropout: float
    ) -> None:
        super().__init__()
        self.channels = channels
        self.num_heads = channels // head_dim
        self.windows = windows
        steps = (2 * windows.size - 1) ** 2
        self.relative_position_bias_table = nn.Parameter(torch.empty(steps, self.num_heads))
        index = relative_position_index(windows.size, windows.size)
        self.register_buffer("relative_position_index", index.flatten())
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.dropout = nn.Dropout(dropout)
        nn.init.normal_(self.relative_position_bias_table, std=0.02)

    def forward(
        self, maps: Float[Tensor, "batch height width channels={self.channels}"]
    ) -> Float[Tensor, "batch height width channels={self.channels}"]:
        """Return the output of the attention for each pixel."""
        return self.windows.attend(self._attend, maps, self.position_bias())

    @checked
    def position_bias(
        self,
    ) -> Float[
        Tensor,
        "heads={self.num_heads} seq={self.windows.size}**2 kv_seq={self.windows.size}**2",
    ]:
        """Return what is added to the score of each pair of pixels, by the step between them."""
        biases = self.relative_position_bias_table[self.relative_position_index]
        return biases.T.reshape(self.num_heads, self.windows.size**2, -1)

    def _attend(self, windows: Tensor, bias: Tensor) -> Tensor:
        query, key, value = split_heads(self.qkv(windows), self.num_heads)
        scaled = query * query.shape[-1] ** -0.5
        output: Tensor = self.dropout(self.proj(attended(scaled, key, value, bias)))
        return output


class SwinBlock(Module):
    """Attention within windows and an MLP, each a residual on normalised maps (Equation 3).

    Args:
        channels: Input and output channels.
        attention: The attention.
        dropout: Probability of dropping an output of a layer of the MLP in train mode.
        stochastic_depth: Probability of skipping a residual in train mode.
    """

    def __init__(
        self, channels: int, attention: nn.Module, *, dropout: float, stochastic_depth: float
    ) -> None:
        super().__init__()
        self.channels = channels
        self.norm1 = nn.LayerNorm(channels)
        self.attn = attention
        self.stochastic_depth = StochasticDepth(stochastic_depth)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = MLPBlock(channels, 4 * channels, dropout=dropout)

    def forward(
        self, maps: Float[Tensor, "batch height width channels={self.channels}"]
    ) -> Float[Tensor, "batch height width channels={self.channels}"]:
        """Add the residuals of attention and MLP to the maps."""
        maps = maps + self.stochastic_depth(self.attn(self.norm1(maps)))
        output: Tensor = maps + self.stochastic_depth(self.mlp(self.norm2(maps)))
        return output
