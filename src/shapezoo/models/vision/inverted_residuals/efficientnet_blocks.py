"""The blocks of EfficientNet and EfficientNetV2, and the rows of their tables.

Tan, Le, "EfficientNet", 2019, arXiv:1905.11946, Table 1; and "EfficientNetV2", 2021,
arXiv:2104.00298, Figure 2 and Table 4. As in that table, a fused block has no
squeeze-and-excitation, which the figure shows.
"""

import functools
from typing import NamedTuple, Protocol

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers.conv_norm_activation import ConvNormActivation, MakeNorm
from shapezoo.layers.squeeze_excitation import SqueezeExcitation
from shapezoo.layers.stochastic_depth import StochasticDepth
from shapezoo.models.vision.inverted_residuals.mbconv import MBConv

SILU = functools.partial(nn.SiLU, inplace=True)


def mbconv(
    in_channels: int,
    out_channels: int,
    *,
    expansion: int,
    kernel_size: int,
    stride: int,
    norm: MakeNorm,
    stochastic_depth: float,
) -> MBConv:
    """Build a block; its squeeze-and-excitation has a quarter of the input channels."""
    channels = expansion * in_channels
    return MBConv(
        in_channels,
        channels,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        norm=norm,
        activation=SILU,
        squeeze_excitation=SqueezeExcitation(channels, in_channels // 4, activation=SILU),
        stochastic_depth=stochastic_depth,
    )


class FusedMBConv(Module):
    """An inverted residual in which one convolution expands the channels and mixes pixels.

    The input is added to the output if both have the same shape.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        expansion: Output channels of the first convolution, as a multiple of the input channels.
            With 1 it is the only convolution.
        kernel_size: Height and width of its kernel, an odd number.
        stride: Its stride.
        norm: Builds a normalisation.
        stochastic_depth: Probability of skipping the block in train mode, if it is a residual.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        kernel_size: int,
        stride: int,
        norm: MakeNorm = nn.BatchNorm2d,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.is_residual = stride == 1 and in_channels == out_channels
        channels = expansion * in_channels if expansion > 1 else out_channels
        conv = functools.partial(ConvNormActivation, norm=norm)
        self.block = nn.Sequential(
            conv(in_channels, channels, kernel_size, stride=stride, activation=SILU)
        )
        if expansion > 1:
            self.block.append(conv(channels, out_channels, 1, activation=None))
        self.stochastic_depth = (
            StochasticDepth(stochastic_depth) if self.is_residual else nn.Identity()
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
        """Return the feature maps, added to the input where the block is a residual."""
        maps: Tensor = self.stochastic_depth(self.block(x))
        if self.is_residual:
            maps += x
        return maps


class MakeBlock(Protocol):
    """Builds a block: `mbconv`, or `FusedMBConv` of EfficientNetV2."""

    def __call__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        expansion: int,
        kernel_size: int,
        stride: int,
        norm: MakeNorm,
        stochastic_depth: float,
    ) -> nn.Module:
        """Build a block whose expanded channels are a multiple of its input channels."""
        ...


class Stage(NamedTuple):
    """A row of the paper's table: blocks of the same kind.

    Attributes:
        block: Builds a block.
        expansion: Expanded channels of a block, as a multiple of its input channels.
        kernel_size: Height and width of the kernel of a block.
        stride: Stride of the first block.
        channels: Output channels.
        depth: Number of blocks.
    """

    block: MakeBlock
    expansion: int
    kernel_size: int
    stride: int
    channels: int
    depth: int
