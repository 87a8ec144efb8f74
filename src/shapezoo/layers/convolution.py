"""One stage of a convolutional network, as a feature extractor."""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module


class ConvFeatures(Module):
    """Learned local patterns: a convolution, ReLU, and the maximum of each block of four.

    An image needs two rows and two columns at least; of an odd number the last is dropped.

    Args:
        in_channels: Channels of the images.
        out_channels: Patterns to learn.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )

    def forward(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} height//2 width//2"]:
        """How strongly each pattern shows, at half the resolution."""
        features: Tensor = self.layers(images)
        return features
