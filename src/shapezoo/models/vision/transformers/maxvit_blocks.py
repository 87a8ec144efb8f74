"""The blocks of MaxViT: a convolution, and attention within windows and within grids.

Tu et al., "MaxViT: multi-axis vision transformer", 2022, arXiv:2204.01697, Section 3 and Figures 2
and 3. As in torchvision, attention is scaled by the square root of all channels, not of those of a
head.
"""

import functools
from collections import OrderedDict
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn, unflatten
from torch.nn import functional

from shapezoo.contracts import Module, checked
from shapezoo.layers import (
    ConvNormActivation,
    SqueezeExcitation,
    StochasticDepth,
    merge_windows,
    partition_windows,
    relative_position_index,
)

norm = functools.partial(nn.BatchNorm2d, eps=1e-3, momentum=0.01)


class PreNormMBConv(Module):
    """An inverted bottleneck that normalises its input before it expands the channels.

    Where it is strided, the input is pooled and projected before it is added.

    Args:
        in_channels: Input channels.
        out_channels: Output channels, a quarter of those inside. Without a stride they are the
            input channels.
        stride: Stride of the depthwise convolution.
        stochastic_depth: Probability of skipping the residual in train mode.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int, stochastic_depth: float
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        inner = 4 * out_channels
        conv = functools.partial(ConvNormActivation, norm=norm, activation=nn.GELU)
        self.proj: nn.Module = nn.Identity()
        if stride > 1:
            self.proj = nn.Sequential(
                nn.AvgPool2d(3, stride=stride, padding=1), nn.Conv2d(in_channels, out_channels, 1)
            )
        self.stochastic_depth = StochasticDepth(stochastic_depth)
        self.layers = nn.Sequential(
            OrderedDict(
                pre_norm=norm(in_channels),
                conv_a=conv(in_channels, inner, 1),
                conv_b=conv(inner, inner, 3, stride=stride, groups=inner),
                squeeze_excitation=SqueezeExcitation(inner, out_channels // 4, activation=nn.SiLU),
                conv_c=nn.Conv2d(inner, out_channels, 1),
            )
        )

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor,
        (
            "batch channels={self.out_channels} "
            "height=(height-1)//{self.stride}+1 width=(width-1)//{self.stride}+1"
        ),
    ]:
        """Add the residual to the input, which is pooled and projected if the block is strided."""
        maps: Tensor = self.stochastic_depth(self.layers(x))
        maps += self.proj(x)
        return maps


class RelativeAttention(Module):
    """Multi-head attention among the pixels of a window, biased by their relative positions.

    Args:
        channels: Channels of a pixel.
        head_dim: Width of a head.
        size: Height and width of a window.

    Raises:
        ValueError: The channels are not divisible by the width of a head.
    """

    relative_position_index: Tensor

    def __init__(self, channels: int, *, head_dim: int, size: int) -> None:
        super().__init__()
        if channels % head_dim != 0:
            raise ValueError(f"channels must be divisible by head_dim = {head_dim}, got {channels}")
        self.channels = channels
        self.num_heads = channels // head_dim
        self.seq_length = size**2
        self.to_qkv = nn.Linear(channels, 3 * channels)
        self.merge = nn.Linear(channels, channels)
        table = torch.empty((2 * size - 1) ** 2, self.num_heads)
        self.relative_position_bias_table = nn.Parameter(nn.init.trunc_normal_(table, std=0.02))
        self.register_buffer("relative_position_index", relative_position_index(size, size))

    def forward(
        self, x: Float[Tensor, "batch windows seq={self.seq_length} channels={self.channels}"]
    ) -> Float[Tensor, "batch windows seq={self.seq_length} channels={self.channels}"]:
        """Return the output of the attention within each window."""
        batch, windows, seq, channels = x.shape
        heads = self.num_heads
        by_head = self.to_qkv(x).view(batch * windows, seq, 3, heads, channels // heads)
        query, key, value = by_head.permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=self.bias(), scale=channels**-0.5
        )
        output: Tensor = self.merge(attended.transpose(1, 2).reshape(x.shape))
        return output

    @checked
    def bias(
        self,
    ) -> Float[Tensor, "heads={self.num_heads} seq={self.seq_length} kv_seq={self.seq_length}"]:
        """Return what is added to the score of each query and key."""
        return self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)


@checked
def partition_grid(
    maps: Float[Tensor, "batch height width channels"], size: int
) -> Float[Tensor, "batch windows=(height//{size})*(width//{size}) seq={size}*{size} channels"]:
    """Collect the pixels of feature maps into grids that are as large as the maps.

    Args:
        maps: The feature maps. Their height and width are multiples of the size.
        size: Height and width of a grid, in pixels that are equally far apart.
    """
    tiles = unflatten(unflatten(maps, 2, (size, -1)), 1, (size, -1)).permute(0, 2, 4, 1, 3, 5)
    return tiles.flatten(3, 4).flatten(1, 2)


@checked
def merge_grid(
    grids: Float[Tensor, "batch windows={(height//size)*(width//size)} seq={size}*{size} channels"],
    size: int,
    height: int,
    width: int,
) -> Float[Tensor, "batch height={height} width={width} channels"]:
    """Return the feature maps from which `partition_grid` collects these grids.

    Args:
        grids: The grids.
        size: Height and width of a grid.
        height: Height of the feature maps, a multiple of the size.
        width: Width of the feature maps, a multiple of the size.
    """
    batch, channels = grids.shape[0], grids.shape[3]
    tiles = grids.view(batch, height // size, width // size, size, size, channels)
    return tiles.permute(0, 3, 1, 4, 2, 5).reshape(batch, height, width, channels)


class PartitionAttention(Module):
    """Attention within the parts of feature maps, and an MLP, each a residual.

    Args:
        channels: Input and output channels.
        partition: Divides feature maps into parts: `partition_windows` or `partition_grid`.
        merge: Its inverse.
        head_dim: Width of an attention head.
        size: Height and width of a part, which divide those of the feature maps.
        dropout: Probability of dropping an output of the attention or of the MLP in train mode.
        stochastic_depth: Probability of skipping each residual in train mode.
    """

    def __init__(
        self,
        channels: int,
        *,
        partition: Callable[[Tensor, int], Tensor],
        merge: Callable[[Tensor, int, int, int], Tensor],
        head_dim: int,
        size: int,
        dropout: float,
        stochastic_depth: float,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.partition = partition
        self.merge = merge
        self.size = size
        self.attn_layer = nn.Sequential(
            nn.LayerNorm(channels),
            RelativeAttention(channels, head_dim=head_dim, size=size),
            nn.Dropout(dropout),
        )
        self.mlp_layer = nn.Sequential(
            nn.LayerNorm(channels),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            nn.Dropout(dropout),
        )
        self.stochastic_depth = StochasticDepth(stochastic_depth)

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        """Add both residuals to the parts of the feature maps."""
        _, _, height, width = x.shape
        parts = self.partition(x.permute(0, 2, 3, 1), self.size)
        parts = parts + self.stochastic_depth(self.attn_layer(parts))
        parts = parts + self.stochastic_depth(self.mlp_layer(parts))
        return self.merge(parts, self.size, height, width).permute(0, 3, 1, 2)


class MaxViTBlock(Module):
    """A convolution, attention within windows, and attention within grids (Figure 2).

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the convolution.
        head_dim: Width of an attention head.
        size: Height and width of a window and of a grid.
        dropout: Probability of dropping an output of an attention or of an MLP in train mode.
        stochastic_depth: Probability of skipping each residual in train mode.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        head_dim: int,
        size: int,
        dropout: float,
        stochastic_depth: float,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        attention = functools.partial(
            PartitionAttention,
            out_channels,
            head_dim=head_dim,
            size=size,
            dropout=dropout,
            stochastic_depth=stochastic_depth,
        )
        self.layers = nn.Sequential(
            OrderedDict(
                MBconv=PreNormMBConv(
                    in_channels, out_channels, stride=stride, stochastic_depth=stochastic_depth
                ),
                window_attention=attention(partition=partition_windows, merge=merge_windows),
                grid_attention=attention(partition=partition_grid, merge=merge_grid),
            )
        )

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor,
        (
            "batch channels={self.out_channels} "
            "height=(height-1)//{self.stride}+1 width=(width-1)//{self.stride}+1"
        ),
    ]:
        """Return the feature maps."""
        maps: Tensor = self.layers(x)
        return maps
