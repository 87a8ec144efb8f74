"""Fourier magnitudes of images: the amplitude of each frequency, without its position.

Cooley, Tukey, "An algorithm for the machine calculation of complex Fourier series", Mathematics of
Computation 19(90), 1965.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from shapezoo.contracts import Module


class FourierMagnitudes(Module):
    """The magnitudes of the two-dimensional Fourier transform of each channel.

    The transform is orthonormal. The result has only the first half of the frequencies along the
    width, because the others are equal for a real image. Magnitudes do not change when the image is
    shifted cyclically.

    The images must be float32 or float64: PyTorch's transform does not support bfloat16 on CPUs.
    """

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width//2+1"]:
        """Return the magnitude of each frequency, frequency zero at the top left."""
        return _magnitudes(images)


@torch.fx.wrap  # makes it one node: torch.fx cannot trace the branch on a size
def _magnitudes(images: Tensor) -> Tensor:
    if 0 in images.shape[:2]:  # MKL raises for these in PyTorch 2.14
        return images[..., : images.shape[-1] // 2 + 1].abs()
    magnitudes: Tensor = torch.fft.rfft2(images, norm="ortho").abs()
    return magnitudes
