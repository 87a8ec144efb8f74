"""ConvNeXt: a convolutional network with the habits of vision transformers.

Liu, Mao, Wu, Feichtenhofer, Darrell, Xie, "A ConvNet for the 2020s", 2022, arXiv:2201.03545,
Section 2, Figure 4 and Appendix A. As in the code of its authors, the linear layers of a block read
channels from the last axis, and every layer normalisation has an epsilon of 1e-6.
"""

import functools
from collections.abc import Iterable
from itertools import islice

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.layers.channels_last import ChannelsFirst, ChannelsLast
from shapezoo.layers.layer_norm import LayerNorm2d
from shapezoo.layers.stochastic_depth import StochasticDepth
from shapezoo.registry import register


class ConvNeXtBlock(Module):
    """A depthwise convolution and two linear layers on each pixel, as a residual (Figure 4).

    Args:
        channels: Input and output channels.
        stochastic_depth: Probability of skipping the residual in train mode.
    """

    def __init__(self, channels: int, *, stochastic_depth: float = 0.0) -> None:
        super().__init__()
        self.channels = channels
        self.block = nn.Sequential(
            nn.Conv2d(channels, channels, 7, padding=3, groups=channels),
            ChannelsLast(),
            nn.LayerNorm(channels, eps=1e-6),
            nn.Linear(channels, 4 * channels),
            nn.GELU(),
            nn.Linear(4 * channels, channels),
            ChannelsFirst(),
        )
        self.layer_scale = nn.Parameter(torch.full((channels, 1, 1), 1e-6))  # Table 5
        self.stochastic_depth = StochasticDepth(stochastic_depth)

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        """Add the residual to the input."""
        maps = self.stochastic_depth(self.layer_scale * self.block(x))
        maps += x
        return maps


class ConvNeXt(Module):
    """An image classifier of four stages of blocks.

    Args:
        channels: Channels of the first stage, doubled by each later one.
        depths: Number of blocks of each stage.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        stochastic_depth: Probability of skipping the last block in train mode. It grows linearly
            with the depth, from 0.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    strides = (4, 8, 16, 32)
    head_names = ("classifier.2",)

    def __init__(
        self,
        channels: int,
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        stochastic_depth: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_channels = channels, 2 * channels, 4 * channels, 8 * channels
        self.num_features = 8 * channels
        last = sum(depths) - 1
        rates = iter([stochastic_depth * index / last for index in range(last + 1)])
        self.features = nn.Sequential(
            nn.Sequential(nn.Conv2d(in_channels, channels, 4, stride=4), LayerNorm2d(channels)),
            _stage(channels, islice(rates, depths[0])),
            _downsampling(channels),
            _stage(2 * channels, islice(rates, depths[1])),
            _downsampling(2 * channels),
            _stage(4 * channels, islice(rates, depths[2])),
            _downsampling(4 * channels),
            _stage(8 * channels, islice(rates, depths[3])),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            LayerNorm2d(8 * channels), nn.Flatten(), nn.Linear(8 * channels, num_classes)
        )
        _init_weights(self)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.avgpool(self.features(images)))
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last maps, normalised."""
        x: Tensor = self.avgpool(self.features(images))
        for layer in list(self.classifier)[:-1]:
            x = layer(x)
        return x

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[Tensor, "batch channels={self.feature_channels[0]} height=height//4 width=width//4"],
        Float[Tensor, "batch channels={self.feature_channels[1]} height=height//8 width=width//8"],
        Float[
            Tensor, "batch channels={self.feature_channels[2]} height=height//16 width=width//16"
        ],
        Float[
            Tensor, "batch channels={self.feature_channels[3]} height=height//32 width=width//32"
        ],
    ]:
        """Return the feature maps of each stage, highest resolution first."""
        layers = list(self.features)
        maps, x = [], images
        for downsampling, stage in zip(layers[::2], layers[1::2], strict=True):
            x = stage(downsampling(x))
            maps.append(x)
        first, second, third, fourth = maps
        return first, second, third, fourth


def _stage(channels: int, rates: Iterable[float]) -> nn.Sequential:
    """Build a stage of blocks, each with its rate of stochastic depth."""
    return nn.Sequential(*(ConvNeXtBlock(channels, stochastic_depth=rate) for rate in rates))


def _downsampling(channels: int) -> nn.Sequential:
    """Build what halves the resolution and doubles the channels between stages (Section 2.6)."""
    return nn.Sequential(LayerNorm2d(channels), nn.Conv2d(channels, 2 * channels, 2, stride=2))


def _init_weights(model: nn.Module) -> None:
    """Draw normal weights with a standard deviation of 0.02, as in the code of the authors.

    Their Table 5 has 0.2, and truncation; the code truncates at 2, a hundred standard deviations,
    which has no effect. Biases are zero.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.normal_(module.weight, std=0.02)
            nn.init.zeros_(module.bias)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Liu et al., A ConvNet for the 2020s, 2022, arXiv:2201.03545",
)


_micro = functools.partial(ConvNeXt, 8, (1, 1, 1, 1))
_tiny = functools.partial(ConvNeXt, 96, (3, 3, 9, 3))
_small = functools.partial(ConvNeXt, 96, (3, 3, 27, 3))
_base = functools.partial(ConvNeXt, 128, (3, 3, 27, 3))
_large = functools.partial(ConvNeXt, 192, (3, 3, 27, 3))


@_register()
def convnext_micro(
    *, in_channels: int = 3, num_classes: int = 1000, stochastic_depth: float = 0.1
) -> ConvNeXt:
    """A tiny ConvNeXt for tests and experiments: one narrow block per stage, not from a paper."""
    return _micro(
        in_channels=in_channels, num_classes=num_classes, stochastic_depth=stochastic_depth
    )


@_register(published_by="torchvision")
def convnext_tiny(
    *, in_channels: int = 3, num_classes: int = 1000, stochastic_depth: float = 0.1
) -> ConvNeXt:
    """ConvNeXt-T: 18 blocks, with 96 channels in the first stage."""
    return _tiny(
        in_channels=in_channels, num_classes=num_classes, stochastic_depth=stochastic_depth
    )


@_register(published_by="torchvision")
def convnext_small(
    *, in_channels: int = 3, num_classes: int = 1000, stochastic_depth: float = 0.4
) -> ConvNeXt:
    """ConvNeXt-S: 36 blocks, with 96 channels in the first stage."""
    return _small(
        in_channels=in_channels, num_classes=num_classes, stochastic_depth=stochastic_depth
    )


@_register(published_by="torchvision")
def convnext_base(
    *, in_channels: int = 3, num_classes: int = 1000, stochastic_depth: float = 0.5
) -> ConvNeXt:
    """ConvNeXt-B: 36 blocks, with 128 channels in the first stage."""
    return _base(
        in_channels=in_channels, num_classes=num_classes, stochastic_depth=stochastic_depth
    )


@_register(published_by="torchvision")
def convnext_large(
    *, in_channels: int = 3, num_classes: int = 1000, stochastic_depth: float = 0.5
) -> ConvNeXt:
    """ConvNeXt-L: 36 blocks, with 192 channels in the first stage."""
    return _large(
        in_channels=in_channels, num_classes=num_classes, stochastic_depth=stochastic_depth
    )
