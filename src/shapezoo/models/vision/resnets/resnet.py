"""ResNet, deep residual networks: blocks that learn what to add to their input.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
Table 1. Layers are named as in torchvision, whose weights load; `resnet_blocks` has the blocks, and
says where they depart from the paper. `resnet_micro` is for tests; the course's `resnet_small` is
another architecture.
"""

import functools
import itertools
from collections.abc import Iterator, Mapping

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers import init_convolutions
from shapezoo.models.vision.resnets.resnet_blocks import BasicBlock, Block, Bottleneck, conv
from shapezoo.registry import register

Strides = tuple[int, int, int, int]
"""The stride of each stage of a ResNet relative to the image, such as ``(4, 8, 16, 32)``."""


class ResNet(Module):
    """An image classifier with four stages of residual blocks.

    Args:
        block: Builds a block from its input channels, the channels of its stage, its stride and
            its dilations.
        depths: Number of blocks of each stage.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        channels: Channels of the stem and of the first stage.
        strides: Stride of each stage relative to the image. The first is 4 with the stem of the
            paper, 2 without its pooling, or 1 for small images: then the stem is a 3x3 convolution.
            Each of the others is twice the one before, or equal to it: then the stage is dilated
            instead of strided.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.

    Raises:
        ValueError: The strides are not four such integers.
    """

    head_names = ("fc",)

    def __init__(
        self,
        block: Block,
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        channels: int = 64,
        strides: Strides = (4, 8, 16, 32),
    ) -> None:
        super().__init__()
        _require_strides(strides)
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.strides = tuple(strides)
        kernel_size = 3 if strides[0] == 1 else 7
        self.conv1 = conv(in_channels, channels, kernel_size, stride=min(strides[0], 2))
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1) if strides[0] == 4 else nn.Identity()
        stages = _stages(block, channels, depths, strides)
        (self.layer1, first), (self.layer2, second) = next(stages), next(stages)
        (self.layer3, third), (self.layer4, fourth) = stages
        self.feature_channels = first, second, third, fourth
        self.num_features = fourth
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(fourth, num_classes)
        init_convolutions(self)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.fc(self.pooled_features(images))
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last feature maps."""
        maps = self.feature_maps(images)[-1]
        features: Tensor = self.avgpool(maps).flatten(1)
        return features

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[0]} "
                "height=(height-1)//{self.strides[0]}+1 width=(width-1)//{self.strides[0]}+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[1]} "
                "height=(height-1)//{self.strides[1]}+1 width=(width-1)//{self.strides[1]}+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height-1)//{self.strides[2]}+1 width=(width-1)//{self.strides[2]}+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[3]} "
                "height=(height-1)//{self.strides[3]}+1 width=(width-1)//{self.strides[3]}+1"
            ),
        ],
    ]:
        """Return the feature maps of each stage, highest resolution first."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(images))))
        first = self.layer1(x)
        second = self.layer2(first)
        third = self.layer3(second)
        return first, second, third, self.layer4(third)

    def adapted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights unchanged, if they fit the stem.

        Args:
            weights: The ``state_dict()`` of a ResNet.

        Raises:
            ValueError: The first convolution has another kernel size.
        """
        own = self.conv1.weight.shape[2:]
        other = weights.get("conv1.weight", self.conv1.weight).shape[2:]
        if own != other:
            advice = "strides that begin with 2 or 4, such as (2, 4, 8, 16)"
            if other == (3, 3):
                advice = "strides that begin with 1, such as (1, 2, 4, 8)"
            raise ValueError(
                f"strides={self.strides} make the first convolution {own[0]}x{own[1]}, but that of "
                f"the weights is {other[0]}x{other[1]}; pass {advice}, or train without these "
                "weights"
            )
        return dict(weights)


def _require_strides(strides: object) -> None:
    """Raise ValueError unless the strides of the four stages are possible."""
    if isinstance(strides, tuple | list) and len(strides) == 4 and strides[0] in (1, 2, 4):
        steps = itertools.pairwise(strides)
        if all(type(s) is int for s in strides) and all(b in (a, 2 * a) for a, b in steps):
            return
    raise ValueError(
        f"strides must be four integers: 1, 2 or 4, then each equal to the one before or twice as "
        f"large, got {strides!r}; try (4, 8, 16, 32), (4, 8, 8, 8) for dilated stages, or "
        f"(1, 2, 4, 8) for small images"
    )


def _stages(
    block: Block, channels: int, depths: tuple[int, int, int, int], strides: Strides
) -> Iterator[tuple[nn.Sequential, int]]:
    """Build the stages, whose first blocks have the strides, each with its output channels."""
    in_channels, last_stride, dilation = channels, strides[0], 1
    for index, (depth, stride) in enumerate(zip(depths, strides, strict=True)):
        # the first block still reads what the stage before has dilated
        first_dilation, dilation = dilation, strides[0] * 2**index // stride
        stage = nn.Sequential()
        for number in range(depth):
            layer = block(
                in_channels,
                2**index * channels,
                stride=1 if number else stride // last_stride,
                dilation=(dilation if number else first_dilation, dilation),
            )
            in_channels = layer.out_channels
            stage.append(layer)
        last_stride = stride
        yield stage, in_channels


_register = functools.partial(
    register,
    task="image-classification",
    paper="He et al., Deep residual learning for image recognition, 2015, arXiv:1512.03385",
)


_micro = functools.partial(ResNet, BasicBlock, (1, 1, 1, 1), channels=8)


@_register()
def resnet_micro(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A tiny ResNet for tests and experiments: one narrow block per stage, not from a paper."""
    return _micro(in_channels=in_channels, num_classes=num_classes, strides=strides)


@_register(published_by="torchvision")
def resnet18(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNet of 18 layers."""
    return ResNet(
        BasicBlock, (2, 2, 2, 2), in_channels=in_channels, num_classes=num_classes, strides=strides
    )


@_register(published_by="torchvision")
def resnet34(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNet of 34 layers."""
    return ResNet(
        BasicBlock, (3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )


@_register(published_by="torchvision")
def resnet50(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNet of 50 layers."""
    return ResNet(
        Bottleneck, (3, 4, 6, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )


@_register(published_by="torchvision")
def resnet101(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNet of 101 layers."""
    return ResNet(
        Bottleneck, (3, 4, 23, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )


@_register(published_by="torchvision")
def resnet152(
    *, in_channels: int = 3, num_classes: int = 1000, strides: Strides = (4, 8, 16, 32)
) -> ResNet:
    """A ResNet of 152 layers."""
    return ResNet(
        Bottleneck, (3, 8, 36, 3), in_channels=in_channels, num_classes=num_classes, strides=strides
    )
