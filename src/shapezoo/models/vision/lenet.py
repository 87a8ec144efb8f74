"""LeNet: two convolutions with pooling, then one linear layer.

LeCun, Bottou, Bengio, Haffner, "Gradient-based learning applied to document recognition",
Proceedings of the IEEE 86(11), 1998, Figure 2, in the form that PyTorch courses teach. It
departs from the paper: 10 and 20 maps instead of 6 and 16, every map connected to every other,
ReLU for the scaled hyperbolic tangent, maximum for trained average pooling, and one linear layer
for three.
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
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 10, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(10, 20, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(320, num_classes)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} 28 28"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


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
