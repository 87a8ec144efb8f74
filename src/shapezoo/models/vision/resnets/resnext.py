"""ResNeXt: residual networks whose 3x3 convolutions are split into groups.

Xie, Girshick, Dollár, Tu, He, "Aggregated residual transformations for deep neural networks",
2016, arXiv:1611.05431, Table 1 and Figure 3(c).
"""

import functools

from shapezoo.models.vision.resnets.resnet import ResNet, Strides
from shapezoo.models.vision.resnets.resnet_blocks import Bottleneck
from shapezoo.registry import register

_register = functools.partial(
    register,
    task="image-classification",
    paper="Xie et al., Aggregated residual transformations for deep neural networks, 2016, "
    "arXiv:1611.05431",
)


@_register(published_by="torchvision")
def resnext50_32x4d(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNeXt of 50 layers, with 32 groups of 4 channels."""
    block = functools.partial(Bottleneck, groups=32, width_per_group=4)
    return ResNet(
        block, (3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )


@_register(published_by="torchvision")
def resnext101_32x8d(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNeXt of 101 layers, with 32 groups of 8 channels."""
    block = functools.partial(Bottleneck, groups=32, width_per_group=8)
    return ResNet(
        block, (3, 4, 23, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )


@_register(published_by="torchvision")
def resnext101_64x4d(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNeXt of 101 layers, with 64 groups of 4 channels."""
    block = functools.partial(Bottleneck, groups=64, width_per_group=4)
    return ResNet(
        block, (3, 4, 23, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )
