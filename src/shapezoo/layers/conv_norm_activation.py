"""A convolution, normalisation and an activation, as most networks since 2015 repeat them.

Ioffe, Szegedy, "Batch normalization", 2015, arXiv:1502.03167, Section 3.2: normalisation stands
between a convolution without bias and its activation.
"""

import functools
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked

MakeNorm = Callable[[int], nn.Module]
"""Builds a normalisation from its number of channels, such as `torch.nn.BatchNorm2d`."""

MakeActivation = Callable[[], nn.Module]
"""Builds an activation, such as `torch.nn.GELU`."""

RELU: MakeActivation = functools.partial(nn.ReLU, inplace=True)


class ConvNormActivation(nn.Sequential):
    """A convolution padded by half its kernel, normalisation, and an activation.

    Its layers have the keys ``0`` and ``1``; `ConvNormReLU` gives them names.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Height and width of the kernel, an odd number.
        stride: Stride of the convolution.
        groups: Groups of the convolution: `in_channels` for a depthwise one.
        norm: Builds the normalisation.
        activation: Builds the activation; None for none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: MakeNorm = nn.BatchNorm2d,
        activation: MakeActivation | None = RELU,
    ) -> None:
        layers = [
            nn.Conv2d(
                in_channels,
                out_channels,
                kernel_size,
                stride=stride,
                padding=kernel_size // 2,
                groups=groups,
                bias=False,
            ),
            norm(out_channels),
        ]
        if activation is not None:
            layers.append(activation())
        super().__init__(*layers)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride

    @checked
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
        for layer in self:
            x = layer(x)
        return x


class ConvNormReLU(Module):
    """A convolution, batch normalisation and ReLU: the building block of the Inception networks.

    Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015,
    arXiv:1512.00567, Section 6.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Height and width of the kernel; one number for both.
        stride: Stride of the convolution.
        padding: Zeros added at the top and bottom, and at the left and right; one number for both.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        kernel_size: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, stride=stride, padding=padding, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)
        self.relu = nn.ReLU(inplace=True)
        self.kernel_size = self.conv.kernel_size
        self.padding = self.conv.padding

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor,
        (
            "batch channels={self.out_channels} "
            "height=(height-{self.kernel_size[0]-2*self.padding[0]})//{self.stride}+1 "
            "width=(width-{self.kernel_size[1]-2*self.padding[1]})//{self.stride}+1"
        ),
    ]:
        """Return the feature maps."""
        maps: Tensor = self.relu(self.bn(self.conv(x)))
        return maps
