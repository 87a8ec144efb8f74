"""Convolution, batch normalisation and ReLU: the building block of the Inception networks.

Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015, arXiv:1512.00567,
Section 6; normalisation as in Ioffe, Szegedy, "Batch normalization", 2015, arXiv:1502.03167.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module


class ConvNormReLU(Module):
    """A convolution, batch normalisation and ReLU.

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
