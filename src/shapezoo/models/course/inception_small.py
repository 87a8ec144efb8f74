"""The course's Inception: convolutions of several sizes side by side, in a toy for digits.

The sizes, and the network around the blocks, are those of Hongpu Liu's "PyTorch deep learning
practice", after Sung Kim's "PyTorch Zero To All". The block is that of Szegedy et al., "Going
deeper with convolutions", 2014, arXiv:1409.4842, Figure 2(b), with a pair of 3x3 convolutions in
one branch, as in Szegedy et al., "Rethinking the Inception architecture for computer vision", 2015,
arXiv:1512.00567, Figure 5. It departs from the papers: average instead of maximum pooling, and no
ReLU inside the block. The networks of these papers are `googlenet` and `inception_v3`.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.registry import register


class InceptionBlock(Module):
    """Four branches with the same input, whose outputs are concatenated.

    Args:
        in_channels: Input channels.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.branch1x1 = nn.Conv2d(in_channels, 16, kernel_size=1)
        self.branch5x5 = nn.Sequential(
            nn.Conv2d(in_channels, 16, kernel_size=1),
            nn.Conv2d(16, 24, kernel_size=5, padding=2),
        )
        self.branch3x3 = nn.Sequential(
            nn.Conv2d(in_channels, 16, kernel_size=1),
            nn.Conv2d(16, 24, kernel_size=3, padding=1),
            nn.Conv2d(24, 24, kernel_size=3, padding=1),
        )
        self.branch_pool = nn.Sequential(
            nn.AvgPool2d(kernel_size=3, stride=1, padding=1),
            nn.Conv2d(in_channels, 24, kernel_size=1),
        )

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels=88 height width"]:
        """Concatenate the outputs of the four branches."""
        branches = self.branch1x1(x), self.branch5x5(x), self.branch3x3(x), self.branch_pool(x)
        return torch.cat(branches, dim=1)


class SmallInception(Module):
    """The course's toy classifier of handwritten digits, with two Inception blocks.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
    """

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 10, kernel_size=5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            InceptionBlock(10),
            nn.Conv2d(88, 20, kernel_size=5),
            nn.MaxPool2d(2),
            nn.ReLU(),
            InceptionBlock(20),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(1408, num_classes)

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} 28 28"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image."""
        logits: Tensor = self.classifier(self.features(images))
        return logits


@register(
    task="image-classification",
    paper="Szegedy et al., Going deeper with convolutions, 2014, arXiv:1409.4842",
)
def inception_small(*, in_channels: int = 1, num_classes: int = 10) -> SmallInception:
    """The course's toy with two Inception blocks, for handwritten digits."""
    return SmallInception(in_channels=in_channels, num_classes=num_classes)
