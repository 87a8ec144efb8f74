"""The contract of feature maps of which each is half as large as the one before."""

from collections.abc import Collection, Iterable

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module, checked


class StagedBackbone(Module):
    """The base of classifiers whose padded convolutions halve the resolution five times.

    Attributes:
        strides: Stride of each feature map relative to the image, highest resolution first.
        in_channels: Channels of the images.
        feature_channels: Channels of each feature map.
    """

    strides = (4, 8, 16, 32)
    in_channels: int
    feature_channels: tuple[int, ...]

    @checked
    def feature_maps(
        self, images: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> tuple[
        Float[
            Tensor,
            "batch channels={self.feature_channels[0]} height=(height-1)//4+1 width=(width-1)//4+1",
        ],
        Float[
            Tensor,
            "batch channels={self.feature_channels[1]} height=(height-1)//8+1 width=(width-1)//8+1",
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[2]} "
                "height=(height-1)//16+1 width=(width-1)//16+1"
            ),
        ],
        Float[
            Tensor,
            (
                "batch channels={self.feature_channels[3]} "
                "height=(height-1)//32+1 width=(width-1)//32+1"
            ),
        ],
    ]:
        """Return the last feature maps of each resolution, highest resolution first.

        A last convolution that only widens them for the average is not applied.
        """
        first, second, third, fourth = self._maps(images)
        return first, second, third, fourth

    def _maps(self, images: Tensor) -> list[Tensor]:
        """Return the feature maps; each architecture has its own."""
        raise NotImplementedError


def outputs_of(layers: Iterable[nn.Module], indices: Collection[int], x: Tensor) -> list[Tensor]:
    """Apply layers in a row up to the last of these indices, and return their outputs there."""
    outputs = []
    for index, layer in zip(range(max(indices) + 1), layers, strict=False):
        x = layer(x)
        if index in indices:
            outputs.append(x)
    return outputs
