"""Moving the channels of feature maps to the last axis and back, as layers."""

from jaxtyping import Float
from torch import Tensor

from shapezoo.contracts import Module


class ChannelsLast(Module):
    """Moves the channels of feature maps to the last axis, where linear layers expect them."""

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch height width channels"]:
        """Return a view of the input."""
        return x.permute(0, 2, 3, 1)


class ChannelsFirst(Module):
    """Moves the channels of feature maps back to where convolutions expect them."""

    def forward(
        self, x: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return a view of the input."""
        return x.permute(0, 3, 1, 2)
