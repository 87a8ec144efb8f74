"""Preprocessing images as published weights expect them."""

import enum
import os
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from shapezoo._pictures import is_grey, on_background
from shapezoo.contracts import checked
from shapezoo.contracts.messages.describing import shown
from shapezoo.weights.published import PublishedWeights
from shapezoo.weights.weights_argument import require_published

if TYPE_CHECKING:
    from PIL.Image import Image

_LUMINANCE = (0.299, 0.587, 0.114)
"""Shares of red, green and blue in grey, as in Pillow; torchvision's do not add up to 1."""


@overload
def preprocess(
    images: UInt8[Tensor, "*batch channels height width"]
    | Float[Tensor, "*batch channels height width"],
    weights: PublishedWeights | enum.Enum,
    *,
    channels: int = 3,
) -> Float[
    Tensor, "*batch channels={channels} height={weights.image_size} width={weights.image_size}"
]: ...
@overload
def preprocess(
    images: "Image", weights: PublishedWeights | enum.Enum, *, channels: int = 3
) -> Float[
    Tensor, "channels={channels} height={weights.image_size} width={weights.image_size}"
]: ...
def preprocess(
    images: "Tensor | Image", weights: PublishedWeights | enum.Enum, *, channels: int = 3
) -> Tensor:
    """Resize images, crop their centre, and normalise them as in the training of the weights.

    Grey images are repeated for red, green and blue; images with a fourth channel, alpha, are
    composited onto white. Preprocess images of different sizes one by one, then stack them.

    For a model with ``in_channels=1``, whose first convolution has the sum of the weights for red,
    green and blue, pass ``channels=1``. Colours become grey, and the mean and standard deviation
    are the averages over the colours. For weights that normalise all colours alike (``googlenet``
    and ``inception_v3``), the result of a grey image is then the same as with three channels. With
    other weights it differs slightly: no single mean replaces three without new weights.

    For another size than the one of the weights, pass
    ``dataclasses.replace(weights, resize_size=..., image_size=...)``.

    Args:
        images: Grey, RGB or RGBA, from 0 to 255 if they are bytes, else from 0 to 1; with any
            number of axes before those of an image. Or a Pillow image, of any mode with a known
            range.
        weights: Weights of a model, as ``model_info(name).weights`` lists them, or a member of
            torchvision's enum, such as ``ResNet18_Weights.DEFAULT``.
        channels: How many channels the model reads: 3, or 1.

    Raises:
        TypeError: The images are neither a tensor nor a Pillow image, or the weights neither
            `PublishedWeights` nor a member of torchvision's enum.
        ShapeError: The tensor has integers other than bytes.
        WeightsError: The enum is not one of torchvision's.
        ValueError: The images have another number of channels, fewer than three axes or no pixels,
            `channels` is another number, or the range of a Pillow image is not known.

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
    if isinstance(channels, bool) or channels not in (1, 3):
        raise ValueError(
            f"channels must be 1 or 3, got {channels}; stack the results of separate calls for "
            f"models that read more"
        )
    weights = require_published(weights)
    if isinstance(images, Tensor):
        _require_axes(images)
        return _preprocess_tensor(images, weights, channels)
    from PIL import Image  # imported here, so that `import shapezoo` stays fast

    if not isinstance(images, Image.Image):
        raise TypeError(
            f"images must be a tensor or a Pillow image, got {shown(images)}{_hint(images)}"
        )
    return _preprocess_picture(images, weights, channels)


@checked
def _preprocess_tensor(
    images: UInt8[Tensor, "*batch channels height width"]
    | Float[Tensor, "*batch channels height width"],
    weights: PublishedWeights,
    channels: int,
) -> Float[
    Tensor, "*batch channels={channels} height={weights.image_size} width={weights.image_size}"
]:
    _require_pixels(images)
    images = _without_alpha(images)
    # torchvision resizes images with one batch axis only
    flat = images.reshape(images.shape[:-3].numel(), *images.shape[-3:])
    cropped: Tensor = _resize_and_crop(flat, weights)
    unflattened = cropped.reshape(*images.shape[:-3], *cropped.shape[1:])
    return _normalize(unflattened, weights, channels)


@checked
def _preprocess_picture(
    picture: Any, weights: PublishedWeights, channels: int
) -> Float[Tensor, "channels={channels} height={weights.image_size} width={weights.image_size}"]:
    """Preprocess a Pillow image, which Pillow resizes: it rounds differently from PyTorch."""
    if 0 in picture.size:
        raise ValueError(f"images must have pixels, got a picture of size {picture.size}")
    mode: Literal["L", "RGB"] = "L" if is_grey(picture) else "RGB"
    pixels = np.array(_resize_and_crop(on_background(picture, mode), weights))
    cropped = torch.from_numpy(pixels).view(*pixels.shape[:2], -1).movedim(-1, 0)
    return _normalize(cropped, weights, channels)


def _resize_and_crop(images: Any, weights: PublishedWeights) -> Any:
    """Return the centre of resized images, as a tensor or Pillow image like the argument."""
    from torchvision.transforms import InterpolationMode, functional  # takes two seconds

    resized = functional.resize(
        images, [weights.resize_size], InterpolationMode(weights.interpolation), antialias=True
    )
    return functional.center_crop(resized, [weights.image_size])


def _normalize(images: Tensor, weights: PublishedWeights, channels: int) -> Tensor:
    """Return images as normalised floats with this many channels."""
    from torchvision.transforms import functional

    pixels = functional.convert_image_dtype(images)
    mean, std = [*weights.mean], [*weights.std]
    if channels == 1:
        mean, std = [sum(mean) / 3], [sum(std) / 3]
        if images.shape[-3] == 3:
            shares = torch.tensor(_LUMINANCE, dtype=pixels.dtype, device=pixels.device)
            pixels = (pixels * shares.view(3, 1, 1)).sum(-3, keepdim=True)
    else:
        pixels = pixels.expand(*images.shape[:-3], 3, -1, -1)
    normalised: Tensor = functional.normalize(pixels, mean, std)
    return normalised


def _require_axes(images: Tensor) -> None:
    if images.dim() < 3:
        hint = "; for one grey image pass images.unsqueeze(0)" if images.dim() == 2 else ""
        raise ValueError(
            "images must have three axes (channels, height, width), or more before them, got "
            f"{tuple(images.shape)}{hint}"
        )


def _hint(images: object) -> str:
    """Return how to convert a wrong argument to images, if that is known."""
    if isinstance(images, str | os.PathLike):
        return "; open a file with PIL.Image.open"
    if isinstance(images, np.ndarray):
        axes = ""
        if images.ndim == 2:
            axes = ".unsqueeze(0)"
        elif images.ndim > 2 and images.shape[-1] in (1, 3, 4):
            axes = ".movedim(-1, -3)"
        return f"; pass torch.from_numpy(images){axes}"
    if isinstance(images, list | tuple):
        return "; pass torch.stack([preprocess(image, weights) for image in images]) to the model"
    return ""


def _require_pixels(images: Tensor) -> None:
    channels, height, width = images.shape[-3:]
    if channels not in (1, 3, 4):
        hint = "; for channels in the last axis pass images.movedim(-1, -3)"
        raise ValueError(
            f"images must have 1, 3 or 4 channels (grey, RGB or RGBA), got {channels} in "
            f"{tuple(images.shape)}{hint if width in (1, 3, 4) else ''}"
        )
    if height == 0 or width == 0:
        raise ValueError(f"images must have pixels, got {tuple(images.shape)}")


def _without_alpha(images: Tensor) -> Tensor:
    """Composite images with an alpha channel onto white."""
    if images.shape[-3] != 4:
        return images
    white = 1.0 if images.is_floating_point() else 255.0
    colours, alpha = images.narrow(-3, 0, 3), images.narrow(-3, 3, 1)
    mixed = white + (colours - white) * (alpha / white)
    return mixed if images.is_floating_point() else mixed.round().to(torch.uint8)
