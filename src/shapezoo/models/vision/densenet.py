"""DenseNet: each layer reads the outputs of all layers before it.

Huang, Liu, van der Maaten, Weinberger, "Densely connected convolutional networks", 2016,
arXiv:1608.06993, Figure 2 and Table 1: the networks for ImageNet, with bottlenecks and compression
(DenseNet-BC). DenseNet-161 is in the table of earlier versions of the paper. As in torchvision,
whose weights load, dropout follows only the second convolution of a layer; in the paper, every
convolution but the first.
"""

import functools
import re
from collections import OrderedDict
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.registry import register


class DenseLayer(Module):
    """A 1x1 bottleneck, and a 3x3 convolution that returns a few new maps (Section 3).

    Normalisation and ReLU precede each convolution.

    Args:
        in_channels: Input channels.
        growth_rate: Output channels, a quarter of those between the convolutions.
        dropout: Probability of dropping an output in train mode.
    """

    def __init__(self, in_channels: int, growth_rate: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.growth_rate = growth_rate
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth_rate, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth_rate)
        self.conv2 = nn.Conv2d(4 * growth_rate, growth_rate, 3, padding=1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.growth_rate} height width"]:
        """Return the new feature maps only."""
        bottleneck = self.conv1(self.relu(self.norm1(x)))
        maps: Tensor = self.dropout(self.conv2(self.relu(self.norm2(bottleneck))))
        return maps


class DenseBlock(nn.Sequential):
    """Layers that each append their maps to those that they have read (Equation 2).

    Args:
        in_channels: Input channels.
        num_layers: Number of layers.
        growth_rate: Channels that each layer appends.
        dropout: Probability of dropping an output of a layer in train mode.
    """

    def __init__(
        self, in_channels: int, num_layers: int, growth_rate: int, *, dropout: float = 0.0
    ) -> None:
        channels = [in_channels + index * growth_rate for index in range(num_layers + 1)]
        super().__init__(
            OrderedDict(
                (f"denselayer{number}", DenseLayer(width, growth_rate, dropout=dropout))
                for number, width in enumerate(channels[:-1], 1)
            )
        )
        self.in_channels = in_channels
        self.out_channels = channels[-1]

    @checked
    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height width"]:
        """Return the input and the maps of all layers, concatenated."""
        for layer in self:
            x = torch.cat((x, layer(x)), dim=1)
        return x


class TransitionLayer(Module):
    """Halves the channels and the resolution between dense blocks (Section 3).

    Args:
        in_channels: Input channels; the output has half of them, rounded down.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = in_channels // 2
        self.norm = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv = nn.Conv2d(in_channels, self.out_channels, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height=height//2 width=width//2"]:
        """Return the feature maps; an odd last row or column is dropped."""
        maps: Tensor = self.pool(self.conv(self.relu(self.norm(x))))
        return maps


class DenseNet(Module):
    """An image classifier of four dense blocks with transitions between them.

    Args:
        growth_rate: Channels that each layer appends; half of those of the first convolution.
        depths: Number of layers of each dense block.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        dropout: Probability of dropping an output of a layer in train mode. The paper drops 20 %
            on small datasets without augmentation, and nothing on ImageNet.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    strides = (4, 8, 16, 32)
    head_names = ("classifier",)

    def __init__(
        self,
        growth_rate: int,
        depths: tuple[int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        channels = 2 * growth_rate
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(in_channels, channels, 7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(channels),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(3, stride=2, padding=1),
            )
        )
        widths = []
        for number, depth in enumerate(depths, 1):
            if number > 1:
                transition = TransitionLayer(channels)
                self.features.add_module(f"transition{number - 1}", transition)
                channels = transition.out_channels
            block = DenseBlock(channels, depth, growth_rate, dropout=dropout)
            self.features.add_module(f"denseblock{number}", block)
            channels = block.out_channels
            widths.append(channels)
        self.features.add_module("norm5", nn.BatchNorm2d(channels))
        self.feature_channels = tuple(widths)
        self.num_features = channels
        self.relu = nn.ReLU(inplace=True)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Linear(channels, num_classes)
        _init_weights(self)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.pooled_features(images))
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the input of the last layer: the averages of the last feature maps."""
        features: Tensor = self.avgpool(self.relu(self.features(images))).flatten(1)
        return features

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            "batch channels={self.feature_channels[0]} height=(height-1)//4+1 width=(width-1)//4+1",
        ],
        Float[
            Tensor,
            "batch channels={self.feature_channels[1]} height=(height-5)//8+1 width=(width-5)//8+1",
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height-13)//16+1 width=(width-13)//16+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[3]} "
                "height=(height-29)//32+1 width=(width-29)//32+1"
            ),
        ],
    ]:
        """Return the feature maps of each dense block, highest resolution first.

        The last maps have passed the final normalisation and ReLU, as the head reads them. The
        others are what their block returns; the transition after it normalises them.
        """
        maps, x = [], images
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, DenseBlock):
                maps.append(x)
        first, second, third, _ = maps
        return first, second, third, self.relu(x)

    def adapted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return weights under the current names.

        Args:
            weights: The ``state_dict()`` of a DenseNet. Dots may precede the numbers in the names
                of the layers, as in torchvision's files: ``norm.1`` instead of ``norm1``.
        """
        dotted = re.compile(r"(\.denselayer\d+\.(?:norm|conv))\.(?=[12]\.)")
        names = {name: dotted.sub(r"\1", name) for name in weights}
        if len({*names.values()}) < len(names):
            return dict(weights)  # has both names of a layer, so some keys will not fit
        return {names[name]: weight for name, weight in weights.items()}


def _init_weights(model: nn.Module) -> None:
    """Draw normal weights that keep the variance of maps (He et al., arXiv:1502.01852)."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if isinstance(module, nn.Linear):
            nn.init.zeros_(module.bias)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Huang et al., Densely connected convolutional networks, 2016, arXiv:1608.06993",
)


@_register()
def densenet_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0
) -> DenseNet:
    """A tiny DenseNet for tests and experiments: five narrow layers, not from a paper."""
    return DenseNet(
        4, (2, 1, 1, 1), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def densenet121(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0) -> DenseNet:
    """A DenseNet of 121 layers, with a growth rate of 32."""
    return DenseNet(
        32, (6, 12, 24, 16), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def densenet161(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0) -> DenseNet:
    """A DenseNet of 161 layers, with a growth rate of 48."""
    return DenseNet(
        48, (6, 12, 36, 24), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def densenet169(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0) -> DenseNet:
    """A DenseNet of 169 layers, with a growth rate of 32."""
    return DenseNet(
        32, (6, 12, 32, 32), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def densenet201(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.0) -> DenseNet:
    """A DenseNet of 201 layers, with a growth rate of 32."""
    return DenseNet(
        32, (6, 12, 48, 32), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )
