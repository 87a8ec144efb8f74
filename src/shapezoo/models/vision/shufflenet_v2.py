"""ShuffleNet V2: units that change half of the channels, and shuffle them.

Ma, Zhang, Zheng, Sun, "ShuffleNet V2: practical guidelines for efficient CNN architecture design",
2018, arXiv:1807.11164, Figure 3 and Table 5. Weights have the initialisation of PyTorch's layers;
the paper does not say which.
"""

import functools

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers import ConvNormActivation
from shapezoo.models.vision.staged_backbone import StagedBackbone
from shapezoo.registry import register


class ChannelShuffle(Module):
    """Interleaves the two halves of the channels, so that the next unit mixes them.

    Zhang, Zhou, Lin, Sun, "ShuffleNet", 2017, arXiv:1707.01083, Section 3.1, with two groups. The
    number of channels must be even.
    """

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the channels of both halves in turn."""
        return torch.unflatten(x, 1, (2, -1)).transpose(1, 2).flatten(1, 2)


class ShuffleUnit(Module):
    """Changes half of the channels, and keeps the others (Figure 3(c)).

    Args:
        channels: Input and output channels, an even number.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.branch2 = _branch(channels // 2, channels // 2, stride=1)
        self.shuffle = ChannelShuffle()

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        """Split the channels, change the second half, and shuffle."""
        kept, changed = x.chunk(2, dim=1)
        maps: Tensor = self.shuffle(torch.cat((kept, self.branch2(changed)), dim=1))
        return maps


class ShuffleDownsamplingUnit(Module):
    """Halves the resolution, with all channels in both branches (Figure 3(d)).

    Args:
        in_channels: Input channels.
        out_channels: Output channels, an even number.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.branch1 = nn.Sequential(
            *_depthwise(in_channels, stride=2),
            *ConvNormActivation(in_channels, out_channels // 2, 1),
        )
        self.branch2 = _branch(in_channels, out_channels // 2, stride=2)
        self.shuffle = ChannelShuffle()

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor, "batch channels={self.out_channels} height=(height-1)//2+1 width=(width-1)//2+1"
    ]:
        """Concatenate the outputs of the two branches, and shuffle."""
        maps: Tensor = self.shuffle(torch.cat((self.branch1(x), self.branch2(x)), dim=1))
        return maps


class ShuffleNetV2(StagedBackbone):
    """An image classifier of three stages of units.

    Args:
        channels: Output channels of the first convolution, of each stage, and of the last
            convolution.
        depths: Number of units of each stage.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    head_names = ("fc",)

    def __init__(
        self,
        channels: tuple[int, int, int, int, int],
        *,
        depths: tuple[int, int, int] = (4, 8, 4),
        in_channels: int = 3,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_channels = channels[:4]
        self.num_features = channels[4]
        first, second, third, fourth, fifth = channels
        self.conv1 = ConvNormActivation(in_channels, first, 3, stride=2)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = _stage(first, second, depths[0])
        self.stage3 = _stage(second, third, depths[1])
        self.stage4 = _stage(third, fourth, depths[2])
        self.conv5 = ConvNormActivation(fourth, fifth, 1)
        self.fc = nn.Linear(fifth, num_classes)

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
        """Return the input of the last layer: the averages of the last convolution."""
        maps: Tensor = self.conv5(self._maps(images)[-1])
        return maps.mean((2, 3))

    def _maps(self, images: Tensor) -> list[Tensor]:
        first = self.maxpool(self.conv1(images))
        second = self.stage2(first)
        third = self.stage3(second)
        return [first, second, third, self.stage4(third)]


def _depthwise(channels: int, *, stride: int) -> ConvNormActivation:
    """Build a 3x3 convolution of each channel by itself, without activation."""
    return ConvNormActivation(
        channels, channels, 3, stride=stride, groups=channels, activation=None
    )


def _branch(in_channels: int, out_channels: int, *, stride: int) -> nn.Sequential:
    """Build the branch of three convolutions, whose layers the keys number in a row."""
    return nn.Sequential(
        *ConvNormActivation(in_channels, out_channels, 1),
        *_depthwise(out_channels, stride=stride),
        *ConvNormActivation(out_channels, out_channels, 1),
    )


def _stage(in_channels: int, out_channels: int, depth: int) -> nn.Sequential:
    """Build a stage, whose first unit halves the resolution."""
    units = (ShuffleUnit(out_channels) for _ in range(depth - 1))
    return nn.Sequential(ShuffleDownsamplingUnit(in_channels, out_channels), *units)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Ma et al., ShuffleNet V2: practical guidelines for efficient CNN architecture design, "
    "2018, arXiv:1807.11164",
)


@_register()
def shufflenet_v2_micro(*, in_channels: int = 3, num_classes: int = 1000) -> ShuffleNetV2:
    """A tiny ShuffleNet V2 for tests and experiments: four narrow units, not from a paper."""
    return ShuffleNetV2(
        (8, 8, 16, 32, 64), depths=(2, 1, 1), in_channels=in_channels, num_classes=num_classes
    )


@_register(published_by="torchvision")
def shufflenet_v2_x0_5(*, in_channels: int = 3, num_classes: int = 1000) -> ShuffleNetV2:
    """ShuffleNet V2 0.5x, with 48 channels in the first stage (Table 5)."""
    return ShuffleNetV2((24, 48, 96, 192, 1024), in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def shufflenet_v2_x1_0(*, in_channels: int = 3, num_classes: int = 1000) -> ShuffleNetV2:
    """ShuffleNet V2 1x, with 116 channels in the first stage (Table 5)."""
    return ShuffleNetV2((24, 116, 232, 464, 1024), in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def shufflenet_v2_x1_5(*, in_channels: int = 3, num_classes: int = 1000) -> ShuffleNetV2:
    """ShuffleNet V2 1.5x, with 176 channels in the first stage (Table 5)."""
    return ShuffleNetV2((24, 176, 352, 704, 1024), in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def shufflenet_v2_x2_0(*, in_channels: int = 3, num_classes: int = 1000) -> ShuffleNetV2:
    """ShuffleNet V2 2x, with 244 channels in the first stage (Table 5)."""
    return ShuffleNetV2((24, 244, 488, 976, 2048), in_channels=in_channels, num_classes=num_classes)
