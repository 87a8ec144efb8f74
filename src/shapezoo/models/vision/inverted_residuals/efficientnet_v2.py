"""EfficientNetV2: fused convolutions in early stages, which train faster than depthwise ones.

Tan, Le, "EfficientNetV2: smaller models and faster training", 2021, arXiv:2104.00298, Table 4; the
sizes of M and L are those of the authors' code. The class is `EfficientNet`, with other blocks.
"""

import functools

from torch import nn

from shapezoo.models.vision.inverted_residuals.efficientnet import EfficientNet
from shapezoo.models.vision.inverted_residuals.efficientnet_blocks import FusedMBConv, Stage, mbconv
from shapezoo.registry import register

_register = functools.partial(
    register,
    task="image-classification",
    paper="Tan, Le, EfficientNetV2: smaller models and faster training, 2021, arXiv:2104.00298",
)

_V2 = functools.partial(EfficientNet, norm=functools.partial(nn.BatchNorm2d, eps=0.001))
_micro = functools.partial(
    _V2,
    (
        Stage(FusedMBConv, 1, 3, 1, 24, 1),
        Stage(FusedMBConv, 4, 3, 2, 48, 2),
        Stage(FusedMBConv, 4, 3, 2, 64, 1),
        Stage(mbconv, 4, 3, 2, 128, 1),
        Stage(mbconv, 6, 3, 1, 160, 1),
        Stage(mbconv, 6, 3, 2, 256, 1),
    ),
    stem_channels=24,
    width=0.1,
)
_s = functools.partial(
    _V2,
    (
        Stage(FusedMBConv, 1, 3, 1, 24, 2),
        Stage(FusedMBConv, 4, 3, 2, 48, 4),
        Stage(FusedMBConv, 4, 3, 2, 64, 4),
        Stage(mbconv, 4, 3, 2, 128, 6),
        Stage(mbconv, 6, 3, 1, 160, 9),
        Stage(mbconv, 6, 3, 2, 256, 15),
    ),
    stem_channels=24,
)
_m = functools.partial(
    _V2,
    (
        Stage(FusedMBConv, 1, 3, 1, 24, 3),
        Stage(FusedMBConv, 4, 3, 2, 48, 5),
        Stage(FusedMBConv, 4, 3, 2, 80, 5),
        Stage(mbconv, 4, 3, 2, 160, 7),
        Stage(mbconv, 6, 3, 1, 176, 14),
        Stage(mbconv, 6, 3, 2, 304, 18),
        Stage(mbconv, 6, 3, 1, 512, 5),
    ),
    stem_channels=24,
)
_l = functools.partial(
    _V2,
    (
        Stage(FusedMBConv, 1, 3, 1, 32, 4),
        Stage(FusedMBConv, 4, 3, 2, 64, 7),
        Stage(FusedMBConv, 4, 3, 2, 96, 7),
        Stage(mbconv, 4, 3, 2, 192, 10),
        Stage(mbconv, 6, 3, 1, 224, 19),
        Stage(mbconv, 6, 3, 2, 384, 25),
        Stage(mbconv, 6, 3, 1, 640, 7),
    ),
)


@_register()
def efficientnet_v2_micro(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """A tiny EfficientNetV2 for tests and experiments: few and narrow blocks, not from a paper."""
    return _micro(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_v2_s(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.2,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNetV2-S: 40 blocks, 10 of them fused (Table 4)."""
    return _s(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_v2_m(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.3,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNetV2-M: 57 blocks, 13 of them fused."""
    return _m(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)


@_register(published_by="torchvision")
def efficientnet_v2_l(
    *,
    in_channels: int = 3,
    num_classes: int = 1000,
    dropout: float = 0.4,
    stochastic_depth: float = 0.2,
) -> EfficientNet:
    """EfficientNetV2-L: 79 blocks, 18 of them fused."""
    return _l(in_channels, num_classes, dropout=dropout, stochastic_depth=stochastic_depth)
