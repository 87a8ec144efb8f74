"""Inception v3: modules whose large patterns are factored into small and flat ones.

Szegedy, Vanhoucke, Ioffe, Shlens, Wojna, "Rethinking the Inception architecture for computer
vision", 2015, arXiv:1512.00567, Table 1 and Figures 5 to 8 and 10, with the numbers of maps of the
authors' code. As that and torchvision's, whose weights it takes, the network departs from the paper
in this: where Figure 5 has a single 3x3 convolution it has one of 5x5, and between the first
pooling and the modules it has convolutions of 1x1 and 3x3 and another pooling, instead of three
convolutions. Modules have the names that the authors gave them later (arXiv:1602.07261).
"""

import functools
from collections.abc import Iterator
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers import ConvNormReLU, init_truncated_normal
from shapezoo.registry import register


class InceptionA(Module):
    """Patterns of 1x1, 5x5 and twice 3x3, side by side (Figure 5).

    Args:
        in_channels: Maps to read.
        ch1x1: Maps of the 1x1 convolution.
        ch5x5red: Maps that the 5x5 convolution reads.
        ch5x5: Maps of the 5x5 convolution.
        ch3x3red: Maps that the two 3x3 convolutions read.
        ch3x3: Maps of each of these.
        pool_proj: Maps of the convolution after pooling.
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
        """The maps of the four branches, one after the other."""
        branches = (
            self.branch1x1(x),
            self.branch5x5_2(self.branch5x5_1(x)),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.branch_pool(self.avgpool(x)),
        )
        return torch.cat(branches, dim=1)


class ReductionA(Module):
    """Half the resolution with more maps, which the input is a part of (Figure 10).

    Args:
        in_channels: Maps to read.
        ch3x3: Maps of the single 3x3 convolution.
        ch3x3red: Maps that the two 3x3 convolutions in a row read.
        ch3x3dbl: Maps of each of these.
    """

    def __init__(self, in_channels: int, ch3x3: int, ch3x3red: int, ch3x3dbl: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = ch3x3 + ch3x3dbl + in_channels
        self.branch3x3 = _reduction(in_channels, ch3x3)
        self.branch3x3dbl_1 = _conv(in_channels, ch3x3red, 1, 1)
        self.branch3x3dbl_2 = _conv(ch3x3red, ch3x3dbl, 3, 3)
        self.branch3x3dbl_3 = _reduction(ch3x3dbl, ch3x3dbl)
        self.maxpool = nn.MaxPool2d(3, stride=2)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor, "batch channels={self.out_channels} height=(height-1)//2 width=(width-1)//2"
    ]:
        """The maps of the three branches, one after the other."""
        branches = (
            self.branch3x3(x),
            self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x))),
            self.maxpool(x),
        )
        return torch.cat(branches, dim=1)


class InceptionB(Module):
    """Patterns of 1x1, 7x7 and twice 7x7, factored into rows and columns (Figure 6).

    Args:
        in_channels: Maps to read.
        ch7x7: Maps within the branches of rows and columns.
        channels: Maps that each of the four branches gives.
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
        """The maps of the four branches, one after the other."""
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        branches = (
            self.branch1x1(x),
            self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x))),
            self.branch7x7dbl_5(self.branch7x7dbl_4(double)),
            self.branch_pool(self.avgpool(x)),
        )
        return torch.cat(branches, dim=1)


class ReductionB(Module):
    """Half the resolution, with a 7x7 pattern before one of the 3x3 (after Figure 10).

    Args:
        in_channels: Maps to read.
        ch7x7: Maps of the 7x7 convolution, and of all that the 3x3 convolutions read.
        ch3x3: Maps of the 3x3 convolution that stands alone.
    """

    def __init__(self, in_channels: int, ch7x7: int, ch3x3: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = ch3x3 + ch7x7 + in_channels
        self.branch3x3_1 = _conv(in_channels, ch7x7, 1, 1)
        self.branch3x3_2 = _reduction(ch7x7, ch3x3)
        self.branch7x7x3_1 = _conv(in_channels, ch7x7, 1, 1)
        self.branch7x7x3_2 = _conv(ch7x7, ch7x7, 1, 7)
        self.branch7x7x3_3 = _conv(ch7x7, ch7x7, 7, 1)
        self.branch7x7x3_4 = _reduction(ch7x7, ch7x7)
        self.maxpool = nn.MaxPool2d(3, stride=2)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor, "batch channels={self.out_channels} height=(height-1)//2 width=(width-1)//2"
    ]:
        """The maps of the three branches, one after the other."""
        factored = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        branches = (
            self.branch3x3_2(self.branch3x3_1(x)),
            self.branch7x7x3_4(factored),
            self.maxpool(x),
        )
        return torch.cat(branches, dim=1)


class InceptionC(Module):
    """Patterns of 1x1, and of rows beside columns, for many maps (Figure 7).

    Args:
        in_channels: Maps to read.
        ch1x1: Maps of the 1x1 convolution.
        ch3x3red: Maps that the 3x3 convolution reads.
        ch3x3: Maps of that, and of each convolution of rows or columns.
        pool_proj: Maps of the convolution after pooling.
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
        """The maps of the six branches, one after the other."""
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


class InceptionV3Auxiliary(Module):
    """A classifier of maps from the middle of the network (Section 4, Figure 8).

    Args:
        in_channels: Maps to read.
        num_classes: Number of labels.
        channels: Maps of the 1x1 convolution.
        features: Maps of the 5x5 convolution.
    """

    def __init__(self, in_channels: int, num_classes: int, *, channels: int, features: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.pool = nn.AvgPool2d(5, stride=3)
        self.conv0 = ConvNormReLU(in_channels, channels, kernel_size=1)
        self.conv1 = ConvNormReLU(channels, features, kernel_size=5)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(features, num_classes)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class."""
        maps = self.conv1(self.conv0(self.pool(x)))
        logits: Tensor = self.fc(self.avgpool(maps).flatten(1))
        return logits


