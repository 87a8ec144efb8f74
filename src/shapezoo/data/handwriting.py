"""Handwritten digits included in the package: 1,797 pictures by 13 writers.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning
Repository, 1998 (test set). Each pixel of the original 8 x 8 counts the ink in a block of 4 x 4.
"""

import os
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from safetensors.torch import load
from torch import Tensor
from torch.nn.functional import interpolate, pad

from shapezoo.contracts import checked
from shapezoo.data.images import LEAST_CONTRAST, ImageDataset, ImageError, read_grey
from shapezoo.data.memory import Split, split
from shapezoo.data.packaged import read_packaged

CLASSES = tuple("0123456789")


def digits(
    *, split_by: Literal["example", "writer"] = "example", seed: int = 0
) -> Split[ImageDataset]:
    """Return the digits as images of 28 x 28 pixels, a fifth of them for testing.

    Args:
        split_by: ``"example"`` chooses the test examples randomly. ``"writer"`` takes the last
            ones, by writers of whom the training set has hardly any, which is harder.
        seed: Seeds the random choice.

    Raises:
        ValueError: `split_by` has another value.
        DatasetError: The file of the package is missing or damaged.
    """
    if split_by not in ("example", "writer"):
        raise ValueError(f"split_by must be 'example' or 'writer', got {split_by!r}")
    tensors = load(read_packaged("digits.safetensors"))
    generator = torch.Generator().manual_seed(seed) if split_by == "example" else None
    images = (_enlarge(tensors["images"][:, None].float() / 16) * 255).round().to(torch.uint8)
    dataset = ImageDataset(images, tensors["labels"].long(), CLASSES)
    return split(dataset, test_size=len(dataset) // 5, generator=generator)


@checked
def read_digit(path: str | os.PathLike[str]) -> Float[Tensor, "1 1 28 28"]:
    """Read a picture of one digit and prepare it like the digits of the dataset.

    The picture is cropped to the ink, padded to a square and reduced to the 8 x 8 blocks of the
    dataset. The ink may be dark on a light background or light on a dark background.

    Args:
        path: A picture file with one digit on a uniform background.

    Raises:
        ImageError: The file is missing, is not a picture, or is blank.
    """
    grey = read_grey(path)
    try:
        return _prepare(grey)
    except ImageError as error:
        raise ImageError(f"{os.fspath(path)!r}: {error}") from error


@checked
def _prepare(grey: UInt8[Tensor, "height width"]) -> Float[Tensor, "1 1 28 28"]:
    border = torch.cat([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    ink = (grey.float() - border.float().median()).abs()
    if ink.max() < LEAST_CONTRAST:
        raise ImageError("it shows no digit: all pixels have nearly the same brightness")
    rows, columns = (torch.nonzero(ink > ink.max() / 2)[:, axis] for axis in (0, 1))
    ink = ink[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1] / ink.max()
    height, width = ink.shape
    side = max(height, width)
    left, top = (side - width) // 2, (side - height) // 2
    square = pad(ink, (left, side - width - left, top, side - height - top))
    return _enlarge(interpolate(square[None, None], (8, 8), mode="area"))


@checked
def _enlarge(
    images: Float[Tensor, "batch channels=1 8 8"],
) -> Float[Tensor, "batch channels=1 28 28"]:
    return interpolate(images, (28, 28), mode="bilinear")
