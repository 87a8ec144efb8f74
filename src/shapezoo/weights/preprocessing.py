"""Making of pictures what published weights were trained on."""

from jaxtyping import Float, UInt8
from torch import Tensor

from shapezoo.contracts import checked
from shapezoo.weights.published import PublishedWeights


@checked
def preprocess(
    images: UInt8[Tensor, "*batch channels=3 height width"]
    | Float[Tensor, "*batch channels=3 height width"],
    weights: PublishedWeights,
) -> Float[Tensor, "*batch channels=3 height={weights.image_size} width={weights.image_size}"]:
    """Scale images, cut out their middle, and normalise them, as weights want it.

    For another size than the one of the weights, give
    ``dataclasses.replace(weights, resize_size=..., image_size=...)``.

    Args:
        images: Red, green and blue, from 0 to 255 if they are bytes, else from 0 to 1.
        weights: Weights of a model, as ``model_info(name).weights`` lists them.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import model_info
        >>> from shapezoo.weights import preprocess
        >>> picture = torch.zeros(3, 300, 400, dtype=torch.uint8)
        >>> old, new = model_info("resnet50").weights
        >>> preprocess(picture, new).shape
        torch.Size([3, 224, 224])

        ```
    """
    from torchvision.transforms import InterpolationMode, functional  # takes two seconds

    scaled = functional.resize(
        images, [weights.resize_size], InterpolationMode(weights.interpolation), antialias=True
    )
    middle = functional.center_crop(scaled, [weights.image_size])
    pixels = functional.convert_image_dtype(middle)
    normalised: Tensor = functional.normalize(pixels, [*weights.mean], [*weights.std])
    return normalised
