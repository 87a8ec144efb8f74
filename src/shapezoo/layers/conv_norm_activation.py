"""A padded convolution, normalisation and an activation, as most networks since 2015 repeat them.

Ioffe, Szegedy, "Batch normalization", 2015, arXiv:1502.03167, Section 3.2: normalisation stands
between a convolution without bias and its activation.
"""

import functools
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import checked

Norm = Callable[[int], nn.Module]
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
        activation: Builds the activation. With None there is none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        *,
        stride: int = 1,
        groups: int = 1,
        norm: Norm = nn.BatchNorm2d,
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
