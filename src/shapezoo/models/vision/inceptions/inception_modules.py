"""The modules of Inception v3: convolutions of many sizes, side by side.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception architecture for computer
vision", 2015, arXiv:1512.00567, Figures 5 to 7 and 10, with the names that the authors used later
(arXiv:1602.07261). Where Figure 5 has a single 3x3 convolution there is one of 5x5, as in their
code.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers import ConvNormReLU


class InceptionA(Module):
    """Convolutions of 1x1, 5x5 and twice 3x3, side by side (Figure 5).

    Args:
        in_channels: Input channels.
        ch1x1: Output channels of the 1x1 convolution.
        ch5x5red: Input channels of the 5x5 convolution.
        ch5x5: Output channels of the 5x5 convolution.
        ch3x3red: Input channels of the two 3x3 convolutions.
        ch3x3: Output channels of each of the two.
        pool_proj: Output channels of the convolution after pooling.
    """

    def __init__(
        self,
        in_channels: int,
        ch1x1: int,
        ch5x5red: int,
        ch5x5: int,
        ch3x3red: int,
        ch3x3: int,
        pool_proj: int,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = ch1x1 + ch5x5 + ch3x3 + pool_proj
        self.branch1x1 = _conv(in_channels, ch1x1, 1, 1)
        self.branch5x5_1 = _conv(in_channels, ch5x5red, 1, 1)
        self.branch5x5_2 = _conv(ch5x5red, ch5x5, 5, 5)
        self.branch3x3dbl_1 = _conv(in_channels, ch3x3red, 1, 1)
        self.branch3x3dbl_2 = _conv(ch3x3red, ch3x3, 3, 3)
        self.branch3x3dbl_3 = _conv(ch3x3, ch3x3, 3, 3)
        self.avgpool = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = _conv(in_channels, pool_proj, 1, 1)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height width"]:
        """Concatenate the outputs of the four branches."""
        branches = (
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(self.avgpool(x)),
        )
        return torch.cat(branches, dim=1)


class ReductionA(Module):
    """Halves the resolution; two branches of convolutions beside the pooled input (Figure 10).

    Args:
        in_channels: Input channels.
        ch3x3: Output channels of the single 3x3 convolution.
        ch3x3red: Input channels of the two 3x3 convolutions in a row.
        ch3x3dbl: Output channels of each of the two.
    """

    def __init__(self, in_channels: int, ch3x3: int, ch3x3red: int, ch3x3dbl: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = ch3x3 + ch3x3dbl + in_channels
        self.branch3x3 = ConvNormReLU(in_channels, ch3x3, kernel_size=3, stride=2)
        self.branch3x3dbl_1 = _conv(in_channels, ch3x3red, 1, 1)
        self.branch3x3dbl_2 = _conv(ch3x3red, ch3x3dbl, 3, 3)
        self.branch3x3dbl_3 = ConvNormReLU(ch3x3dbl, ch3x3dbl, kernel_size=3, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor, "batch channels={self.out_channels} height=(height-3)//2+1 width=(width-3)//2+1"
    ]:
        """Concatenate the outputs of the three branches."""
        branches = (
            self.branch3x3(x),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.maxpool(x),
        )
        return torch.cat(branches, dim=1)


class InceptionB(Module):
    """Convolutions of 1x1, 7x7 and twice 7x7, factored into 1x7 and 7x1 (Figure 6).

    Args:
        in_channels: Input channels.
        ch7x7: Channels between the factored convolutions.
        channels: Output channels of each of the four branches.
    """

    def __init__(self, in_channels: int, ch7x7: int, channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = 4 * channels
        self.branch1x1 = _conv(in_channels, channels, 1, 1)
        self.branch7x7_1 = _conv(in_channels, ch7x7, 1, 1)
        self.branch7x7_2 = _conv(ch7x7, ch7x7, 1, 7)
        self.branch7x7_3 = _conv(ch7x7, channels, 7, 1)
        self.branch7x7dbl_1 = _conv(in_channels, ch7x7, 1, 1)
        self.branch7x7dbl_2 = _conv(ch7x7, ch7x7, 7, 1)
        self.branch7x7dbl_3 = _conv(ch7x7, ch7x7, 1, 7)
        self.branch7x7dbl_4 = _conv(ch7x7, ch7x7, 7, 1)
        self.branch7x7dbl_5 = _conv(ch7x7, channels, 1, 7)
        self.avgpool = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = _conv(in_channels, channels, 1, 1)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height width"]:
        """Concatenate the outputs of the four branches."""
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        branches = (
            self.branch1x1(x),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(self.avgpool(x)),
        )
        return torch.cat(branches, dim=1)


class ReductionB(Module):
    """Halves the resolution, with a 7x7 convolution before one of the 3x3 (after Figure 10).

    Args:
        in_channels: Input channels.
        ch7x7: Channels of the 7x7 convolution, and input channels of the 3x3 convolutions.
        ch3x3: Output channels of the 3x3 convolution without a 7x7 one.
    """

    def __init__(self, in_channels: int, ch7x7: int, ch3x3: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = ch3x3 + ch7x7 + in_channels
        self.branch3x3_1 = _conv(in_channels, ch7x7, 1, 1)
        self.branch3x3_2 = ConvNormReLU(ch7x7, ch3x3, kernel_size=3, stride=2)
        self.branch7x7x3_1 = _conv(in_channels, ch7x7, 1, 1)
        self.branch7x7x3_2 = _conv(ch7x7, ch7x7, 1, 7)
        self.branch7x7x3_3 = _conv(ch7x7, ch7x7, 7, 1)
        self.branch7x7x3_4 = ConvNormReLU(ch7x7, ch7x7, kernel_size=3, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor, "batch channels={self.out_channels} height=(height-3)//2+1 width=(width-3)//2+1"
    ]:
        """Concatenate the outputs of the three branches."""
        factored = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        branches = (
            self.branch3x3_2(self.branch3x3_1(x)),
            self.branch7x7x3_4(factored),
            self.maxpool(x),
        )
        return torch.cat(branches, dim=1)


class InceptionC(Module):
    """Convolutions of 1x1, and of 1x3 beside 3x1, for many channels (Figure 7).

    Args:
        in_channels: Input channels.
        ch1x1: Output channels of the 1x1 convolution.
        ch3x3red: Input channels of the 3x3 convolution.
        ch3x3: Output channels of the 3x3, and of each 1x3 and 3x1 convolution.
        pool_proj: Output channels of the convolution after pooling.
    """

    def __init__(
        self, in_channels: int, ch1x1: int, ch3x3red: int, ch3x3: int, pool_proj: int
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = ch1x1 + 4 * ch3x3 + pool_proj
        self.branch1x1 = _conv(in_channels, ch1x1, 1, 1)
        self.branch3x3_1 = _conv(in_channels, ch3x3, 1, 1)
        self.branch3x3_2a = _conv(ch3x3, ch3x3, 1, 3)
        self.branch3x3_2b = _conv(ch3x3, ch3x3, 3, 1)
        self.branch3x3dbl_1 = _conv(in_channels, ch3x3red, 1, 1)
        self.branch3x3dbl_2 = _conv(ch3x3red, ch3x3, 3, 3)
        self.branch3x3dbl_3a = _conv(ch3x3, ch3x3, 1, 3)
        self.branch3x3dbl_3b = _conv(ch3x3, ch3x3, 3, 1)
        self.avgpool = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = _conv(in_channels, pool_proj, 1, 1)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height width"]:
        """Concatenate the outputs of the six branches."""
        single = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        branches = (
            self.branch1x1(x),
            self.branch3x3_2a(single),
            self.branch3x3_2b(single),
            self.branch3x3dbl_3a(double),
            self.branch3x3dbl_3b(double),
            self.branch_pool(self.avgpool(x)),
        )
        return torch.cat(branches, dim=1)


def _conv(in_channels: int, out_channels: int, height: int, width: int) -> ConvNormReLU:
    """Build a convolution with an odd kernel, padded to keep the resolution."""
    return ConvNormReLU(
        in_channels, out_channels, kernel_size=(height, width), padding=(height // 2, width // 2)
    )
