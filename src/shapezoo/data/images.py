"""Labelled images, stored in memory as bytes and returned as batches of floats."""

import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from shapezoo._files import require_regular
from shapezoo._pictures import as_bytes, on_background, with_alpha
from shapezoo._seeding import draws_nothing
from shapezoo.contracts import checked
from shapezoo.data.memory import InMemory, require_classes

if TYPE_CHECKING:
    from PIL.Image import Image


LEAST_CONTRAST = 16
"""The difference, of 255, that ink must have from its background."""

# what people take for pictures; Pillow reads HEIC only with a plugin
_OTHER_FORMATS = {"PDF": b"%PDF", "SVG": b"<svg", "HEIC": b"ftyphei", "HEIF": b"ftypmif1"}


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
    path: str | os.PathLike[str],
    *,
    height: int,
    width: int,
    channels: int,
    background: Literal["black", "white"] = "white",
) -> Float[Tensor, "1 channels={channels} height={height} width={width}"]:
    """Read a picture file as an image from 0 (black) to 1.

    The picture is scaled to cover the height and the width, and cropped at the centre. Grey
    pictures of 16 bits keep their brightness; so do those of floats, whose white is 1, 255 or
    65,535, whichever is the first that no value exceeds.

    Args:
        path: A picture file.
        height: The height of the image.
        width: The width of the image.
        channels: 3 for red, green and blue, 1 for grey.
        background: The colour of transparent parts.

    Raises:
        ValueError: The image cannot have this size.
        ImageError: The file is missing, is not a picture, has more than 178,956,970 pixels, or has
            an unknown range of values.
    """
    from PIL import ImageOps  # slow to import

    if channels not in (1, 3) or min(height, width) < 1:
        raise ValueError(
            "channels must be 1 or 3, and height and width at least 1, "
            f"got {channels}, {height} and {width}"
        )
    mode: Literal["L", "RGB"] = "L" if channels == 1 else "RGB"
    picture = on_background(_open(path, longest=4 * max(height, width)), mode, background)
    pixels = torch.from_numpy(np.array(ImageOps.fit(picture, (width, height))))
    return pixels.view(1, height, width, channels).movedim(-1, 1).contiguous() / 255


def read_grey(path: str | os.PathLike[str]) -> Tensor:
    """Return the rows and columns of a picture file, from 0 (black) to 255 (white).

    Transparent parts become white; or black if everything else is nearly white, because that would
    be invisible. A large picture is reduced to 512 pixels per side.

    Raises:
        ImageError: The file is missing, is not a picture, has more than 178,956,970 pixels, or has
            an unknown range of values.
    """
    picture = _open(path, longest=512)
    grey = np.array(on_background(picture, "L"))
    if grey.min() > 255 - LEAST_CONTRAST:
        grey = np.array(on_background(picture, "L", "black"))
    return torch.from_numpy(grey)


def _open(path: str | os.PathLike[str], *, longest: int) -> "Image":
    """Open a picture file with alpha, with sides of at most `longest` pixels, the right way up."""
    from PIL import Image, ImageOps  # slow to import

    name = repr(os.fspath(path))
    try:
        require_regular(path)
        # warnings of Pillow name a line of its code, not the picture
        with warnings.catch_warnings(action="ignore"), Image.open(path) as picture:
            reduced = as_bytes(picture)  # Pillow cannot reduce 16 bits
            if reduced.mode in ("1", "P", "PA"):
                reduced = with_alpha(reduced)  # Pillow reduces these by leaving out pixels
            reduced.thumbnail((longest, longest))
            return with_alpha(ImageOps.exif_transpose(reduced))
    except FileNotFoundError as error:
        raise ImageError(f"no picture at {name}") from error
    except Exception as error:  # Pillow raises many types for damaged files
        raise ImageError(f"{name} cannot be read as a picture: {_reason(path, error)}") from error


def _reason(path: str | os.PathLike[str], error: Exception) -> str:
    """Return why a picture file cannot be read, in words for its owner."""
    from PIL import Image, UnidentifiedImageError

    if isinstance(error, Image.DecompressionBombError):
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        return f"it has more than {most:,} pixels; reduce it"
    if not isinstance(error, UnidentifiedImageError):
        return (isinstance(error, OSError) and error.strerror) or str(error)
    with Path(path).open("rb") as file:
        start = file.read(1024)
    if not start:
        return "the file is empty"
    for format_, sign in _OTHER_FORMATS.items():
        if sign in start:
            return f"it is in {format_} format; convert it to PNG"
    return "it is not in a format that Pillow reads, such as PNG, JPEG, GIF, TIFF or WebP"
