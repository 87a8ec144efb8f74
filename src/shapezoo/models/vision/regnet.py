"""RegNet: residual networks whose widths follow a quantised linear function of the depth.

Radosavovic, Kosaraju, Girshick, He, Dollár, "Designing network design spaces", 2020,
arXiv:2003.13678, Section 3.3, Figures 3 and 4. The bottleneck ratio is 1, as in all the models of
the paper. As in torchvision, widths become multiples of the group width by `make_divisible`, which
rounds halves up and takes at most a tenth away: RegNetX-400MF ends in 400 channels instead of the
paper's 384, and RegNetY-8GF begins with 224 instead of 168. The name of a model says about how many
multiply-adds an image of 224x224 pixels takes.
"""

import functools
import itertools
import math
from collections import OrderedDict
from collections.abc import Iterator, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers.conv_norm_activation import ConvNormActivation
from shapezoo.layers.rounding import make_divisible
from shapezoo.layers.squeeze_excitation import SqueezeExcitation
from shapezoo.models.vision.staged_backbone import StagedBackbone, outputs_of
from shapezoo.registry import register

STEM_CHANNELS = 32


class ResidualBottleneck(Module):
    """A grouped 3x3 convolution between two of 1x1, added to the input (Figure 4).

    With squeeze-and-excitation after the grouped convolution it is the block of RegNetY, without
    it that of RegNetX.

    Args:
        in_channels: Input channels.
        out_channels: Output channels, and channels of the grouped convolution.
        stride: Stride of the grouped convolution.
        group_width: Channels of each group.
        se_ratio: Channels between the two layers of squeeze-and-excitation, relative to the input
            channels. With 0 there is none.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        stride: int,
        group_width: int,
        se_ratio: float,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.stride = stride
        self.proj: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.proj = ConvNormActivation(
                in_channels, out_channels, 1, stride=stride, activation=None
            )
        groups = out_channels // group_width
        layers: OrderedDict[str, nn.Module] = OrderedDict(
            a=ConvNormActivation(in_channels, out_channels, 1),
            b=ConvNormActivation(out_channels, out_channels, 3, stride=stride, groups=groups),
        )
        if se_ratio:
            layers["se"] = SqueezeExcitation(out_channels, round(se_ratio * in_channels))
        layers["c"] = ConvNormActivation(out_channels, out_channels, 1, activation=None)
        self.f = nn.Sequential(layers)
        self.activation = nn.ReLU(inplace=True)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[
        Tensor,
        (
            "batch channels={self.out_channels} "
            "height=(height-1)//{self.stride}+1 width=(width-1)//{self.stride}+1"
        ),
    ]:
        """Add the residual to the input, which is projected where the shapes differ."""
        residual = self.f(x)
        residual += self.proj(x)
        maps: Tensor = self.activation(residual)
        return maps


class RegNet(StagedBackbone):
    """An image classifier of four stages of residual bottlenecks.

    Args:
        depth: Number of blocks.
        w_0: Width of the first block, by the linear function.
        w_a: Slope of the linear function: how much wider each block is than the one before.
        w_m: Ratio between neighbouring widths, to which those of the linear function are rounded.
        group_width: Channels of each group, or fewer in a stage that is narrower.
        se_ratio: Channels between the two layers of squeeze-and-excitation, relative to the input
            channels of a block. With 0 there is none.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.

    Raises:
        ValueError: The widths do not make four stages.
    """

    head_names = ("fc",)

    def __init__(
        self,
        depth: int,
        *,
        w_0: int,
        w_a: float,
        w_m: float,
        group_width: int,
        se_ratio: float,
        in_channels: int = 3,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        widths = quantised_widths(depth, w_0=w_0, w_a=w_a, w_m=w_m)
        if len({*widths}) != 4:
            raise ValueError(f"the blocks must have 4 different widths, got {widths}")
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.stem = ConvNormActivation(in_channels, STEM_CHANNELS, 3, stride=2)
        self.trunk_output = nn.Sequential()
        channels = []
        for number, (stage, width) in enumerate(_stages(widths, group_width, se_ratio), start=1):
            self.trunk_output.add_module(f"block{number}", stage)
            channels.append(width)
        self.feature_channels = tuple(channels)
        self.num_features = channels[-1]
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(self.num_features, num_classes)
        _init_weights(self)

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
        maps = self.trunk_output(self.stem(images))
        features: Tensor = self.avgpool(maps).flatten(1)
        return features

    def _maps(self, images: Tensor) -> list[Tensor]:
        return outputs_of(self.trunk_output, range(4), self.stem(images))


def quantised_widths(depth: int, *, w_0: int, w_a: float, w_m: float) -> list[int]:
    """Return the width of each block: near a linear function, but few different ones.

    Block ``j`` would be ``w_0 + w_a * j`` wide (Equation 2). This is rounded to ``w_0`` times a
    power of ``w_m`` (Equations 3 and 4), and that to a multiple of 8.
    """
    powers = (round(math.log(1 + w_a * block / w_0, w_m)) for block in range(depth))
    return [8 * round(w_0 * w_m**power / 8) for power in powers]


def _stages(
    widths: Sequence[int], group_width: int, se_ratio: float
) -> Iterator[tuple[nn.Sequential, int]]:
    """Build a stage from the blocks of each width, made a multiple of the group's (Section 3.3)."""
    in_channels = STEM_CHANNELS
    for number, (width, blocks) in enumerate(itertools.groupby(widths), start=1):
        group = min(group_width, width)
        out_channels = make_divisible(width, group)
        stage, stride = nn.Sequential(), 2
        for index, _ in enumerate(blocks):
            block = ResidualBottleneck(
                in_channels, out_channels, stride=stride, group_width=group, se_ratio=se_ratio
            )
            stage.add_module(f"block{number}-{index}", block)
            in_channels, stride = out_channels, 1
        yield stage, out_channels


