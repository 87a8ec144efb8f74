"""Datasets that torchvision downloads and reads."""

import contextlib
import gzip
import os
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

import torch
from jaxtyping import UInt8
from torch import Tensor

from shapezoo._files import require_regular
from shapezoo.contracts import checked
from shapezoo.data.handwriting import CLASSES
from shapezoo.data.images import ImageDataset
from shapezoo.data.memory import Split
from shapezoo.data.packaged import DatasetError

FASHION_MNIST_CLASSES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
"""The classes of `fashion_mnist`, in the order of the labels."""

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""The classes of `cifar10`, in the order of the labels."""


def mnist(root: str | os.PathLike[str], *, download: bool = False) -> Split[ImageDataset]:
    """60,000 handwritten digits to learn from, and 10,000 by other writers to test on.

    LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.

    Args:
        root: The folder that holds, or shall hold, torchvision's ``MNIST/raw`` with the four
            files of the dataset. Where their ``.gz`` files are there too, they are compared with
            these.
        download: Whether to download what is missing, about 12 MB, and to verify it.

    Raises:
        DatasetError: The files are missing, cannot be downloaded, or are damaged.
    """
    return _read_idx("MNIST", CLASSES, root, download)


def fashion_mnist(root: str | os.PathLike[str], *, download: bool = False) -> Split[ImageDataset]:
    """60,000 pictures of clothes in ten classes to learn from, and 10,000 to test on.

    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms", arXiv:1708.07747.

    Args:
        root: The folder that holds, or shall hold, torchvision's ``FashionMNIST/raw`` with the
            four files of the dataset. Where their ``.gz`` files are there too, they are compared
            with these.
        download: Whether to download what is missing, about 31 MB, and to verify it.

    Raises:
        DatasetError: The files are missing, cannot be downloaded, or are damaged.
    """
    return _read_idx("FashionMNIST", FASHION_MNIST_CLASSES, root, download)


def cifar10(root: str | os.PathLike[str], *, download: bool = False) -> Split[ImageDataset]:
    """50,000 colour photographs of ten kinds of things to learn from, and 10,000 to test on.

    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report,
    University of Toronto, 2009.

    Args:
        root: The folder that holds, or shall hold, the folder ``cifar-10-batches-py`` of the
            dataset. Its files can run code when they are read, so they are verified first.
        download: Whether to download what is missing, about 170 MB, and to verify it.

    Raises:
        DatasetError: The files are missing, cannot be downloaded, or are damaged.
    """
    from torchvision.datasets import CIFAR10  # takes two seconds
    from torchvision.datasets.utils import check_integrity

    meta = (CIFAR10.meta["filename"], CIFAR10.meta["md5"])
    files = {
        f"{CIFAR10.base_folder}/{file}": md5
        for file, md5 in [*CIFAR10.train_list, *CIFAR10.test_list, meta]
    }
    return _read(CIFAR10, files, check_integrity, _in_colour, CIFAR10_CLASSES, root, download)


def _read_idx(
    name: str, classes: tuple[str, ...], root: str | os.PathLike[str], download: bool
) -> Split[ImageDataset]:
    """A dataset of torchvision in the four files of MNIST."""
    import torchvision.datasets  # takes two seconds

    kind = getattr(torchvision.datasets, name)
    files = {f"{name}/raw/{file.removesuffix('.gz')}": md5 for file, md5 in kind.resources}
    return _read(kind, files, _is_whole_idx, _in_grey, classes, root, download)


def _read(
    kind: Any,
    files: Mapping[str, str],
    is_intact: Callable[[Path, str], bool],
    channels_first: Callable[[Tensor], Tensor],
    classes: tuple[str, ...],
    root: str | os.PathLike[str],
    download: bool,
) -> Split[ImageDataset]:
    """A dataset of torchvision.

    Args:
        kind: Its class.
        files: Where its files are under the root, each with an MD5 checksum.
        is_intact: Whether a file is, by its checksum.
        channels_first: Arranges the images of torchvision.
        classes: The names of the labels.
        root: The folder that holds the files.
        download: Whether to download what is missing.
    """
    folder = Path(root).expanduser()
    folders = {folder / parent for file in files for parent in Path(file).parents}
    missing = sorted((path for path in folders if not path.exists()), reverse=True)

    def part(*, train: bool) -> ImageDataset:
        read = kind(folder, train=train, download=download)
        images = channels_first(torch.as_tensor(read.data))
        return ImageDataset(images, torch.as_tensor(read.targets), classes)

    try:
        for file, md5 in files.items():
            path = folder / file
            if path.exists():
                require_regular(path)
                if not is_intact(path, md5):
                    raise ValueError(f"{file} is damaged")
            elif not download:
                raise ValueError(f"{file} is missing")
        return Split(part(train=True), part(train=False))
    except Exception as error:  # torchvision's readers raise many kinds
        for path in missing:  # the inner ones first
            with contextlib.suppress(OSError):  # it is not empty, or still missing
                path.rmdir()
        advice = "check the network" if download else "download it (download=True, or --download)"
        raise DatasetError(
            f"no {kind.__name__} that can be read under {os.fspath(root)!r}: {error}; "
            f"delete what is damaged, if anything, and {advice}"
        ) from error


def _is_whole_idx(path: Path, md5: str) -> bool:
    """Whether a file of bytes in the IDX format has the size that it states.

    Where the compressed file that it came from stands beside it, that must have this checksum
    and the same content.
    """
    from torchvision.datasets.utils import check_md5

    content = path.read_bytes()
    packed = path.with_name(f"{path.name}.gz")
    if packed.exists():
        return check_md5(packed, md5) and gzip.decompress(packed.read_bytes()) == content
    axes = 3 if "idx3" in path.name else 1
    start = 4 + 4 * axes
    sizes = [int.from_bytes(content[i : i + 4], "big") for i in range(4, start, 4)]
    return content[:4] == bytes([0, 0, 8, axes]) and len(content) == start + prod(sizes)


@checked
def _in_grey(images: UInt8[Tensor, "batch 28 28"]) -> UInt8[Tensor, "batch 1 28 28"]:
    return images[:, None]


@checked
def _in_colour(images: UInt8[Tensor, "batch 32 32 3"]) -> UInt8[Tensor, "batch 3 32 32"]:
    return images.movedim(-1, 1).contiguous()
