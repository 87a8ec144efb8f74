"""Datasets that torchvision downloads, verifies and reads."""

import os

from shapezoo.contracts import ShapeError
from shapezoo.data.handwriting import CLASSES
from shapezoo.data.images import ImageDataset
from shapezoo.data.memory import Split


class DatasetError(ValueError):
    """A dataset is not there, or its files cannot be read."""


def mnist(root: str | os.PathLike[str], *, download: bool = False) -> Split[ImageDataset]:
    """60,000 handwritten digits to learn from, and 10,000 by other writers to test on.

    LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.

    Args:
        root: The folder that holds, or shall hold, torchvision's ``MNIST/raw`` with the four
            files of the dataset.
        download: Whether to download what is missing, about 12 MB, and to verify it.

    Raises:
        DatasetError: The files are missing, cannot be downloaded, or are damaged.
    """
    import torchvision.datasets  # takes two seconds

    def part(*, train: bool) -> ImageDataset:
        read = torchvision.datasets.MNIST(root, train=train, download=download)
        if read.data.shape[1:] != (28, 28):
            raise ValueError(f"the images have {tuple(read.data.shape[1:])} pixels, not (28, 28)")
        return ImageDataset(read.data[:, None], read.targets, CLASSES)

    try:
        return Split(part(train=True), part(train=False))
    except (RuntimeError, OSError, ValueError, AssertionError, ShapeError) as error:
        advice = "" if download else "; delete what is damaged, if anything, and use download=True"
        raise DatasetError(
            f"no MNIST that can be read under {os.fspath(root)!r}: {error}{advice}"
        ) from error
