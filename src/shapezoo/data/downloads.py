"""Image datasets that are downloaded and read by torchvision."""

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
    """Return MNIST: 60,000 handwritten digits for training, 10,000 by other writers for testing.

    LeCun, Cortes, Burges, "The MNIST database of handwritten digits", 1998.

    Args:
        root: The folder with torchvision's ``MNIST/raw``, which contains the four files of the
            dataset. If their ``.gz`` files are there too, they are compared with these.
        download: Whether to download and verify missing files, about 12 MB.

    Raises:
        DatasetError: The files are missing, cannot be downloaded, or are damaged.
    """
    return _read_idx("MNIST", CLASSES, root, download)


def fashion_mnist(root: str | os.PathLike[str], *, download: bool = False) -> Split[ImageDataset]:
    """Return Fashion-MNIST: pictures of clothes, 60,000 for training and 10,000 for testing.

    Xiao, Rasul, Vollgraf, "Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine Learning
    Algorithms", arXiv:1708.07747.

    Args:
        root: The folder with torchvision's ``FashionMNIST/raw``, which contains the four files
            of the dataset. If their ``.gz`` files are there too, they are compared with these.
        download: Whether to download and verify missing files, about 31 MB.

    Raises:
        DatasetError: The files are missing, cannot be downloaded, or are damaged.
    """
    return _read_idx("FashionMNIST", FASHION_MNIST_CLASSES, root, download)


def cifar10(root: str | os.PathLike[str], *, download: bool = False) -> Split[ImageDataset]:
    """Return CIFAR-10: colour photographs of ten classes, 50,000 for training, 10,000 for testing.

    Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report,
    University of Toronto, 2009.

    Args:
        root: The folder with ``cifar-10-batches-py``. Its files are pickles, which can run code
            when they are read, so their checksums are verified first.
        download: Whether to download and verify missing files, about 170 MB.

    Raises:
        DatasetError: The files are missing, cannot be downloaded, or are damaged.
    """
    from torchvision.datasets import CIFAR10  # takes two seconds to import
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
    """Return a dataset of torchvision that has the files of MNIST."""
    import torchvision.datasets  # takes two seconds to import

    class_ = getattr(torchvision.datasets, name)
    files = {f"{name}/raw/{file.removesuffix('.gz')}": md5 for file, md5 in class_.resources}
    return _read(class_, files, _is_intact_idx, _in_grey, classes, root, download)


def _read(
    class_: Any,
    files: Mapping[str, str],
    is_intact: Callable[[Path, str], bool],
    channels_first: Callable[[Tensor], Tensor],
    classes: tuple[str, ...],
    root: str | os.PathLike[str],
    download: bool,
) -> Split[ImageDataset]:
    """Return a dataset of torchvision after verifying its files.

    Args:
        class_: The class in torchvision.
        files: The MD5 checksum of each file, by its path under the root.
        is_intact: Whether a file has a checksum.
        channels_first: Converts the images of torchvision.
        classes: The names of the labels.
        root: The folder with the files.
        download: Whether to download missing files.
    """
    folder = Path(root).expanduser()
    folders = {folder / parent for file in files for parent in Path(file).parents}
    missing = sorted((path for path in folders if not path.exists()), reverse=True)

    def part(*, train: bool) -> ImageDataset:
        dataset = class_(folder, train=train, download=download)
        images = channels_first(torch.as_tensor(dataset.data))
        return ImageDataset(images, torch.as_tensor(dataset.targets), classes)

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
    except Exception as error:  # torchvision's readers raise many types
        # torchvision creates folders before it downloads; innermost first
        for path in missing:
            with contextlib.suppress(OSError):  # not empty, or still missing
                path.rmdir()
        advice = "check the network" if download else "download it (download=True, or --download)"
        raise DatasetError(
            f"{class_.__name__} cannot be read from {os.fspath(root)!r}: {error}; "
            f"delete damaged files, if any, and {advice}"
        ) from error


def _is_intact_idx(path: Path, md5: str) -> bool:
    """Whether a file of bytes in the IDX format has the size in its header.

    torchvision has checksums of the compressed files only. If the compressed file is in the same
    folder, it must have this checksum and the same content.
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
