"""Swin Transformer V2: a more stable Swin Transformer, whose position biases are computed.

Liu, Hu, Lin, Yao, Xie, Wei, Ning, Cao, Zhang, Dong, Wei, Guo, "Swin Transformer V2: scaling up
capacity and resolution", 2021, arXiv:2111.09883, Section 3 and Figure 1. What the paper leaves out
is as in the code of its authors: steps are scaled to between -8 and 8 before their logarithm, which
is divided by that of 8; biases are between 0 and 16; cosines are scaled by 10 at first; and keys
have no bias.
"""

import functools
import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from shapezoo.contracts import Module, checked
from shapezoo.layers import MLPBlock, StochasticDepth, relative_position_index
from shapezoo.models.vision.transformers.shifted_windows import (
    ShiftedWindows,
    Windows,
    attended,
    split_heads,
)
from shapezoo.models.vision.transformers.swin import SwinTransformer
from shapezoo.models.vision.transformers.swin_blocks import concatenated_neighbours
from shapezoo.registry import register


class PatchMergingV2(Module):
    """`PatchMerging` with the normalisation after the linear layer.

    Args:
        channels: Input channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(2 * channels)

    def forward(
        self, maps: Float[Tensor, "batch height width channels={self.channels}"]
    ) -> Float[Tensor, "batch height=(height+1)//2 width=(width+1)//2 channels=2*{self.channels}"]:
        """Return coarser maps. Where a neighbour is missing, it is zero."""
        merged: Tensor = self.norm(self.reduction(concatenated_neighbours(maps)))
        return merged


class ContinuousPositionBias(nn.Sequential):
    """Computes the position bias of steps by two linear layers (Equation 3).

    Args:
        num_heads: The number of heads.
    """

    def __init__(self, num_heads: int) -> None:
        hidden = nn.Linear(2, 512)
        super().__init__(hidden, nn.ReLU(inplace=True), nn.Linear(512, num_heads, bias=False))
        self.num_heads = num_heads

    @checked
    def forward(
        self, steps: Float[Tensor, "*batch 2"]
    ) -> Float[Tensor, "*batch heads={self.num_heads}"]:
        """Return the bias of each head for each step down and to the right."""
        for layer in self:
            steps = layer(steps)
        return 16 * steps.sigmoid()


class QueryKeyValue(nn.Linear):
    """One linear layer for queries, keys and values. The bias of the keys is ignored.

    Args:
        channels: Input channels, and output channels of each of the three.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 3 * channels)

    @checked
    def forward(
        self, x: Float[Tensor, "*batch channels={self.in_features}"]
    ) -> Float[Tensor, "*batch channels={self.out_features}"]:
        """Return the queries, keys and values, side by side."""
        query, key, value = self.bias.chunk(3)
        bias = torch.cat([query, torch.zeros_like(key), value])
        return functional.linear(x, self.weight, bias)


class WindowAttentionV2(Module):
    """`WindowAttention` by scaled cosines, with computed position biases (Equations 2 to 4).

    Args:
        channels: Input and output channels.
        head_dim: Width of a head.
        windows: The windows, regular or shifted.
        dropout: Probability of dropping an output in train mode.
    """

    relative_coords_table: Tensor
    relative_position_index: Tensor

    def __init__(
        self, channels: int, *, head_dim: int, windows: Windows | ShiftedWindows, dropout: float
    ) -> None:
        super().__init__()
        self.channels = channels
        self.num_heads = channels // head_dim
        self.windows = windows
        self.logit_scale = nn.Parameter(torch.full((self.num_heads, 1, 1), math.log(10)))
        self.register_buffer("relative_coords_table", log_spaced_steps(windows.size)[None])
        index = relative_position_index(windows.size, windows.size)
        self.register_buffer("relative_position_index", index.flatten())
        self.qkv = QueryKeyValue(channels)
        self.proj = nn.Linear(channels, channels)
        self.cpb_mlp = ContinuousPositionBias(self.num_heads)
        self.dropout = nn.Dropout(dropout)

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
        biases = self.cpb_mlp(self.relative_coords_table.view(-1, 2))
        by_pair: Tensor = biases[self.relative_position_index].T
        return by_pair.reshape(self.num_heads, self.windows.size**2, -1)

    def _attend(self, windows: Tensor, bias: Tensor) -> Tensor:
        query, key, value = split_heads(self.qkv(windows), self.num_heads)
        query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        scaled = query * self.logit_scale.clamp(max=math.log(100)).exp()
        output: Tensor = self.dropout(self.proj(attended(scaled, key, value, bias)))
        return output


@checked
def log_spaced_steps(size: int) -> Float[Tensor, "height=2*{size}-1 width=2*{size}-1 2"]:
    """Return the steps between pixels of a window, down and to the right (Equation 4).

    Args:
        size: Height and width of the window, at least 2.
    """
    steps = torch.arange(1 - size, size) / (size - 1) * 8
    logs = steps.sign() * (steps.abs() + 1).log2() / 3
    return torch.stack(torch.meshgrid(logs, logs, indexing="ij"), dim=-1)


class SwinBlockV2(Module):
    """`SwinBlock` with the normalisation at the end of each residual (Figure 1).

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
        maps = maps + self.stochastic_depth(self.norm1(self.attn(maps)))
        output: Tensor = maps + self.stochastic_depth(self.norm2(self.mlp(maps)))
        return output


_register = functools.partial(
    register,
    task="image-classification",
    paper="Liu et al., Swin Transformer V2: scaling up capacity and resolution, 2021, "
    "arXiv:2111.09883",
)

_swin_v2 = functools.partial(
    SwinTransformer, WindowAttentionV2, SwinBlockV2, PatchMergingV2, window_size=8
)
_micro = functools.partial(_swin_v2, 8, (2, 1, 1, 1), head_dim=4)
_tiny = functools.partial(_swin_v2, 96, (2, 2, 6, 2))
_small = functools.partial(_swin_v2, 96, (2, 2, 18, 2))
_base = functools.partial(_swin_v2, 128, (2, 2, 18, 2))


@_register()
def swin_v2_micro(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.2,
) -> SwinTransformer:
    """A tiny Swin Transformer V2 for tests: five narrow blocks, not from a paper."""
    return _micro(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )


@_register(published_by="torchvision")
def swin_v2_t(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.2,
) -> SwinTransformer:
    """SwinV2-T: 12 blocks, with 96 channels in the first stage."""
    return _tiny(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )


@_register(published_by="torchvision")
def swin_v2_s(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.3,
) -> SwinTransformer:
    """SwinV2-S: 24 blocks, with 96 channels in the first stage."""
    return _small(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )


@_register(published_by="torchvision")
def swin_v2_b(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.0,
    stochastic_depth: float = 0.5,
) -> SwinTransformer:
    """SwinV2-B: 24 blocks, with 128 channels in the first stage."""
    return _base(
        in_channels=in_channels,
        num_classes=num_classes,
        dropout=dropout,
        stochastic_depth=stochastic_depth,
    )
