"""VGG: many 3x3 convolutions in a row, where earlier networks had few large ones.

Simonyan, Zisserman, "Very deep convolutional networks for large-scale image recognition", 2014,
arXiv:1409.1556, columns A, B, D and E of Table 1. Like torchvision's, whose weights load, the
networks average the last feature maps to 7x7, so that images may have other sizes than the paper's;
those with `bn` in their names have batch normalisation, which is younger than the paper.
"""

import functools
from collections.abc import Iterator

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.registry import register


class VGG(Module):
    """An image classifier of five stages of 3x3 convolutions and three linear layers.

    Args:
        depths: The number of convolutions of each stage.
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        channels: Output channels of each stage.
        hidden_features: Width of the hidden linear layers.
        dropout: Probability of dropping a hidden feature in train mode.
        batch_norm: Whether batch normalisation follows each convolution.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    strides = (2, 4, 8, 16, 32)
    head_names = ("classifier.6",)

    def __init__(
        self,
        depths: tuple[int, int, int, int, int],
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        channels: tuple[int, int, int, int, int] = (64, 128, 256, 512, 512),
        hidden_features: int = 4096,
        dropout: float = 0.5,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.feature_channels = channels
        self.num_features = hidden_features
        self.features = nn.Sequential(
            *_layers(in_channels, depths, channels, batch_norm=batch_norm)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(channels[-1] * 7 * 7, hidden_features),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_features, hidden_features),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_features, num_classes),
        )
        _init_weights(self)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        maps = self.features(images)
        logits: Tensor = self.classifier(self.avgpool(maps).flatten(1))
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

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[Tensor, "batch channels={self.feature_channels[0]} height=height//2 width=width//2"],
        Float[Tensor, "batch channels={self.feature_channels[1]} height=height//4 width=width//4"],
        Float[Tensor, "batch channels={self.feature_channels[2]} height=height//8 width=width//8"],
        Float[
            Tensor, "batch channels={self.feature_channels[3]} height=height//16 width=width//16"
        ],
        Float[
            Tensor, "batch channels={self.feature_channels[4]} height=height//32 width=width//32"
        ],
    ]:
        """Return the pooled feature maps of each stage, highest resolution first."""
        maps, x = [], images
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
        first, second, third, fourth, fifth = maps
        return first, second, third, fourth, fifth


def _layers(
    in_channels: int, depths: tuple[int, ...], channels: tuple[int, ...], *, batch_norm: bool
) -> Iterator[nn.Module]:
    """Yield the layers of all stages in a row, as the keys of published weights number them."""
    for depth, out_channels in zip(depths, channels, strict=True):
        for _ in range(depth):
            yield nn.Conv2d(in_channels, out_channels, 3, padding=1)
            if batch_norm:
                yield nn.BatchNorm2d(out_channels)
            yield nn.ReLU(inplace=True)
            in_channels = out_channels
        yield nn.MaxPool2d(2)


def _init_weights(model: nn.Module) -> None:
    """Draw normal weights as torchvision does: by He et al., arXiv:1502.01852, or with std 0.01.

    The paper (Section 3.1) starts its deep networks from a trained shallow one or, as the authors
    found later, with the initialisation of Glorot and Bengio.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=0.01)
        if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)


_register = functools.partial(
    register,
    task="image-classification",
    paper="Simonyan, Zisserman, Very deep convolutional networks for large-scale image "
    "recognition, 2014, arXiv:1409.1556",
)


_with_batch_norm = functools.partial(VGG, batch_norm=True)
_micro = functools.partial(VGG, (1, 1, 1, 1, 1), channels=(4, 4, 8, 8, 8), hidden_features=16)


@_register()
def vgg_micro(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A tiny VGG for tests and experiments: one narrow convolution per stage, not from a paper."""
    return _micro(in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register()
def vgg_bn_micro(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A tiny VGG with batch normalisation, for tests and experiments, not from a paper."""
    return _micro(
        in_channels=in_channels, num_classes=num_classes, dropout=dropout, batch_norm=True
    )


@_register(published_by="torchvision")
def vgg11(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A VGG of 11 layers (Table 1, A)."""
    return VGG((1, 1, 2, 2, 2), in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def vgg11_bn(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A VGG of 11 layers with batch normalisation (Table 1, A)."""
    return _with_batch_norm(
        (1, 1, 2, 2, 2), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def vgg13(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A VGG of 13 layers (Table 1, B)."""
    return VGG((2, 2, 2, 2, 2), in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def vgg13_bn(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A VGG of 13 layers with batch normalisation (Table 1, B)."""
    return _with_batch_norm(
        (2, 2, 2, 2, 2), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def vgg16(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A VGG of 16 layers (Table 1, D)."""
    return VGG((2, 2, 3, 3, 3), in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def vgg16_bn(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A VGG of 16 layers with batch normalisation (Table 1, D)."""
    return _with_batch_norm(
        (2, 2, 3, 3, 3), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )


@_register(published_by="torchvision")
def vgg19(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A VGG of 19 layers (Table 1, E)."""
    return VGG((2, 2, 4, 4, 4), in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def vgg19_bn(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> VGG:
    """A VGG of 19 layers with batch normalisation (Table 1, E)."""
    return _with_batch_norm(
        (2, 2, 4, 4, 4), in_channels=in_channels, num_classes=num_classes, dropout=dropout
    )
