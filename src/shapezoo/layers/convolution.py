"""One stage of a convolutional network as a feature extractor."""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module


class ConvFeatures(Module):
    """A convolution, ReLU and max pooling of 2 x 2.

    Images need at least two rows and two columns; an odd last row or column is dropped.

    Args:
        in_channels: Input channels.
        out_channels: Output channels.
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
        """Return the feature maps at half the resolution."""
        features: Tensor = self.layers(images)
        return features
