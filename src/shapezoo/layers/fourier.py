"""Fourier magnitudes: how much of each frequency an image holds, wherever it stands.

Cooley, Tukey, "An algorithm for the machine calculation of complex Fourier series", Mathematics of
Computation 19(90), 1965.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from shapezoo.contracts import Module


class FourierMagnitudes(Module):
    """The magnitudes of the two-dimensional Fourier transform of each channel.

    The transform is orthonormal. Of the frequencies along the width only the first half stands in
    the result: for a real image the others repeat it. Magnitudes do not change when the image is
    shifted cyclically; they have lost where things stand.

    The images are float32 or float64: on the CPU, PyTorch's transform takes no bfloat16.
    """

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width//2+1"]:
        """The magnitude of each frequency, the constant one in the top left."""
        return _magnitudes(images)


@torch.fx.wrap  # one node of a graph of torch.fx, which cannot follow its branch
def _magnitudes(images: Tensor) -> Tensor:
    if 0 in images.shape[:2]:  # of which MKL makes an error in PyTorch 2.14
        return images[..., : images.shape[-1] // 2 + 1].abs()
    magnitudes: Tensor = torch.fft.rfft2(images, norm="ortho").abs()
    return magnitudes
