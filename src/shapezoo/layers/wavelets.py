"""Haar wavelets: an image as a small copy of itself and the details that the copy has lost.

Haar, "Zur Theorie der orthogonalen Funktionensysteme", Mathematische Annalen 69, 1910; in two
dimensions and in the packed layout of Mallat, "A theory for multiresolution signal decomposition:
the wavelet representation", IEEE Transactions on Pattern Analysis and Machine Intelligence 11(7),
1989.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from shapezoo.contracts import Module, checked


class HaarTransform(Module):
    """`haar_transform` as a module.

    Args:
        levels: How often the approximation is taken apart; 0 leaves the images as they are.
    """

    def __init__(self, *, levels: int = 1) -> None:
        super().__init__()
        self.levels = levels

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """The coefficients, packed into the shape of the images."""
        return haar_transform(images, self.levels)


@checked
def haar_transform(
    images: Float[Tensor, "batch channels height width"], levels: int = 1
) -> Float[Tensor, "batch channels height width"]:
    """The orthonormal Haar wavelet transform of each channel, in Mallat's packed layout.

    A level turns each block of four pixels into half their sum and three halved differences. The
    half-sums form the approximation in the top left quarter; the differences from left to right
    stand in the top right, those from top to bottom in the bottom left, those along the diagonals
    in the bottom right. The next level does the same to the approximation.

    Args:
        images: The images, of any floating-point dtype.
        levels: How often the approximation is taken apart; 0 leaves the images as they are.

    Raises:
        ValueError: The height or the width cannot be halved that often, or the number of levels is
            negative.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.layers import haar_transform
        >>> haar_transform(torch.tensor([[[[4.0, 2.0], [3.0, 1.0]]]]))
        tensor([[[[5., 2.],
                  [1., 0.]]]])

        ```
    """
    _require_divisible(images, levels)
    return _analyse(images, levels)


@checked
def inverse_haar_transform(
    coefficients: Float[Tensor, "batch channels height width"], levels: int = 1
) -> Float[Tensor, "batch channels height width"]:
    """The images whose `haar_transform` this is.

    Args:
        coefficients: What `haar_transform` gave.
        levels: The number of levels that it was given.

    Raises:
        ValueError: The height or the width cannot be halved that often, or the number of levels is
            negative.
    """
    _require_divisible(coefficients, levels)
    return _synthesise(coefficients, levels)


@torch.fx.wrap  # one node of a graph of torch.fx, which cannot follow its loop over sizes
def _require_divisible(images: Tensor, levels: int) -> None:
    if not 0 <= levels < 63:  # no size could be halved more often
        raise ValueError(f"levels must be from 0 to 62, got {levels}")
    for axis, size in zip(("height", "width"), images.shape[-2:], strict=True):
        if size % 2**levels != 0:
            raise ValueError(f"{axis} must be divisible by 2**{levels} = {2**levels}, got {size}")


def _analyse(images: Tensor, levels: int) -> Tensor:
    if levels == 0:
        return images
    top, bottom = images[..., ::2, :], images[..., 1::2, :]
    blocks = top[..., ::2], top[..., 1::2], bottom[..., ::2], bottom[..., 1::2]
    approximation, across, down, diagonal = _mix(*blocks)
    upper = torch.cat([_analyse(approximation, levels - 1), across], dim=-1)
    return torch.cat([upper, torch.cat([down, diagonal], dim=-1)], dim=-2)


def _synthesise(coefficients: Tensor, levels: int) -> Tensor:
    if levels == 0:
        return coefficients
    upper, lower = coefficients.tensor_split(2, dim=-2)
    (packed, across), (down, diagonal) = upper.tensor_split(2, -1), lower.tensor_split(2, -1)
    blocks = _mix(_synthesise(packed, levels - 1), across, down, diagonal)
    top, bottom = (torch.stack(pair, dim=-1).flatten(-2) for pair in (blocks[:2], blocks[2:]))
    return torch.stack([top, bottom], dim=-2).flatten(-3, -2)


def _mix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Haar's matrix for a block of four, which is its own inverse."""
    a, b, c, d = a / 2, b / 2, c / 2, d / 2  # first, lest a sum overflow
    return a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d
