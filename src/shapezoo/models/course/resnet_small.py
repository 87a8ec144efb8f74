"""Residual networks: a block learns what to add to its input.

He, Zhang, Ren, Sun, "Deep residual learning for image recognition", 2015, arXiv:1512.03385,
Figure 2, in the sizes of Hongpu Liu's "PyTorch deep learning practice", after Sung Kim's "PyTorch
Zero To All". It departs from the paper: biases, and no batch normalisation. The net around the
blocks is the course's.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from shapezoo.contracts import Module
from shapezoo.registry import register


class ResidualBlock(Module):
    """Two convolutions whose result is added to what they read.

    Args:
        channels: Maps to read, and to give.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        """The maps, corrected (Equation 1)."""
        return relu(x + self.conv2(relu(self.conv1(x))))


class SmallResNet(Module):
    """A classifier of handwritten digits with two residual blocks.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 16, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            ResidualBlock(16),
            nn.Conv2d(16, 32, kernel_size=5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            ResidualBlock(32),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(512, num_classes)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} 28 28"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


@register(
    task="image-classification",
    paper="He et al., Deep residual learning for image recognition, 2015, arXiv:1512.03385",
)
def resnet_small(*, in_channels: int = 1, num_classes: int = 10) -> SmallResNet:
    """Two residual blocks between convolutions, for handwritten digits.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of labels.
    """
    return SmallResNet(in_channels=in_channels, num_classes=num_classes)
