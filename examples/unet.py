"""Prove which image sizes a U-Net accepts, before it runs for the first time."""

from jaxtyping import Float
from torch import Tensor, cat, nn

from shapezoo import Module, prove


class UNet(Module):
    """A U-Net with one level: half the resolution, and a skip connection around it."""

    def __init__(self, channels: int = 8) -> None:
        super().__init__()
        self.down = nn.Conv2d(1, channels, 3, stride=2, padding=1)
        self.up = nn.ConvTranspose2d(channels, channels, 2, stride=2)
        self.head = nn.Conv2d(1 + channels, 1, 1)

    def forward(
        self, images: Float[Tensor, "batch 1 height width"]
    ) -> Float[Tensor, "batch 1 height width"]:
        """Return a map of scores."""
        maps = self.up(self.down(images).relu())
        scores: Tensor = self.head(cat([images, maps], dim=1))
        return scores


def main() -> None:
    """Print the proof."""
    print(prove(UNet().eval()))


if __name__ == "__main__":
    main()
