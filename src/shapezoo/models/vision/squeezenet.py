"""SqueezeNet: as accurate as AlexNet, with a fiftieth of its parameters.

Iandola et al., "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model
size", 2016, arXiv:1602.07360, Table 1, whose sizes are those of images of 227 x 227. Version 1.1,
which the authors published with their code, has a smaller first convolution and pools earlier, for
2.4 times fewer multiplications. The first convolution has no padding, and pooling keeps what is
left at the border, as in the code of the authors.
"""

import functools
import itertools
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.registry import register


class Fire(Module):
    """Squeezes the channels, and expands them with convolutions of 1x1 and 3x3 (Figure 1).

    Args:
        in_channels: Input channels.
        squeeze_channels: Output channels of the convolution that squeezes.
        expand_channels: Output channels of each of the two convolutions that expand.
    """

    def __init__(self, in_channels: int, squeeze_channels: int, expand_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = 2 * expand_channels
        self.squeeze = nn.Conv2d(in_channels, squeeze_channels, 1)
        self.expand1x1 = nn.Conv2d(squeeze_channels, expand_channels, 1)
        self.expand3x3 = nn.Conv2d(squeeze_channels, expand_channels, 3, padding=1)
        self.relu = nn.ReLU(inplace=True)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height width"]:
        """Concatenate the outputs of the two convolutions that expand."""
        x = self.relu(self.squeeze(x))
        maps: Tensor = self.relu(torch.cat((self.expand1x1(x), self.expand3x3(x)), dim=1))
        return maps


class SqueezeNet(Module):
    """An image classifier of a convolution, Fire modules, and a convolution that scores classes.

    Args:
        channels: Output channels of the first convolution.
        kernel_size: Height and width of its kernel.
        depths: Number of Fire modules after each pooling.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        squeeze_channels: Channels to which the first two Fire modules squeeze. Each later pair
            squeezes to as many more; each convolution that expands returns four times as many.
        dropout: Probability of dropping an input of the last convolution in train mode.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    strides = (4, 8, 16)
    head_names = ("classifier.1",)

    def __init__(
        self,
        channels: int,
        kernel_size: int,
        depths: tuple[int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        squeeze_channels: int = 16,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.kernel_size = kernel_size
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, channels, kernel_size, stride=2), nn.ReLU(inplace=True)
        )
        widths, fires = [], _fires(channels, squeeze_channels)
        for depth in depths:
            self.features.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
            for _ in range(depth):
                fire = next(fires)
                self.features.append(fire)
            widths.append(fire.out_channels)
        self.feature_channels = tuple(widths)
        self.num_features = widths[-1]
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Conv2d(self.num_features, num_classes, 1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
        )
        _init_weights(self)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image; no score is negative."""
        logits: Tensor = self.classifier(self.features(images)).flatten(1)
        return logits

    @checked
    def pooled_features(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Return the averages of the last feature maps, after dropout.

        The network itself does not pool them: its last convolution scores every pixel, and the
        average of these scores, without the negative ones, is the score of the image.
        """
        dropout, _, _, avgpool = self.classifier
        features: Tensor = avgpool(dropout(self.features(images))).flatten(1)
        return features

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[0]} "
                "height=(height-{self.kernel_size+2})//4+1 width=(width-{self.kernel_size+2})//4+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[1]} "
                "height=(height-{self.kernel_size+6})//8+1 width=(width-{self.kernel_size+6})//8+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height-{self.kernel_size+14})//16+1 "
                "width=(width-{self.kernel_size+14})//16+1"
            ),
        ],
    ]:
        """Return the last feature maps of each resolution, highest resolution first."""
        maps, x = [], images
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
            x = layer(x)
        _, first, second = maps
        return first, second, x


def _fires(in_channels: int, squeeze_channels: int) -> Iterator[Fire]:
    """Yield Fire modules: each pair is wider than the pair before by the width of the first."""
    for index in itertools.count():  # Section 5.1
        width = (index // 2 + 1) * squeeze_channels
        fire = Fire(in_channels, width, 4 * width)
        in_channels = fire.out_channels
        yield fire


def _init_weights(model: SqueezeNet) -> None:
    """Draw weights as torchvision does: by He et al., arXiv:1502.01852, the last one with std 0.01.

    The paper does not say how weights are initialised.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_uniform_(module.weight, nonlinearity="relu")
            nn.init.zeros_(module.get_parameter("bias"))
    nn.init.normal_(model.classifier[1].get_parameter("weight"), std=0.01)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Iandola et al., SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and "
    "<0.5MB model size, 2016, arXiv:1602.07360",
)


_version_1_0 = functools.partial(SqueezeNet, kernel_size=7, depths=(3, 4, 1))
_version_1_1 = functools.partial(SqueezeNet, kernel_size=3, depths=(2, 2, 4))


@_register()
def squeezenet1_0_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5
) -> SqueezeNet:
    """A tiny SqueezeNet 1.0 for tests and experiments: a quarter of the width, not from a paper."""
    return _version_1_0(
        24, in_channels=in_channels, num_classes=num_classes, squeeze_channels=4, dropout=dropout
    )


@_register()
def squeezenet1_1_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5
) -> SqueezeNet:
    """A tiny SqueezeNet 1.1 for tests and experiments: a quarter of the width, not from a paper."""
    return _version_1_1(
        16, in_channels=in_channels, num_classes=num_classes, squeeze_channels=4, dropout=dropout
    )


@_register(published_by="torchvision")
def squeezenet1_0(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5
) -> SqueezeNet:
    """SqueezeNet 1.0, that of the paper."""
    return _version_1_0(96, in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def squeezenet1_1(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5
) -> SqueezeNet:
    """SqueezeNet 1.1, with 2.4 times fewer multiplications than 1.0."""
    return _version_1_1(64, in_channels=in_channels, num_classes=num_classes, dropout=dropout)
