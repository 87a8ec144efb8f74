"""Labelled images, held in memory as bytes and handed out as batches of floats."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from shapezoo.contracts import checked


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


@checked
@dataclass(frozen=True, eq=False)
class ImageDataset:
    """Labelled images in memory.

    Attributes:
        images: Pixels from 0 (background) to 255.
        labels: Indices into `classes`.
        classes: The names of the labels.
    """

    images: UInt8[Tensor, "batch channels height width"]
    labels: Int64[Tensor, "batch"]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def input_shapes(self) -> tuple[tuple[int | None, ...], ...]:
        """The shapes of a batch's inputs; None is the size of the batch."""
        return ((None, *self.images.shape[1:]),)

    def select(self, indices: Tensor) -> ImageBatch:
        """The examples at these indices, as a batch."""
        return ImageBatch(self.images[indices].float() / 255, self.labels[indices])

    def batches(
        self, batch_size: int, generator: torch.Generator | None = None
    ) -> Iterator[ImageBatch]:
        """All examples once, in batches of which the last may be smaller.

        Args:
            batch_size: Examples of a batch, at least 1.
            generator: Draws the order; without it the examples come as they are stored.

        Raises:
            ValueError: The batch size is not positive.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        order = _order(len(self), generator)
        return (self.select(indices) for indices in torch.split(order, batch_size))


class Split(NamedTuple):
    """A dataset in two parts that share no example.

    Attributes:
        train: What a model learns from.
        test: What it is measured on.
    """

    train: ImageDataset
    test: ImageDataset


def split(
    dataset: ImageDataset, *, test_size: int, generator: torch.Generator | None = None
) -> Split:
    """Set examples aside for testing.

    Args:
        dataset: All examples.
        test_size: How many of them to set aside.
        generator: Draws them at random; without it the last ones are taken.
    """
    order = _order(len(dataset), generator)
    parts = torch.split(order, [len(dataset) - test_size, test_size])
    return Split(
        *(ImageDataset(dataset.images[p], dataset.labels[p], dataset.classes) for p in parts)
    )


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


def _order(count: int, generator: torch.Generator | None) -> Tensor:
    """Indices in the order that the generator draws, or as they are."""
    if generator is None:
        return torch.arange(count)
    return torch.randperm(count, generator=generator)
