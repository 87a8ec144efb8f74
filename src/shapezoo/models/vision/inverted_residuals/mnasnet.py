"""MnasNet: a network for mobile devices, found by a search that measured its latency on a phone.

Tan, Chen, Pang, Vasudevan, Sandler, Howard, Le, "MnasNet: platform-aware neural architecture search
for mobile", 2018, arXiv:1807.11626. As in torchvision, whose weights load, this is MnasNet-B1: the
network of the paper's first version (Figure 7), without the squeeze-and-excitation of the later
one, MnasNet-A1. Weights are initialised as in torchvision; the paper does not say how.
"""

import functools
import itertools

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers.conv_norm_activation import ConvNormActivation
from shapezoo.layers.initialisation import init_convolutions
from shapezoo.layers.rounding import make_divisible
from shapezoo.models.vision.staged_backbone import StagedBackbone, outputs_of
from shapezoo.registry import register

# the paper normalises with a decay of 0.9997, which PyTorch calls a momentum of 0.0003
_NORM = functools.partial(nn.BatchNorm2d, momentum=1 - 0.9997)
_CONV = functools.partial(ConvNormActivation, norm=_NORM)
_STAGES = ((3, 3, 2), (3, 5, 2), (6, 5, 2), (6, 3, 1), (6, 5, 2), (6, 3, 1))
"""Expansion, kernel size and stride of each stage, from Figure 7."""
_LAST_OF_RESOLUTION = (8, 9, 11, 13)
"""The places of stages 1, 2, 4 and 6 among the layers; eight layers are the stem."""


class MnasNetBlock(Module):
    """Expands the channels, convolves each by itself, and projects them back (Figure 7, MBConv).

    The input is added to the output if both have the same shape.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
        kernel_size: Height and width of the depthwise kernel, an odd number.
        stride: Stride of the depthwise convolution.
        expansion: Channels of the depthwise convolution, as a multiple of the input channels.
    """

    def __init__(
        self, in_channels: int, out_channels: int, *, kernel_size: int, stride: int, expansion: int
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.is_residual = stride == 1 and in_channels == out_channels
        channels = expansion * in_channels
        self.layers = nn.Sequential(
            *_CONV(in_channels, channels, 1),
            *_CONV(channels, channels, kernel_size, stride=stride, groups=channels),
            *_CONV(channels, out_channels, 1, activation=None),
        )

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
        maps: Tensor = self.layers(x)
        if self.is_residual:
            maps += x
        return maps


class MnasNet(StagedBackbone):
    """An image classifier of a depthwise separable convolution and six stages of blocks.

    Args:
        depths: Number of blocks of each of the six stages.
        width: Multiplies the numbers of channels, except those of the last convolution.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        last_channels: Output channels of the last convolution, whatever the width.
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
        depths: tuple[int, ...] = (3, 3, 3, 2, 4, 1),
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        last_channels: int = 1280,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.num_features = last_channels
        stem, *channels = (make_divisible(c * width) for c in (32, 16, 24, 40, 80, 96, 192, 320))
        self.feature_channels = channels[1], channels[2], channels[4], channels[6]
        self.layers = nn.Sequential(
            *_CONV(in_channels, stem, 3, stride=2),
            *_CONV(stem, stem, 3, groups=stem),
            *_CONV(stem, channels[0], 1, activation=None),
        )
        widths = itertools.pairwise(channels)
        for (before, after), depth, row in zip(widths, depths, _STAGES, strict=True):
            self.layers.append(_stage(before, after, depth, *row))
        self.layers.extend(_CONV(channels[6], last_channels, 1))
        head = nn.Linear(last_channels, num_classes)
        self.classifier = nn.Sequential(nn.Dropout(dropout), head)
        init_convolutions(self)
        nn.init.kaiming_uniform_(head.weight, mode="fan_out", nonlinearity="sigmoid")
        nn.init.zeros_(head.bias)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.layers(images).mean((2, 3)))
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last maps, after dropout."""
        features: Tensor = self.classifier[0](self.layers(images).mean((2, 3)))
        return features

    def _maps(self, images: Tensor) -> list[Tensor]:
        return outputs_of(self.layers, _LAST_OF_RESOLUTION, images)


def _stage(
    in_channels: int, out_channels: int, depth: int, expansion: int, kernel_size: int, stride: int
) -> nn.Sequential:
    """Build a stage, whose first block has the stride."""
    make = functools.partial(MnasNetBlock, kernel_size=kernel_size, expansion=expansion)
    blocks = [make(in_channels, out_channels, stride=stride)]
    blocks += [make(out_channels, out_channels, stride=1) for _ in range(1, depth)]
    return nn.Sequential(*blocks)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Tan et al., MnasNet: platform-aware neural architecture search for mobile, 2018, "
    "arXiv:1807.11626",
)

_micro = functools.partial(MnasNet, (1, 2, 1, 1, 1, 1), width=0.1, last_channels=64)


@_register()
def mnasnet_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2
) -> MnasNet:
    """A tiny MnasNet for tests and experiments: few and narrow blocks, not from a paper."""
    return _micro(in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def mnasnet0_5(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2) -> MnasNet:
    """An MnasNet-B1 of half the width."""
    return MnasNet(width=0.5, in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def mnasnet0_75(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2) -> MnasNet:
    """An MnasNet-B1 of three quarters of the width."""
    return MnasNet(width=0.75, in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def mnasnet1_0(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2) -> MnasNet:
    """An MnasNet-B1 of full width."""
    return MnasNet(width=1.0, in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def mnasnet1_3(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2) -> MnasNet:
    """An MnasNet-B1 of 1.3 times the width."""
    return MnasNet(width=1.3, in_channels=in_channels, num_classes=num_classes, dropout=dropout)
