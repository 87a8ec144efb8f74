"""Small datasets in the files of MNIST, FashionMNIST and CIFAR10."""

import hashlib
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.datasets import CIFAR10

SIZES = {"train": 12, "t10k": 5}


@pytest.fixture
def drawn() -> dict[str, Tensor]:
    """Images and labels by the names of the four files of MNIST."""
    generator = torch.Generator().manual_seed(0)

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=generator, dtype=torch.uint8)

    images = {f"{k}-images-idx3-ubyte": draw(256, n, 28, 28) for k, n in SIZES.items()}
    return images | {f"{k}-labels-idx1-ubyte": draw(10, n) for k, n in SIZES.items()}


@pytest.fixture
def idx() -> Callable[[Tensor], bytes]:
    """Return a function that writes the IDX format."""

    def write(tensor: Tensor) -> bytes:
        # two zeros, the type 8 (bytes), the number of axes, their sizes, the data
        header = struct.pack(f">HBB{tensor.dim()}I", 0, 8, tensor.dim(), *tensor.shape)
        return header + tensor.numpy().tobytes()

    return write


@pytest.fixture
def root(tmp_path: Path, drawn: dict[str, Tensor], idx: Callable[[Tensor], bytes]) -> Path:
    """A folder with the files of MNIST and FashionMNIST."""
    for name in ("MNIST", "FashionMNIST"):
        raw = tmp_path / f"data/{name}/raw"
        raw.mkdir(parents=True)
        for file, tensor in drawn.items():
            (raw / file).write_bytes(idx(tensor))
    return tmp_path / "data"


@pytest.fixture
def photographs() -> dict[str, tuple[Tensor, Tensor]]:
    """Images and labels by the names of the six files of CIFAR10."""
    generator = torch.Generator().manual_seed(1)
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    return {
        name: (
            torch.randint(256, (4, 3, 32, 32), generator=generator, dtype=torch.uint8),
            torch.randint(10, (4,), generator=generator),
        )
        for name in names
    }


@pytest.fixture
def batches(
    root: Path, photographs: dict[str, tuple[Tensor, Tensor]], monkeypatch: pytest.MonkeyPatch
) -> Path:
    """The folder with the files of CIFAR10, for which torchvision takes them."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir()
    for name, (images, labels) in photographs.items():
        entry = {"data": images.flatten(1).numpy(), "labels": labels.tolist()}
        (folder / name).write_bytes(pickle.dumps(entry))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))

    md5 = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    meta = {**CIFAR10.meta, "md5": md5.pop("batches.meta")}
    test = ["test_batch", md5.pop("test_batch")]
    monkeypatch.setattr(CIFAR10, "meta", meta)
    monkeypatch.setattr(CIFAR10, "train_list", [[name, md5[name]] for name in sorted(md5)])
    monkeypatch.setattr(CIFAR10, "test_list", [test])
    return folder