def _init_weights(model: nn.Module) -> None:
    """Initialise convolutions as ResNet does, like the code of the authors."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
            nn.init.zeros_(module.bias)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Radosavovic et al., Designing network design spaces, 2020, arXiv:2003.13678",
)

_x = functools.partial(RegNet, se_ratio=0.0)
_y = functools.partial(RegNet, se_ratio=0.25)

_micro = functools.partial(_y, 6, w_0=16, w_a=8.0, w_m=1.5, group_width=16)
_y_400mf = functools.partial(_y, 16, w_0=48, w_a=27.89, w_m=2.09, group_width=8)
_y_800mf = functools.partial(_y, 14, w_0=56, w_a=38.84, w_m=2.4, group_width=16)
_y_1_6gf = functools.partial(_y, 27, w_0=48, w_a=20.71, w_m=2.65, group_width=24)
_y_3_2gf = functools.partial(_y, 21, w_0=80, w_a=42.63, w_m=2.66, group_width=24)
_y_8gf = functools.partial(_y, 17, w_0=192, w_a=76.82, w_m=2.19, group_width=56)
_y_16gf = functools.partial(_y, 18, w_0=200, w_a=106.23, w_m=2.48, group_width=112)
_y_32gf = functools.partial(_y, 20, w_0=232, w_a=115.89, w_m=2.53, group_width=232)
_y_128gf = functools.partial(_y, 27, w_0=456, w_a=160.83, w_m=2.52, group_width=264)
_x_400mf = functools.partial(_x, 22, w_0=24, w_a=24.48, w_m=2.54, group_width=16)
_x_800mf = functools.partial(_x, 16, w_0=56, w_a=35.73, w_m=2.28, group_width=16)
_x_1_6gf = functools.partial(_x, 18, w_0=80, w_a=34.01, w_m=2.25, group_width=24)
_x_3_2gf = functools.partial(_x, 25, w_0=88, w_a=26.31, w_m=2.25, group_width=48)
_x_8gf = functools.partial(_x, 23, w_0=80, w_a=49.56, w_m=2.88, group_width=120)
_x_16gf = functools.partial(_x, 22, w_0=216, w_a=55.59, w_m=2.1, group_width=128)
_x_32gf = functools.partial(_x, 23, w_0=320, w_a=69.86, w_m=2.0, group_width=168)


@_register()
def regnet_micro(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """A tiny RegNetY for tests and experiments: six narrow blocks, not from a paper."""
    return _micro(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_y_400mf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetY-400MF: 16 blocks, about 400 million multiply-adds."""
    return _y_400mf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_y_800mf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetY-800MF: 14 blocks, about 800 million multiply-adds."""
    return _y_800mf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_y_1_6gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetY-1.6GF: 27 blocks, about 1.6 billion multiply-adds."""
    return _y_1_6gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_y_3_2gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetY-3.2GF: 21 blocks, about 3.2 billion multiply-adds."""
    return _y_3_2gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_y_8gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetY-8GF: 17 blocks, about 8 billion multiply-adds."""
    return _y_8gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_y_16gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetY-16GF: 18 blocks, about 16 billion multiply-adds."""
    return _y_16gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_y_32gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetY-32GF: 20 blocks, about 32 billion multiply-adds."""
    return _y_32gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_y_128gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetY-128GF (Singh et al., arXiv:2201.08371): 27 blocks, 128 billion multiply-adds."""
    return _y_128gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_x_400mf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetX-400MF: 22 blocks, about 400 million multiply-adds."""
    return _x_400mf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_x_800mf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetX-800MF: 16 blocks, about 800 million multiply-adds."""
    return _x_800mf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_x_1_6gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetX-1.6GF: 18 blocks, about 1.6 billion multiply-adds."""
    return _x_1_6gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_x_3_2gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetX-3.2GF: 25 blocks, about 3.2 billion multiply-adds."""
    return _x_3_2gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_x_8gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetX-8GF: 23 blocks, about 8 billion multiply-adds."""
    return _x_8gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_x_16gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetX-16GF: 22 blocks, about 16 billion multiply-adds."""
    return _x_16gf(in_channels=in_channels, num_classes=num_classes)


@_register(published_by="torchvision")
def regnet_x_32gf(*, in_channels: int = 3, num_classes: int = 1000) -> RegNet:
    """RegNetX-32GF: 23 blocks, about 32 billion multiply-adds."""
    return _x_32gf(in_channels=in_channels, num_classes=num_classes)
