"""The course's residual network: blocks that learn what to add to their input, for digits.

The sizes, and the network around the blocks, are those of Hongpu Liu's "PyTorch deep learning
practice", after Sung Kim's "PyTorch Zero To All". The block is that of He, Zhang, Ren, Sun, "Deep
residual learning for image recognition", 2015, arXiv:1512.03385, Figure 2. It departs from the
paper: biases, and no batch normalisation. The networks of the paper are `resnet18` to `resnet152`;
`resnet_micro` has their architecture in the size of a test.
"""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from shapezoo.contracts import Module
from shapezoo.registry import register


class ResidualBlock(Module):
    """Two convolutions whose output is added to their input.

    Args:
        channels: Input and output channels.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels
        self.conv1 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)
        self.conv2 = nn.Conv2d(channels, channels, kernel_size=3, padding=1)

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        """Add the residual to the input (Equation 1)."""
        return relu(x + self.conv2(relu(self.conv1(x))))


class SmallResNet(Module):
    """The course's toy classifier of handwritten digits, with two residual blocks.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
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
    """The course's toy with two residual blocks, for handwritten digits."""
    return SmallResNet(in_channels=in_channels, num_classes=num_classes)
