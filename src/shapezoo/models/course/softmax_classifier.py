"""Softmax classifier: linear layers with ReLU between, one score for each class.

Bridle, "Probabilistic interpretation of feedforward classification network outputs, with
relationships to statistical pattern recognition", Neurocomputing, NATO ASI Series F68, 1990, in
the sizes that PyTorch courses teach for handwritten digits. It departs from the paper: five layers,
and ReLU. The scores are logits; softmax is part of the loss.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.registry import register


class SoftmaxClassifier(Module):
    """A fully connected classifier of images of 28 x 28 pixels.

    Args:
        in_channels: Channels of the images: 1 for grey, 3 for colour.
        num_classes: Number of classes.
    """

    def __init__(self, *, in_channels: int = 1, num_classes: int = 10) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.num_classes = num_classes
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(in_channels * 28 * 28, 512),
            nn.ReLU(),
            nn.Linear(512, 256),
            nn.ReLU(),
            nn.Linear(256, 128),
            nn.ReLU(),
            nn.Linear(128, 64),
            nn.ReLU(),
            nn.Linear(64, num_classes),
        )

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} 28 28"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each image; softmax turns scores into probabilities."""
        logits: Tensor = self.layers(images)
        return logits


@register(
    task="image-classification",
    paper="Bridle, Probabilistic interpretation of feedforward classification network outputs, "
    "with relationships to statistical pattern recognition, 1990",
)
def softmax_classifier(*, in_channels: int = 1, num_classes: int = 10) -> SoftmaxClassifier:
    """A fully connected classifier with layers of 512, 256, 128 and 64, for handwritten digits."""
    return SoftmaxClassifier(in_channels=in_channels, num_classes=num_classes)
