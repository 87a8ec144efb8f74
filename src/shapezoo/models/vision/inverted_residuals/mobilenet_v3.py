"""MobileNetV3: inverted residuals with squeeze-and-excitation and hard-swish, found by search.

Howard et al., "Searching for MobileNetV3", 2019, arXiv:1905.02244, Tables 1 and 2. Like
torchvision's, whose weights load, the small network has no squeeze-and-excitation in its last
convolution (Table 2 has it). The paper does not say how weights are initialised; torchvision's
initialisation is used.
"""

import functools
from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import checked
from shapezoo.layers.conv_norm_activation import RELU, ConvNormActivation, MakeActivation
from shapezoo.layers.initialisation import init_convolutions
from shapezoo.layers.rounding import make_divisible
from shapezoo.layers.squeeze_excitation import SqueezeExcitation
from shapezoo.models.vision.inverted_residuals.mbconv import MBConv
from shapezoo.models.vision.staged_backbone import StagedBackbone, outputs_of
from shapezoo.registry import register

_NORM = functools.partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)  # Section 6.1: decay of 0.99
_HS = functools.partial(nn.Hardswish, inplace=True)
_CONV = functools.partial(ConvNormActivation, norm=_NORM, activation=_HS)


class MobileNetV3(StagedBackbone):
    """An image classifier of inverted residuals, and a hidden layer after the average.

    Args:
        blocks: The rows of Table 1 or 2 that are bottlenecks: kernel size, expanded channels,
            output channels, whether there is squeeze-and-excitation, activation, and stride. Four
            of the strides are 2.
        hidden_features: Width of the hidden layer.
        width: Multiplies all numbers of channels and the width of the hidden layer.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        dropout: Probability of dropping a hidden feature in train mode.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of hidden features, which the last layer reads.
        head_names: The layers that `pooled_features` does not use.
    """

    head_names = ("classifier.3",)

    def __init__(
        self,
        blocks: Sequence[tuple[int, int, int, bool, MakeActivation, int]],
        hidden_features: int,
        *,
        width: float = 1.0,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.num_features = make_divisible(hidden_features * width)
        channels, lasts, widths = make_divisible(16 * width), [], []
        self.features = nn.Sequential(_CONV(in_channels, channels, 3, stride=2))
        for kernel_size, expanded, out_channels, has_excitation, activation, stride in blocks:
            if stride == 2:
                lasts.append(len(self.features) - 1)
                widths.append(channels)
            expanded_channels = make_divisible(expanded * width)
            block = MBConv(
                channels,
                expanded_channels,
                make_divisible(out_channels * width),
                kernel_size=kernel_size,
                stride=stride,
                norm=_NORM,
                activation=activation,
                squeeze_excitation=_excitation(expanded_channels) if has_excitation else None,
            )
            channels = block.out_channels
            self.features.append(block)
        # stages end before the next stride; the first maps have half of the resolution
        self._last_of_resolution = (*lasts[1:], len(self.features) - 1)
        self.feature_channels = (*widths[1:], channels)
        self.features.append(_CONV(channels, 6 * channels, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        hidden = nn.Linear(6 * channels, self.num_features)
        head = nn.Linear(self.num_features, num_classes)
        self.classifier = nn.Sequential(hidden, _HS(), nn.Dropout(dropout), head)
        init_convolutions(self)
        for layer in (hidden, head):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.avgpool(self.features(images)).flatten(1))
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer, the hidden features after dropout."""
        x: Tensor = self.avgpool(self.features(images)).flatten(1)
        for layer in list(self.classifier)[:-1]:
            x = layer(x)
        return x

    def _maps(self, images: Tensor) -> list[Tensor]:
        return outputs_of(self.features, self._last_of_resolution, images)


def _excitation(channels: int) -> SqueezeExcitation:
    """Build a squeeze-and-excitation with a quarter of the channels and a hard sigmoid."""
    return SqueezeExcitation(channels, make_divisible(channels // 4), gate=nn.Hardsigmoid)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Howard et al., Searching for MobileNetV3, 2019, arXiv:1905.02244",
)

_micro = functools.partial(
    MobileNetV3,
    (
        (3, 16, 16, True, RELU, 2),
        (3, 48, 24, False, RELU, 2),
        (5, 96, 40, True, _HS, 2),
        (3, 80, 48, False, _HS, 2),
        (5, 96, 48, True, _HS, 1),
    ),
    128,
    width=0.25,
)
_large = functools.partial(
    MobileNetV3,
    (
        (3, 16, 16, False, RELU, 1),
        (3, 64, 24, False, RELU, 2),
        (3, 72, 24, False, RELU, 1),
        (5, 72, 40, True, RELU, 2),
        (5, 120, 40, True, RELU, 1),
        (5, 120, 40, True, RELU, 1),
        (3, 240, 80, False, _HS, 2),
        (3, 200, 80, False, _HS, 1),
        (3, 184, 80, False, _HS, 1),
        (3, 184, 80, False, _HS, 1),
        (3, 480, 112, True, _HS, 1),
        (3, 672, 112, True, _HS, 1),
        (5, 672, 160, True, _HS, 2),
        (5, 960, 160, True, _HS, 1),
        (5, 960, 160, True, _HS, 1),
    ),
    1280,
)
_small = functools.partial(
    MobileNetV3,
    (
        (3, 16, 16, True, RELU, 2),
        (3, 72, 24, False, RELU, 2),
        (3, 88, 24, False, RELU, 1),
        (5, 96, 40, True, _HS, 2),
        (5, 240, 40, True, _HS, 1),
        (5, 240, 40, True, _HS, 1),
        (5, 120, 48, True, _HS, 1),
        (5, 144, 48, True, _HS, 1),
        (5, 288, 96, True, _HS, 2),
        (5, 576, 96, True, _HS, 1),
        (5, 576, 96, True, _HS, 1),
    ),
    1024,
)


@_register()
def mobilenet_v3_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2
) -> MobileNetV3:
    """A tiny MobileNetV3 for tests and experiments: few and narrow blocks, not from a paper."""
    return _micro(in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def mobilenet_v3_large(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2
) -> MobileNetV3:
    """MobileNetV3-Large: 15 blocks (Table 1)."""
    return _large(in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def mobilenet_v3_small(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.2
) -> MobileNetV3:
    """MobileNetV3-Small: 11 blocks (Table 2)."""
    return _small(in_channels=in_channels, num_classes=num_classes, dropout=dropout)
