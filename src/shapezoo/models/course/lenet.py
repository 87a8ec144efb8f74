"""LeNet: two convolutions with pooling, then one or two linear layers.

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86(11), 1998, Figure 2, in the two forms that PyTorch courses teach. They
depart from the paper: 10 and 20 maps, or 4 and 8, instead of 6 and 16, every map connected to
every other, ReLU for the scaled hyperbolic tangent, maximum for trained average pooling, and one
or two linear layers for three.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.registry import register


class LeNet(Module):
    """A small convolutional classifier of handwritten digits.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.features = _features(in_channels, 10, 20)
        self.classifier = nn.Linear(320, num_classes)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} 28 28"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


class SmallLeNet(Module):
    """A smaller convolutional classifier of handwritten digits, with a hidden layer.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
        hidden_features: Width of the hidden layer.
    """

    def __init__(
        self, *, in_channels: int = 1, num_classes: int = 10, hidden_features: int = 64
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.features = _features(in_channels, 4, 8)
        self.classifier = nn.Sequential(
            nn.Linear(128, hidden_features),
            nn.ReLU(),
            nn.Linear(hidden_features, num_classes),
        )

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} 28 28"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


def _features(in_channels: int, num_first: int, num_second: int) -> nn.Sequential:
    """Two convolutions with this many maps, each with ReLU and pooling."""
    return nn.Sequential(
        nn.Conv2d(in_channels, num_first, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(num_first, num_second, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )


@register(
    task="image-classification",
    paper="LeCun et al., Gradient-based learning applied to document recognition, 1998",
)
def lenet(*, in_channels: int = 1, num_classes: int = 10) -> LeNet:
    """LeNet with 10 and 20 maps, for handwritten digits.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return LeNet(in_channels=in_channels, num_classes=num_classes)


@register(
    task="image-classification",
    paper="LeCun et al., Gradient-based learning applied to document recognition, 1998",
)
def lenet_small(
    *, in_channels: int = 1, num_classes: int = 10, hidden_features: int = 64
) -> SmallLeNet:
    """LeNet with 4 and 8 maps and a hidden layer, for handwritten digits.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
        hidden_features: Width of the hidden layer.
    """
    return SmallLeNet(
        in_channels=in_channels, num_classes=num_classes, hidden_features=hidden_features
    )
