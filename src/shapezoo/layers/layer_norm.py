"""Layer normalisation of feature maps.

Ba, Kiros, Hinton, "Layer normalization", 2016, arXiv:1607.06450; for each pixel separately, as in
Liu et al., "A ConvNet for the 2020s", 2022, arXiv:2201.03545.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import checked


class LayerNorm2d(nn.LayerNorm):
    """`torch.nn.LayerNorm` over the channels of feature maps, for each pixel separately.

    Args:
        channels: The number of channels.
        eps: Added to the variance of a pixel.
    """

    def __init__(self, channels: int, *, eps: float = 1e-6) -> None:
        super().__init__(channels, eps=eps)
        self.channels = channels

    @checked
    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        """Return the normalised maps: mean 0 and variance 1 per pixel before weight and bias."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
