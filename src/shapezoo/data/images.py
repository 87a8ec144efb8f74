"""Labelled images, stored in memory as bytes and returned as batches of floats."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from shapezoo._files import require_regular
from shapezoo._pictures import as_bytes, on_white
from shapezoo._seeding import draws_nothing
from shapezoo.contracts import checked
from shapezoo.data.memory import InMemory, require_classes

if TYPE_CHECKING:
    from PIL.Image import Image


class ImageError(ValueError):
    """A picture cannot be read or cannot be used."""

    __module__ = "shapezoo.data"


@checked
@dataclass(frozen=True, eq=False)
class ImageBatch:
    """Images with their labels.

    Attributes:
        images: Pixels from 0 (black; the background of digits and clothes) to 1.
        labels: Indices of classes.
    """

    images: Float[Tensor, "batch channels height width"]
    labels: Int64[Tensor, "batch"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments of the model."""
        return (self.images,)

    @property
    def targets(self) -> Tensor:
        """The labels, which the loss compares with the output of the model."""
        return self.labels

    def to(self, device: torch.device) -> Self:
        """Return the same examples on a device."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))


@checked
@dataclass(frozen=True, eq=False)
class ImageDataset(InMemory[ImageBatch]):
    """Labelled images in memory.

    Attributes:
        images: Pixels from 0 (black; the background of digits and clothes) to 255.
        labels: Indices into `classes`.
        classes: The names of the labels.

    Raises:
        ValueError: A label is not an index into `classes`.
    """

    images: UInt8[Tensor, "batch channels height width"]
    labels: Int64[Tensor, "batch"]
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        require_classes(self.labels, self.classes)

    def __len__(self) -> int:
        return len(self.labels)

    @draws_nothing
    def select(self, indices: Tensor) -> ImageBatch:
        """Return the examples at these indices as a batch."""
        return ImageBatch(self.images[indices] / 255, self.labels[indices])

    def subset(self, indices: Tensor) -> Self:
        """Return the examples at these indices as a dataset."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])


@checked
def read_picture(
    path: str | os.PathLike[str], *, height: int, width: int, channels: int
) -> Float[Tensor, "1 channels={channels} height={height} width={width}"]:
    """Read a picture file as an image from 0 (black) to 1.

    The picture is scaled to cover the height and the width, and cropped at the centre. Transparent
    parts become white. Grey pictures of 16 bits keep their brightness.

    Args:
        path: A picture file.
        height: The height of the image.
        width: The width of the image.
        channels: 3 for red, green and blue, 1 for grey.

    Raises:
        ValueError: The image cannot have this size.
        ImageError: The file is missing, is not a picture, or has an unknown range of values, as
            pictures of floats have.
    """
    from PIL import ImageOps  # slow to import

    if channels not in (1, 3) or min(height, width) < 1:
        raise ValueError(
            "channels must be 1 or 3, and height and width at least 1, "
            f"got {channels}, {height} and {width}"
        )
    mode: Literal["L", "RGB"] = "L" if channels == 1 else "RGB"
    picture = _open(path, mode, longest=4 * max(height, width))
    pixels = torch.from_numpy(np.array(ImageOps.fit(picture, (width, height))))
    return pixels.view(1, height, width, channels).movedim(-1, 1).contiguous() / 255


def read_grey(path: str | os.PathLike[str]) -> Tensor:
    """Return the rows and columns of a picture file, from 0 (black) to 255 (white).

    Transparent parts become white. A large picture is reduced to 512 pixels per side.

    Raises:
        ImageError: The file is missing, is not a picture, or has an unknown range of values.
    """
    return torch.from_numpy(np.array(_open(path, "L", longest=512)))


def _open(path: str | os.PathLike[str], mode: Literal["L", "RGB"], *, longest: int) -> "Image":
    """Open a picture file on a white background, with sides of at most `longest` pixels."""
    from PIL import Image, ImageOps  # slow to import

    name = repr(os.fspath(path))
    try:
        require_regular(path)
        with Image.open(path) as picture:
            reduced = as_bytes(picture)  # Pillow cannot reduce 16 bits
            reduced.thumbnail((longest, longest))
            return on_white(ImageOps.exif_transpose(reduced), mode)
    except FileNotFoundError as error:
        raise ImageError(f"no picture at {name}") from error
    except Exception as error:  # Pillow raises many types for damaged files
        raise ImageError(f"{name} cannot be read as a picture: {error}") from error
