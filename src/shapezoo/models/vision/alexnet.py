"""AlexNet: five convolutions and three linear layers, with ReLU and dropout.

Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks",
2012, Figure 2, in the form of Krizhevsky, "One weird trick for parallelizing convolutional neural
networks", 2014, arXiv:1404.5997, Section 5: one column of layers where the first had two. Like
torchvision's AlexNet, whose weights load, it departs from the papers:

- The fourth convolution has 256 output channels, not 384, and there is no response normalisation.
- The last feature maps are averaged to 6x6, so that images may have other sizes than the paper's.
- Weights have the initialisation of PyTorch's layers. With the standard deviation of 2012
  (Section 5: 0.01), the last hidden features of images of unit variance would differ by only a
  thousandth.
"""

import functools

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked
from shapezoo.registry import register


class AlexNet(Module):
    """An image classifier of five convolutions and three linear layers.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
        channels: Output channels of each convolution.
        hidden_features: Width of the hidden linear layers.
        dropout: Probability of dropping an input of a hidden linear layer in train mode.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        feature_channels: Channels of each feature map.
        num_features: Number of pooled features.
        head_names: The layers that `pooled_features` does not use.
    """

    strides = (8, 16, 32)
    head_names = ("classifier.6",)

    def __init__(
        self,
        *,
        in_channels: int = 3,
        num_classes: int = 1000,
        channels: tuple[int, int, int, int, int] = (64, 192, 384, 256, 256),
        hidden_features: int = 4096,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        first, second, third, fourth, fifth = channels
        self.feature_channels = first, second, fifth
        self.num_features = hidden_features
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, first, 11, stride=4, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(first, second, 5, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(second, third, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(third, fourth, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(fourth, fifth, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(fifth * 6 * 6, hidden_features),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(hidden_features, hidden_features),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_features, num_classes),
        )

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
        """Return the input of the last layer, the hidden features."""
        x: Tensor = self.avgpool(self.features(images)).flatten(1)
        for layer in list(self.classifier)[:-1]:
            x = layer(x)
        return x

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[0]} "
                "height=(height-15)//8+1 width=(width-15)//8+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[1]} "
                "height=(height-31)//16+1 width=(width-31)//16+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height-63)//32+1 width=(width-63)//32+1"
            ),
        ],
    ]:
        """Return the feature maps after each pooling, highest resolution first."""
        maps, x = [], images
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
        first, second, third = maps
        return first, second, third


_register = functools.partial(
    register,
    task="image-classification",
    paper="Krizhevsky, One weird trick for parallelizing convolutional neural networks, 2014, "
    "arXiv:1404.5997",
)


_micro = functools.partial(AlexNet, channels=(4, 6, 8, 8, 8), hidden_features=16)


@_register()
def alexnet_micro(
    *, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5
) -> AlexNet:
    """A tiny AlexNet for tests and experiments: few channels and features, not from a paper."""
    return _micro(in_channels=in_channels, num_classes=num_classes, dropout=dropout)


@_register(published_by="torchvision")
def alexnet(*, in_channels: int = 3, num_classes: int = 1000, dropout: float = 0.5) -> AlexNet:
    """The AlexNet of one column of layers."""
    return AlexNet(in_channels=in_channels, num_classes=num_classes, dropout=dropout)
