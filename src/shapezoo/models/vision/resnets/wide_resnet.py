"""Wide residual networks: fewer layers, with more channels.

Zagoruyko, Komodakis, "Wide residual networks", 2016, arXiv:1605.07146, the bottlenecks for ImageNet
of Section 3.5: those of ResNet with twice the channels inside.
"""

import functools

from shapezoo.models.vision.resnets.resnet import ResNet, Strides
from shapezoo.models.vision.resnets.resnet_blocks import Bottleneck
from shapezoo.registry import register

_register = functools.partial(
    register,
    task="image-classification",
    paper="Zagoruyko, Komodakis, Wide residual networks, 2016, arXiv:1605.07146",
)


@_register(published_by="torchvision")
def wide_resnet50_2(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNet of 50 layers with twice the channels inside its bottlenecks."""
    block = functools.partial(Bottleneck, width_per_group=128)
    return ResNet(
        block, (3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )


@_register(published_by="torchvision")
def wide_resnet101_2(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNet of 101 layers with twice the channels inside its bottlenecks."""
    block = functools.partial(Bottleneck, width_per_group=128)
    return ResNet(
        block, (3, 4, 23, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )
