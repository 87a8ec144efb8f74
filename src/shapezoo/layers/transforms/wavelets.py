"""Haar wavelets: an image as a smaller approximation and the details lost in it.

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
        levels: The number of levels; 0 leaves the images unchanged.
    """

    def __init__(self, *, levels: int = 1) -> None:
        super().__init__()
        self.levels = levels

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        """Return the coefficients, packed into the shape of the images."""
        return haar_transform(images, self.levels)


@checked
def haar_transform(
    images: Float[Tensor, "batch channels height width"], levels: int = 1
) -> Float[Tensor, "batch channels height width"]:
    """Return the orthonormal Haar wavelet transform of each channel, in Mallat's packed layout.

    A level replaces each block of four pixels by half their sum and three halved differences. The
    half-sums form the approximation in the top left quarter; the horizontal differences are in the
    top right, the vertical ones in the bottom left, the diagonal ones in the bottom right. The next
    level transforms the approximation.

    Args:
        images: The images, of any floating-point dtype.
        levels: The number of levels; 0 leaves the images unchanged.

    Raises:
        ValueError: The height or the width is not divisible by ``2**levels``, or `levels` is out
            of range.

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
    return _transform(images, levels)


@checked
def inverse_haar_transform(
    coefficients: Float[Tensor, "batch channels height width"], levels: int = 1
) -> Float[Tensor, "batch channels height width"]:
    """Return the images whose `haar_transform` these coefficients are.

    Args:
        coefficients: The result of `haar_transform`.
        levels: The number of levels of that transform.

    Raises:
        ValueError: The height or the width is not divisible by ``2**levels``, or `levels` is out
            of range.
    """
    _require_divisible(coefficients, levels)
    return _inverse(coefficients, levels)


@torch.fx.wrap  # makes it one node: torch.fx cannot trace a loop over sizes
def _require_divisible(images: Tensor, levels: int) -> None:
    if not 0 <= levels < 63:  # sizes are below 2**63
        raise ValueError(f"levels must be from 0 to 62, got {levels}")
    for axis, size in zip(("height", "width"), images.shape[-2:], strict=True):
        if size % 2**levels != 0:
            raise ValueError(f"{axis} must be divisible by 2**{levels} = {2**levels}, got {size}")


def _transform(images: Tensor, levels: int) -> Tensor:
    if levels == 0:
        return images
    top, bottom = images[..., ::2, :], images[..., 1::2, :]
    blocks = top[..., ::2], top[..., 1::2], bottom[..., ::2], bottom[..., 1::2]
    approximation, across, down, diagonal = _mix(*blocks)
    upper = torch.cat([_transform(approximation, levels - 1), across], dim=-1)
    return torch.cat([upper, torch.cat([down, diagonal], dim=-1)], dim=-2)


def _inverse(coefficients: Tensor, levels: int) -> Tensor:
    if levels == 0:
        return coefficients
    upper, lower = coefficients.tensor_split(2, dim=-2)
    (packed, across), (down, diagonal) = upper.tensor_split(2, -1), lower.tensor_split(2, -1)
    blocks = _mix(_inverse(packed, levels - 1), across, down, diagonal)
    top, bottom = (torch.stack(pair, dim=-1).flatten(-2) for pair in (blocks[:2], blocks[2:]))
    return torch.stack([top, bottom], dim=-2).flatten(-3, -2)


def _mix(a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Apply Haar's matrix to blocks of four; the matrix is its own inverse."""
    a, b, c, d = a / 2, b / 2, c / 2, d / 2  # before adding, so that the sums cannot overflow
    return a + b + c + d, a - b + c - d, a + b - c - d, a - b - c + d
