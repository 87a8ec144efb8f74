"""LeNet in the two forms that PyTorch courses teach: two convolutions, one or two linear layers.

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86(11), 1998, Figure 2. Neither is the LeNet-5 of the paper: they have 10
and 20 channels, or 4 and 8, instead of 6 and 16; every channel is connected to every other; ReLU
replaces the scaled hyperbolic tangent, maximum pooling the trained average pooling; and there are
one or two linear layers instead of three.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.registry import register


class LeNet(Module):
    """The course's LeNet: a convolutional classifier of handwritten digits.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
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
    """A LeNet with fewer channels and a hidden linear layer.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
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


def _features(in_channels: int, first: int, second: int) -> nn.Sequential:
    """Build two convolutions with these output channels, each with ReLU and pooling."""
    return nn.Sequential(
        nn.Conv2d(in_channels, first, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(first, second, kernel_size=5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
    )


@register(
    task="image-classification",
    paper="LeCun et al., Gradient-based learning applied to document recognition, 1998",
)
def lenet(*, in_channels: int = 1, num_classes: int = 10) -> LeNet:
    """The course's LeNet with 10 and 20 channels, for handwritten digits."""
    return LeNet(in_channels=in_channels, num_classes=num_classes)


@register(
    task="image-classification",
    paper="LeCun et al., Gradient-based learning applied to document recognition, 1998",
)
def lenet_small(
    *, in_channels: int = 1, num_classes: int = 10, hidden_features: int = 64
) -> SmallLeNet:
    """The course's LeNet with 4 and 8 channels and a hidden layer, for handwritten digits."""
    return SmallLeNet(
        in_channels=in_channels, num_classes=num_classes, hidden_features=hidden_features
    )
