"""MNIST through torchvision's own loader, on files of its format with other digits in them."""

import functools
import gzip
import hashlib
import struct
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torchvision.datasets import MNIST

from shapezoo.data import DatasetError, ImageBatch, mnist

SIZES = {"train": 12, "t10k": 5}


def contents() -> dict[str, Tensor]:
    """Images and labels in torchvision's four files."""
    generator = torch.Generator().manual_seed(0)

    def draw(high: int, *shape: int) -> Tensor:
        return torch.randint(high, shape, generator=generator, dtype=torch.uint8)

    images = {f"{k}-images-idx3-ubyte": draw(256, n, 28, 28) for k, n in SIZES.items()}
    return images | {f"{k}-labels-idx1-ubyte": draw(10, n) for k, n in SIZES.items()}


def idx(tensor: Tensor) -> bytes:
    """The IDX format: two zeros, the type 8 (bytes), the number of axes, their sizes, the data."""
    header = struct.pack(f">HBB{tensor.dim()}I", 0, 8, tensor.dim(), *tensor.shape)
    return header + tensor.numpy().tobytes()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    raw = tmp_path / "data/MNIST/raw"
    raw.mkdir(parents=True)
    for name, tensor in contents().items():
        (raw / name).write_bytes(idx(tensor))
    return tmp_path / "data"


def require_contents(root: Path, *, download: bool) -> None:
    train, test = mnist(root, download=download)
    expected = contents()
    assert (len(train), len(test)) == (12, 5)
    assert torch.equal(train.images[:, 0], expected["train-images-idx3-ubyte"])
    assert torch.equal(test.labels, expected["t10k-labels-idx1-ubyte"].long())
    assert test.classes == tuple("0123456789")
    assert isinstance(next(train.batches(4)), ImageBatch)


def test_the_files_are_read(root: Path) -> None:
    require_contents(root, download=False)


def test_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"Dataset not found.*; delete what is damaged"):
        mnist(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", contents())
@pytest.mark.parametrize("damage", [b"", b"\0\0\x08", b"rubbish" * 9])
def test_damaged_files_are_told(root: Path, name: str, damage: bytes) -> None:
    (root / "MNIST/raw" / name).write_bytes(damage)
    with pytest.raises(DatasetError, match="no MNIST that can be read under"):
        mnist(root)


@pytest.mark.parametrize("name", contents())
def test_truncated_files_are_told(root: Path, name: str) -> None:
    file = root / "MNIST/raw" / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DatasetError, match="no MNIST that can be read under"):
        mnist(root)


@pytest.mark.parametrize(
    ("name", "tensor"),
    [
        ("train-images-idx3-ubyte", torch.zeros(12, 14, 14, dtype=torch.uint8)),
        ("train-images-idx3-ubyte", torch.zeros(11, 28, 28, dtype=torch.uint8)),
        ("t10k-labels-idx1-ubyte", torch.full((5,), 200, dtype=torch.uint8)),
    ],
    ids=["pixels", "count", "labels"],
)
def test_files_that_are_not_those_of_mnist_are_told(root: Path, name: str, tensor: Tensor) -> None:
    (root / "MNIST/raw" / name).write_bytes(idx(tensor))
    with pytest.raises(DatasetError, match="no MNIST that can be read under"):
        mnist(root)


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A server on this machine that torchvision takes for its mirror."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    resources = []
    for name, tensor in contents().items():
        packed = gzip.compress(idx(tensor), mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", resources)
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_files_are_downloaded_when_asked(mirror: Path, tmp_path: Path) -> None:
    require_contents(tmp_path / "data", download=True)
    require_contents(tmp_path / "data", download=False)


def test_a_download_that_is_not_what_it_should_be_is_refused(mirror: Path, tmp_path: Path) -> None:
    (mirror / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"others"))
    with pytest.raises(DatasetError, match="corrupted"):
        mnist(tmp_path / "data", download=True)
