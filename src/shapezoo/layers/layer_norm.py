"""Layer normalisation of feature maps.

Ba, Kiros, Hinton, "Layer normalization", 2016, arXiv:1607.06450, for each pixel alone, as in Liu et
al., "A ConvNet for the 2020s", 2022, arXiv:2201.03545.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import checked


class LayerNorm2d(nn.LayerNorm):
    """`torch.nn.LayerNorm` over the channels of feature maps, for each pixel alone.

    Args:
        channels: The number of maps.
        eps: What is added to the variance of a pixel.
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)
        self.channels = channels

    @checked
    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        """The maps, of which each pixel has mean 0 and variance 1 before weight and bias."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
