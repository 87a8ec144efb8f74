"""Squeeze-and-excitation: a factor for each channel, computed from the averages of all.

Hu, Shen, Albanie, Sun, Wu, "Squeeze-and-excitation networks", 2017, arXiv:1709.01507, Figure 1 and
Equations 2 to 4.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers.conv_norm_activation import RELU, MakeActivation


class SqueezeExcitation(Module):
    """Scale each channel by a factor that depends on the averages of all channels.

    Its two linear layers are convolutions of 1x1, as in torchvision.

    Args:
        channels: Input and output channels.
        squeeze_channels: Channels between the two convolutions.
        activation: Builds the activation between them.
        gate: Builds the activation that makes the factors.
    """

    def __init__(
        self,
        channels: int,
        squeeze_channels: int,
        *,
        activation: MakeActivation = RELU,
        gate: MakeActivation = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, channels, 1)
        self.activation = activation()
        self.scale_activation = gate()

    def forward(
        self, x: Float[Tensor, "batch channels={self.channels} height width"]
    ) -> Float[Tensor, "batch channels={self.channels} height width"]:
        """Return the scaled feature maps."""
        squeezed = self.activation(self.fc1(self.avgpool(x)))
        scales: Tensor = self.scale_activation(self.fc2(squeezed))
        return scales * x
