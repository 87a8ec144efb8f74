"""The mobile inverted bottleneck convolution (MBConv) of MobileNetV3 and EfficientNet.

Sandler et al., "MobileNetV2", 2018, arXiv:1801.04381, Section 3.3, Figure 3; with
squeeze-and-excitation, as in Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244,
Figure 4.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers.conv_norm_activation import ConvNormActivation, MakeActivation, MakeNorm
from shapezoo.layers.stochastic_depth import StochasticDepth


class MBConv(Module):
    """Expands the channels, convolves each by itself, and projects them back.

    The input is added to the output if both have the same shape. There is no expansion where it
    would not change the number of channels, and no activation after the projection.

    Args:
        in_channels: Input channels.
        expanded_channels: Channels of the depthwise convolution.
        out_channels: Output channels.
        kernel_size: Height and width of the depthwise kernel, an odd number.
        stride: Stride of the depthwise convolution.
        norm: Builds a normalisation.
        activation: Builds an activation.
        squeeze_excitation: Follows the depthwise convolution, if there is one.
        stochastic_depth: Probability of skipping the block in train mode, if it is a residual.
    """

    def __init__(
        self,
        in_channels: int,
        expanded_channels: int,
        out_channels: int,
        *,
        kernel_size: int,
        stride: int,
        norm: MakeNorm,
        activation: MakeActivation,
        squeeze_excitation: nn.Module | None = None,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.is_residual = stride == 1 and in_channels == out_channels
        self.block = nn.Sequential()
        if expanded_channels != in_channels:
            self.block.append(
                ConvNormActivation(
                    in_channels, expanded_channels, 1, norm=norm, activation=activation
                )
            )
        self.block.append(
            ConvNormActivation(
                expanded_channels,
                expanded_channels,
                kernel_size,
                stride=stride,
                groups=expanded_channels,
                norm=norm,
                activation=activation,
            )
        )
        if squeeze_excitation is not None:
            self.block.append(squeeze_excitation)
        self.block.append(
            ConvNormActivation(expanded_channels, out_channels, 1, norm=norm, activation=None)
        )
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
