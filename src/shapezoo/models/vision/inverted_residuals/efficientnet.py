"""EfficientNet: a network found by search, and larger ones that scale its width and depth together.

Tan, Le, "EfficientNet: rethinking model scaling for convolutional neural networks", 2019,
arXiv:1905.11946, Table 1 and Equation 3; the factors of B1 to B7 are those of the authors' code.
Layers are named as in torchvision, whose weights load; as there, B0 to B4 normalise with PyTorch's
epsilon and momentum, B5 to B7 with those of the authors' code. The paper does not say how weights
are initialised; torchvision's initialisation is used.
"""

import functools
import math
from collections.abc import Sequence
from itertools import islice

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import checked
from shapezoo.layers.conv_norm_activation import ConvNormActivation, MakeNorm
from shapezoo.layers.initialisation import init_convolutions
from shapezoo.layers.rounding import make_divisible
from shapezoo.models.vision.inverted_residuals.efficientnet_blocks import SILU, Stage, mbconv
from shapezoo.models.vision.staged_backbone import StagedBackbone, outputs_of
from shapezoo.registry import register


class EfficientNet(StagedBackbone):
    """An image classifier of stages of inverted residuals.

    Args:
        stages: The stages, six or seven. Stages 2, 3, 4 and 6 have a stride of 2, others of 1.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        stem_channels: Output channels of the first convolution.
        width: Multiplies all numbers of channels.
        depth: Multiplies the number of blocks of each stage.
        norm: Builds a normalisation.
        dropout: Probability of dropping a pooled feature in train mode.
        stochastic_depth: Probability of skipping a residual in train mode. It grows linearly with
            the depth: that of block ``i`` of ``n`` is ``stochastic_depth * i / n``, from ``i = 0``.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    head_names = ("classifier.1",)

    def __init__(
        self,
        stages: Sequence[Stage],
        in_channels: int = 3,
        num_classes: int = 1000,
        *,
        stem_channels: int = 32,
        width: float = 1.0,
        depth: float = 1.0,
        norm: MakeNorm = nn.BatchNorm2d,
        dropout: float = 0.2,
        stochastic_depth: float = 0.2,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.num_features = make_divisible(1280 * width)
        conv = functools.partial(ConvNormActivation, norm=norm, activation=SILU)
        channels = make_divisible(stem_channels * width)
        widths = [make_divisible(stage.channels * width) for stage in stages]
        self._last_of_resolution = 2, 3, 5, len(stages)  # the layer after has a stride of 2
        self.feature_channels = widths[1], widths[2], widths[4], widths[-1]
        depths = [math.ceil(stage.depth * depth) for stage in stages]
        rates = (stochastic_depth * index / sum(depths) for index in range(sum(depths)))
        self.features = nn.Sequential(conv(in_channels, channels, 3, stride=2))
        for stage, out_channels, num_blocks in zip(stages, widths, depths, strict=True):
            blocks, stride = nn.Sequential(), stage.stride
            for rate in islice(rates, num_blocks):
                block = stage.block(
                    channels,
                    out_channels,
                    expansion=stage.expansion,
                    kernel_size=stage.kernel_size,
                    stride=stride,
                    norm=norm,
                    stochastic_depth=rate,
                )
                blocks.append(block)
                channels, stride = out_channels, 1
            self.features.append(blocks)
        self.features.append(conv(channels, self.num_features, 1))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        head = nn.Linear(self.num_features, num_classes)
        self.classifier = nn.Sequential(nn.Dropout(dropout), head)
        init_convolutions(self)
        bound = num_classes**-0.5
        nn.init.uniform_(head.weight, -bound, bound)
        nn.init.zeros_(head.bias)

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
        """Return the input of the last layer: the averages of the last maps, after dropout."""
        features: Tensor = self.classifier[0](self.avgpool(self.features(images)).flatten(1))
        return features

    def _maps(self, images: Tensor) -> list[Tensor]:
        return outputs_of(self.features, self._last_of_resolution, images)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Tan, Le, EfficientNet: rethinking model scaling for convolutional neural networks, "
    "2019, arXiv:1905.11946",
)

_TABLE_1 = (
    Stage(mbconv, 1, 3, 1, 16, 1),
    Stage(mbconv, 6, 3, 2, 24, 2),
    Stage(mbconv, 6, 5, 2, 40, 2),
    Stage(mbconv, 6, 3, 2, 80, 3),
    Stage(mbconv, 6, 5, 1, 112, 3),
    Stage(mbconv, 6, 5, 2, 192, 4),
    Stage(mbconv, 6, 3, 1, 320, 1),
)
_NORM = functools.partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)  # as in the authors' code
# with a smaller epsilon, gradients overflow if a channel has the same value everywhere
_micro = functools.partial(EfficientNet, _TABLE_1, width=0.1, depth=0.3, norm=_NORM)
_b0 = functools.partial(EfficientNet, _TABLE_1)
_b1 = functools.partial(EfficientNet, _TABLE_1, depth=1.1)
_b2 = functools.partial(EfficientNet, _TABLE_1, width=1.1, depth=1.2)
_b3 = functools.partial(EfficientNet, _TABLE_1, width=1.2, depth=1.4)
_b4 = functools.partial(EfficientNet, _TABLE_1, width=1.4, depth=1.8)
_b5 = functools.partial(EfficientNet, _TABLE_1, width=1.6, depth=2.2, norm=_NORM)
_b6 = functools.partial(EfficientNet, _TABLE_1, width=1.8, depth=2.6, norm=_NORM)
_b7 = functools.partial(EfficientNet, _TABLE_1, width=2.0, depth=3.1, norm=_NORM)


@_register()
def efficientnet_micro(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """A tiny EfficientNet for tests and experiments: few and narrow blocks, not from a paper."""
    return _micro(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_b0(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNet-B0: 16 blocks, found by search."""
    return _b0(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_b1(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNet-B1: B0 with 1.1 times the depth."""
    return _b1(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_b2(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.3,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNet-B2: B0 with 1.1 times the width and 1.2 times the depth."""
    return _b2(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_b3(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.3,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNet-B3: B0 with 1.2 times the width and 1.4 times the depth."""
    return _b3(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_b4(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.4,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNet-B4: B0 with 1.4 times the width and 1.8 times the depth."""
    return _b4(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_b5(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.4,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNet-B5: B0 with 1.6 times the width and 2.2 times the depth."""
    return _b5(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_b6(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.5,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNet-B6: B0 with 1.8 times the width and 2.6 times the depth."""
    return _b6(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_b7(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.5,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNet-B7: B0 with 2.0 times the width and 3.1 times the depth."""
    return _b7(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)