class InceptionV3(Module):
    """A classifier of images, of eleven Inception modules and an auxiliary classifier.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
        divisor: By how much all other numbers of maps and features are divided.
    """

    strides: ClassVar = (4, 8, 16, 32)

    def __init__(self, *, in_channels: int = 3, num_classes: int = 1000, divisor: int = 1) -> None:
        super().__init__()

        def widths(*maps: int) -> Iterator[int]:
            return (number // divisor for number in maps)

        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_channels = tuple(widths(192, 288, 768, 2048))
        self.Conv2d_1a_3x3 = ConvNormReLU(in_channels, *widths(32), kernel_size=3, stride=2)
        self.Conv2d_2a_3x3 = ConvNormReLU(*widths(32, 32), kernel_size=3)
        self.Conv2d_2b_3x3 = ConvNormReLU(*widths(32, 64), kernel_size=3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = ConvNormReLU(*widths(64, 80), kernel_size=1)
        self.Conv2d_4a_3x3 = ConvNormReLU(*widths(80, 192), kernel_size=3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = InceptionA(*widths(192, 64, 48, 64, 64, 96, 32))
        self.Mixed_5c = InceptionA(*widths(256, 64, 48, 64, 64, 96, 64))
        self.Mixed_5d = InceptionA(*widths(288, 64, 48, 64, 64, 96, 64))
        self.Mixed_6a = ReductionA(*widths(288, 384, 64, 96))
        self.Mixed_6b = InceptionB(*widths(768, 128, 192))
        self.Mixed_6c = InceptionB(*widths(768, 160, 192))
        self.Mixed_6d = InceptionB(*widths(768, 160, 192))
        self.Mixed_6e = InceptionB(*widths(768, 192, 192))
        channels, features = widths(128, 768)
        self.AuxLogits = InceptionV3Auxiliary(
            self.Mixed_6e.out_channels, num_classes, channels=channels, features=features
        )
        self.Mixed_7a = ReductionB(*widths(768, 192, 320))
        self.Mixed_7b = InceptionC(*widths(1280, 320, 448, 384, 192))
        self.Mixed_7c = InceptionC(*widths(2048, 320, 448, 384, 192))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(self.Mixed_7c.out_channels, num_classes)
        # as in the authors' code, as the paper has none, but for `fc`, which is torchvision's
        init_truncated_normal(self, std=0.1)
        init_truncated_normal(self.AuxLogits.conv1, std=0.01)
        init_truncated_normal(self.AuxLogits.fc, std=0.001)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> (
        Float[Tensor, "batch classes={self.num_classes}"]
        | tuple[
            Float[Tensor, "batch classes={self.num_classes}"],
            Float[Tensor, "batch classes={self.num_classes}"],
        ]
    ):
        """Score every class for each image.

        Returns:
            In eval mode the logits. In train mode these, and those of the auxiliary classifier.
        """
        middle = self._sixth(self._fifth(self.maxpool2(self._stem(images))))
        auxiliary = self.AuxLogits(middle) if self.training else None
        logits: Tensor = self.fc(self.dropout(self.avgpool(self._seventh(middle)).flatten(1)))
        return logits if auxiliary is None else (logits, auxiliary)

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            "batch channels={self.feature_channels[0]} height=(height-15)//4 width=(width-15)//4",
        ],
        Float[
            Tensor,
            "batch channels={self.feature_channels[1]} height=(height-19)//8 width=(width-19)//8",
        ],
        Float[
            Tensor,
            "batch channels={self.feature_channels[2]} height=(height-27)//16 width=(width-27)//16",
        ],
        Float[
            Tensor,
            "batch channels={self.feature_channels[3]} height=(height-43)//32 width=(width-43)//32",
        ],
    ]:
        """The last maps of each resolution, the finest first."""
        first = self._stem(images)
        second = self._fifth(self.maxpool2(first))
        third = self._sixth(second)
        return first, second, third, self._seventh(third)

    def _stem(self, images: Tensor) -> Tensor:
        x = self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(images))
        x = self.maxpool1(self.Conv2d_2b_3x3(x))
        return self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x))

    def _fifth(self, x: Tensor) -> Tensor:
        return self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(x)))

    def _sixth(self, x: Tensor) -> Tensor:
        x = self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))
        return self.Mixed_6e(self.Mixed_6d(x))

    def _seventh(self, x: Tensor) -> Tensor:
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x)))


def _conv(in_channels: int, out_channels: int, height: int, width: int) -> ConvNormReLU:
    """Patterns of this odd size, over maps whose border is padded."""
    return ConvNormReLU(
        in_channels,
        out_channels,
        kernel_size=(height, width),
        padding=(height // 2, width // 2),
    )


def _reduction(in_channels: int, out_channels: int) -> ConvNormReLU:
    """Patterns of 3x3 at half the resolution."""
    return ConvNormReLU(in_channels, out_channels, kernel_size=3, stride=2)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Szegedy et al., Rethinking the Inception architecture for computer vision, 2015, "
    "arXiv:1512.00567",
)


@_register()
def inception_v3_micro(*, in_channels: int = 3, num_classes: int = 1000) -> InceptionV3:
    """An Inception v3 of a sixteenth of the width, for tests and first steps.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return InceptionV3(in_channels=in_channels, num_classes=num_classes, divisor=16)


@_register(published_by="torchvision")
def inception_v3(*, in_channels: int = 3, num_classes: int = 1000) -> InceptionV3:
    """Inception v3, of 48 layers.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return InceptionV3(in_channels=in_channels, num_classes=num_classes)
