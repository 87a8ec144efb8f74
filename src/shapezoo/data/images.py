"""Labelled images, held in memory as bytes and handed out as batches of floats."""

import os
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from shapezoo.contracts import checked
from shapezoo.data.memory import InMemory, require_classes


class ImageError(ValueError):
    """A picture cannot be read or cannot be used."""


@checked
@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images with their labels.

    Attributes:
        images: Pixels from 0 (background) to 1.
        labels: Indices of classes.
    """

    images: Float[Tensor, "batch channels height width"]
    labels: Int64[Tensor, "batch"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a model takes."""
        return (self.images,)

    @property
    def targets(self) -> Tensor:
        """What a loss compares with."""
        return self.labels

    def to(self, device: torch.device) -> Self:
        """The same examples on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@checked
@dataclass(frozen=True, eq=False)
class ImageDataset(InMemory[ImageBatch]):
    """Labelled images in memory.

    Attributes:
        images: Pixels from 0 (background) to 255.
        labels: Indices into `classes`.
        classes: The names of the labels.

    Raises:
        ValueError: A label has no class.
    """

    images: UInt8[Tensor, "batch channels height width"]
    labels: Int64[Tensor, "batch"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        require_classes(self.labels, self.classes)

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> ImageBatch:
        """The examples at these indices, as a batch."""
        return ImageBatch(self.images[indices].float() / 255, self.labels[indices])

    def subset(self, indices: Tensor) -> Self:
        """The examples at these indices, as a dataset."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])


def read_grey(path: str | os.PathLike[str]) -> Tensor:
    """The rows and columns of a picture file, from 0 (black) to 255 (white).

    Transparent parts are taken as white. A large picture is reduced to 512 pixels a side.

    Raises:
        ImageError: The file is missing or is no picture.
    """
    from PIL import Image, ImageOps  # only who reads pictures waits for it

    try:
        with Image.open(path) as picture:
            picture.thumbnail((512, 512))
            coloured = ImageOps.exif_transpose(picture).convert("RGBA")
    except FileNotFoundError as error:
        raise ImageError(f"no picture at {os.fspath(path)!r}") from error
    except (Image.DecompressionBombError, OSError, ValueError) as error:
        raise ImageError(f"{os.fspath(path)!r} cannot be read as a picture: {error}") from error
    paper = Image.new("RGBA", coloured.size, "white")
    grey = Image.alpha_composite(paper, coloured).convert("L")
    return torch.from_numpy(np.array(grey))
