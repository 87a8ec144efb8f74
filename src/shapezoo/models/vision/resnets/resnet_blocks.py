"""The residual blocks of ResNet, ResNeXt and wide ResNet.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
Figure 5. As in torchvision, a bottleneck has its stride in the 3x3 convolution, not in the first.

A dilated block replaces one whose stride was removed (Yu, Koltun, Funkhouser, "Dilated residual
networks", 2017, arXiv:1705.09914, Section 2): its convolutions read pixels as far apart as they
would have been after that stride. So the output of the strided block is every second row and column
of that of the dilated one.
"""

from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module


class BasicBlock(Module):
    """Two 3x3 convolutions whose output is added to their input (Figure 5, left).

    Args:
        in_channels: Input channels.
        channels: Output channels.
        stride: Stride of the first convolution.
        dilation: Dilation of each convolution.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = channels
        self.stride = stride
        self.conv1 = conv(in_channels, channels, 3, stride=stride, dilation=dilation[0])
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv(channels, channels, 3, dilation=dilation[1])
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = _shortcut(in_channels, channels, stride)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor,
        (
            "batch channels={self.out_channels} "
            "height=(height-1)//{self.stride}+1 width=(width-1)//{self.stride}+1"
        ),
    ]:
        """Add the residual to the input (Equations 1 and 2)."""
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        residual += self.downsample(x)
        maps: Tensor = self.relu(residual)
        return maps


class Bottleneck(Module):
    """A 3x3 convolution with fewer channels between two of 1x1 (Figure 5, right).

    Args:
        in_channels: Input channels.
        channels: A quarter of the output channels.
        stride: Stride of the 3x3 convolution.
        dilation: Dilation of the convolution that has the stride, and of one after it. A
            bottleneck has only the former.
        groups: Groups of the 3x3 convolution; the cardinality of ResNeXt.
        width_per_group: Channels per group where `channels` is 64; proportionally more where it
            is larger.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        dilation: tuple[int, int] = (1, 1),
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = 4 * channels
        self.stride = stride
        width = channels * width_per_group // 64 * groups
        self.conv1 = conv(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, stride=stride, dilation=dilation[0], groups=groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, self.out_channels, 1)
        self.bn3 = nn.BatchNorm2d(self.out_channels)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = _shortcut(in_channels, self.out_channels, stride)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor,
        (
            "batch channels={self.out_channels} "
            "height=(height-1)//{self.stride}+1 width=(width-1)//{self.stride}+1"
        ),
    ]:
        """Add the residual to the input (Equations 1 and 2)."""
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        residual += self.downsample(x)
        maps: Tensor = self.relu(residual)
        return maps


class Block(Protocol):
    """Builds a residual block: `BasicBlock`, `Bottleneck`, or a `functools.partial` of them."""

    def __call__(
        self, in_channels: int, channels: int, *, stride: int, dilation: tuple[int, int]
    ) -> BasicBlock | Bottleneck:
        """Build a block; a bottleneck has four times as many output channels."""
        ...


def conv(
    in_channels: int,
    out_channels: int,
    kernel_size: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
) -> nn.Conv2d:
    """Build a padded convolution without bias, as normalisation follows."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=dilation * (kernel_size // 2),
        dilation=dilation,
        groups=groups,
        bias=False,
    )


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """Build the projection of a block's input to the shape of its output (option B)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        conv(in_channels, out_channels, 1, stride=stride), nn.BatchNorm2d(out_channels)
    )
