"""ResNet, deep residual networks: blocks that learn what to add to their input.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
Table 1 and Figure 5. As torchvision's, whose weights they take, the networks depart from it in
this: a bottleneck has its stride in the 3x3 convolution, not in the first.
"""

import functools
from typing import Protocol

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.registry import register


class BasicBlock(Module):
    """Two 3x3 convolutions whose result is added to what they read (Figure 5, left).

    Args:
        in_channels: Maps to read.
        channels: Maps to give.
        stride: By how much height and width are divided, rounded up.
    """

    def __init__(self, in_channels: int, channels: int, *, stride: int = 1) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = channels
        self.stride = stride
        self.conv1 = _conv(in_channels, channels, 3, stride=stride)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv(channels, channels, 3)
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
        """The maps, corrected (Equations 1 and 2)."""
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.bn2(self.conv2(residual))
        residual += self.downsample(x)
        maps: Tensor = self.relu(residual)
        return maps


class Bottleneck(Module):
    """A 3x3 convolution of fewer maps between two of 1x1, as residual (Figure 5, right).

    Args:
        in_channels: Maps to read.
        channels: A quarter of the maps to give.
        stride: By how much height and width are divided, rounded up.
        groups: Into how many groups the maps of the 3x3 convolution are split; the
            cardinality of ResNeXt.
        width_per_group: Maps of a group, where there are 64 `channels`; proportionally more
            where there are more.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        *,
        stride: int = 1,
        groups: int = 1,
        width_per_group: int = 64,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = 4 * channels
        self.stride = stride
        width = channels * width_per_group // 64 * groups
        self.conv1 = _conv(in_channels, width, 1)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = _conv(width, width, 3, stride=stride, groups=groups)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = _conv(width, self.out_channels, 1)
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
        """The maps, corrected (Equations 1 and 2)."""
        residual = self.relu(self.bn1(self.conv1(x)))
        residual = self.relu(self.bn2(self.conv2(residual)))
        residual = self.bn3(self.conv3(residual))
        residual += self.downsample(x)
        maps: Tensor = self.relu(residual)
        return maps


class Block(Protocol):
    """What makes a residual block: `BasicBlock`, `Bottleneck`, or one of these in part."""

    def __call__(self, in_channels: int, channels: int, *, stride: int) -> BasicBlock | Bottleneck:
        """A block that reads and gives this many maps, or a multiple of them."""
        ...


class ResNet(Module):
    """A classifier of images, of four stages of residual blocks.

    Args:
        block: Makes a block, of the maps that it reads, the maps of its stage and its stride.
        depths: The number of blocks of each stage.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
        channels: Maps of the first stage, and of what comes before.
    """

    strides = (4, 8, 16, 32)

    def __init__(
        self,
        block: Block,
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        channels: int = 64,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.conv1 = nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1, first = _stage(block, channels, channels, depths[0], stride=1)
        self.layer2, second = _stage(block, first, 2 * channels, depths[1], stride=2)
        self.layer3, third = _stage(block, second, 4 * channels, depths[2], stride=2)
        self.layer4, fourth = _stage(block, third, 8 * channels, depths[3], stride=2)
        self.feature_channels = first, second, third, fourth
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(fourth, num_classes)
        _init_convolutions(self)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        maps = self.feature_maps(images)[-1]
        logits: Tensor = self.fc(self.avgpool(maps).flatten(1))
        return logits

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            "batch channels={self.feature_channels[0]} height=(height-1)//4+1 width=(width-1)//4+1",
        ],
        Float[
            Tensor,
            "batch channels={self.feature_channels[1]} height=(height-1)//8+1 width=(width-1)//8+1",
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height-1)//16+1 width=(width-1)//16+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[3]} "
                "height=(height-1)//32+1 width=(width-1)//32+1"
            ),
        ],
    ]:
        """The maps of each stage, the finest first."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)


def _conv(
    in_channels: int, out_channels: int, kernel_size: int, *, stride: int = 1, groups: int = 1
) -> nn.Conv2d:
    """A convolution whose border is padded; normalisation follows, so it has no bias."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size,
        stride=stride,
        padding=kernel_size // 2,
        groups=groups,
        bias=False,
    )


def _shortcut(in_channels: int, out_channels: int, stride: int) -> nn.Module:
    """What makes the input of a block as large as its output (option B)."""
    if stride == 1 and in_channels == out_channels:
        return nn.Identity()
    return nn.Sequential(
        _conv(in_channels, out_channels, 1, stride=stride), nn.BatchNorm2d(out_channels)
    )


def _stage(
    block: Block, in_channels: int, channels: int, depth: int, *, stride: int
) -> tuple[nn.Sequential, int]:
    """A row of blocks, the first of which has the stride, and the number of maps that it gives."""
    blocks = [block(in_channels, channels, stride=stride)]
    while len(blocks) < depth:
        blocks.append(block(blocks[-1].out_channels, channels, stride=1))
    return nn.Sequential(*blocks), blocks[-1].out_channels


def _init_convolutions(model: nn.Module) -> None:
    """Normal weights that keep the variance of gradients (He et al. 2015, arXiv:1502.01852)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


_register = functools.partial(
    register,
    task="image-classification",
    paper="He et al., Deep residual learning for image recognition, 2015, arXiv:1512.03385",
)


@_register()
def resnet_micro(*, in_channels: int = 3, num_classes: int = 1000) -> ResNet:
    """A ResNet of one narrow block a stage, for tests and first steps.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return ResNet(
        BasicBlock, (1, 1, 1, 1), in_channels=in_channels, num_classes=num_classes, channels=8
    )


@_register(published_by="torchvision")
def resnet18(*, in_channels: int = 3, num_classes: int = 1000) -> ResNet:
    """A ResNet of 18 layers.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return ResNet(BasicBlock, (2, 2, 2, 2), in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def resnet34(*, in_channels: int = 3, num_classes: int = 1000) -> ResNet:
    """A ResNet of 34 layers.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return ResNet(BasicBlock, (3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def resnet50(*, in_channels: int = 3, num_classes: int = 1000) -> ResNet:
    """A ResNet of 50 layers.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return ResNet(Bottleneck, (3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def resnet101(*, in_channels: int = 3, num_classes: int = 1000) -> ResNet:
    """A ResNet of 101 layers.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return ResNet(Bottleneck, (3, 4, 23, 3), in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def resnet152(*, in_channels: int = 3, num_classes: int = 1000) -> ResNet:
    """A ResNet of 152 layers.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return ResNet(Bottleneck, (3, 8, 36, 3), in_channels=in_channels, num_classes=num_classes)
