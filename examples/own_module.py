"""Write a module with a contract, and see the error for a wrong input."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import Module, ShapeError, signature


class DepthwiseBlock(Module):
    """A depthwise convolution followed by a pointwise one; halves height and width."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.depthwise = nn.Conv2d(in_channels, in_channels, 3, 2, 1, groups=in_channels)
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1)

    def forward(
        self, x: Float[Tensor, "batch channels={self.in_channels} height width"]
    ) -> Float[Tensor, "batch channels={self.out_channels} (height-1)//2+1 (width-1)//2+1"]:
        """Mix the pixels of each channel, then the channels."""
        mixed: Tensor = self.pointwise(self.depthwise(x))
        return mixed


def main() -> None:
    """Call the module with a valid and an invalid input."""
    block = DepthwiseBlock(8, 16)
    print(signature(block))
    print(tuple(block(torch.zeros(4, 8, 33, 20)).shape))
    try:
        block(torch.zeros(4, 33, 20, 8))
    except ShapeError as error:
        print(error)


if __name__ == "__main__":
    main()
