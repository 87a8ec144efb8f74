"""MobileNetV2: residual blocks that are wide inside and narrow at their ends.

Sandler, Howard, Zhu, Zhmoginov, Chen, "MobileNetV2: inverted residuals and linear bottlenecks",
2018, arXiv:1801.04381, Tables 1 and 2. Layers are named as in torchvision, whose weights load. The
paper does not say how weights are initialised; torchvision's initialisation is used.
"""

import functools

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers.conv_norm_activation import ConvNormActivation
from shapezoo.layers.initialisation import init_convolutions
from shapezoo.layers.rounding import make_divisible
from shapezoo.models.vision.staged_backbone import StagedBackbone, outputs_of
from shapezoo.registry import register

_CONV = functools.partial(ConvNormActivation, activation=functools.partial(nn.ReLU6, inplace=True))
_STAGES = ((1, 16, 1), (6, 24, 2), (6, 32, 2), (6, 64, 2), (6, 96, 1), (6, 160, 2), (6, 320, 1))
"""Expansion, output channels and stride of each stage, from Table 2."""


class InvertedResidual(Module):
    """Expands the channels, convolves each by itself, and projects them back (Table 1).

    The input is added to the output if both have the same shape.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        stride: Stride of the depthwise convolution.
        expansion: Channels of the depthwise convolution, as a multiple of the input channels. With
            1 nothing is expanded.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, expansion: int
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.is_residual = stride == 1 and in_channels == out_channels
        channels = expansion * in_channels
        self.conv = nn.Sequential()
        if expansion > 1:
            self.conv.append(_CONV(in_channels, channels, 1))
        self.conv.append(_CONV(channels, channels, 3, stride=stride, groups=channels))
        self.conv.append(nn.Conv2d(channels, out_channels, 1, bias=False))
        self.conv.append(nn.BatchNorm2d(out_channels))

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor,
        (
            "batch channels={self.out_channels} "
            "height=(height-1)//{self.stride}+1 width=(width-1)//{self.stride}+1"
        ),
    ]:
        """Return the feature maps, added to the input where the block is a residual."""
        maps: Tensor = self.conv(x)
        if self.is_residual:
            maps += x
        return maps


class MobileNetV2(StagedBackbone):
    """An image classifier of seven stages of inverted residuals.

    Args:
        depths: Number of blocks of each of the seven stages.
        width: Multiplies all numbers of channels, but those of the last convolution only if it is
            greater than 1 (Section 4).
        last_channels: Output channels of the last convolution.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        dropout: Probability of dropping a pooled feature in train mode.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    head_names = ("classifier.1",)

    def __init__(
        self,
        depths: tuple[int, ...] = (1, 2, 3, 4, 3, 3, 1),
        *,
        width: float = 1.0,
        last_channels: int = 1280,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.num_features = make_divisible(last_channels * max(1.0, width))
        channels, lasts, widths = make_divisible(32 * width), [], []
        self.features = nn.Sequential(_CONV(in_channels, channels, 3, stride=2))
        for (expansion, wide, stride), depth in zip(_STAGES, depths, strict=True):
            out_channels = make_divisible(wide * width)
            if stride == 2:
                lasts.append(len(self.features) - 1)
                widths.append(channels)
            for _ in range(depth):
                block = InvertedResidual(channels, out_channels, stride=stride, expansion=expansion)
                self.features.append(block)
                channels, stride = out_channels, 1
        # stages end before the next stride; the first maps have half of the resolution
        self._last_of_resolution = (*lasts[1:], len(self.features) - 1)
        self.feature_channels = (*widths[1:], channels)
        self.features.append(_CONV(channels, self.num_features, 1))
        head = nn.Linear(self.num_features, num_classes)
        self.classifier = nn.Sequential(nn.Dropout(dropout), head)
        init_convolutions(self)
        nn.init.normal_(head.weight, std=0.01)
        nn.init.zeros_(head.bias)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last maps, after dropout."""
        features: Tensor = self.classifier[0](self.features(images).mean((2, 3)))
        return features

    def _maps(self, images: Tensor) -> list[Tensor]:
        return outputs_of(self.features, self._last_of_resolution, images)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Sandler et al., MobileNetV2: inverted residuals and linear bottlenecks, 2018, "
    "arXiv:1801.04381",
)

_micro = functools.partial(MobileNetV2, (1, 2, 1, 1, 1, 1, 1), width=0.25, last_channels=64)


@_register()
def mobilenet_v2_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2
) -> MobileNetV2:
    """A tiny MobileNetV2 for tests and experiments: few and narrow blocks, not from a paper."""
    return _micro(in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def mobilenet_v2(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2
) -> MobileNetV2:
    """A MobileNetV2 of full width: 17 blocks (Table 2)."""
    return MobileNetV2(in_channels=in_channels, num_classes=num_classes, dropout=dropout)
