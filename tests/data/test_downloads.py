"""Torchvision's own loaders, on files of the real formats with other images in them."""

import contextlib
import functools
import gzip
import hashlib
import os
import pickle
import re
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.damage import mutated
from torch import Tensor
from torchvision.datasets import CIFAR10, MNIST, FashionMNIST

from shapezoo.data import (
    CIFAR10_CLASSES,
    FASHION_MNIST_CLASSES,
    DatasetError,
    ImageBatch,
    ImageDataset,
    Split,
    cifar10,
    fashion_mnist,
    mnist,
)

IDX_FILES = [
    f"{part}-{content}-ubyte"
    for part in ("train", "t10k")
    for content in ("images-idx3", "labels-idx1")
]
Drawn = dict[str, Tensor]
Photographs = dict[str, tuple[Tensor, Tensor]]


def require_drawn(data: Split[ImageDataset], drawn: Drawn) -> None:
    assert (len(data.train), len(data.test)) == (12, 5)
    assert torch.equal(data.train.images[:, 0], drawn["train-images-idx3-ubyte"])
    assert torch.equal(data.test.labels, drawn["t10k-labels-idx1-ubyte"].long())
    assert isinstance(next(data.train.batches(4)), ImageBatch)


def require_photographs(data: Split[ImageDataset], photographs: Photographs) -> None:
    *_, (images, labels) = photographs.values()
    assert torch.equal(data.test.images, images)
    assert torch.equal(data.test.labels, labels)
    train = torch.cat([images for images, _ in photographs.values()][:-1])
    assert torch.equal(data.train.images, train)
    assert data.train.images.is_contiguous()
    assert data.test.classes == CIFAR10_CLASSES


def test_the_files_are_read(root: Path, drawn: Drawn) -> None:
    for read in (mnist, fashion_mnist):
        require_drawn(read(root), drawn)
    assert mnist(root).test.classes == tuple("0123456789")
    assert fashion_mnist(str(root)).test.classes == FASHION_MNIST_CLASSES
    assert tuple(FashionMNIST.classes) == FASHION_MNIST_CLASSES


def test_photographs_have_their_channels_first(batches: Path, photographs: Photographs) -> None:
    require_photographs(cifar10(batches.parent), photographs)


def test_the_home_folder_may_be_abbreviated(
    root: Path, drawn: Drawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(root.parent))
    require_drawn(mnist("~/data"), drawn)
    require_drawn(mnist(Path("~/data")), drawn)


@pytest.mark.parametrize(
    ("read", "file"),
    [
        (mnist, "MNIST/raw/train-images-idx3-ubyte"),
        (fashion_mnist, "FashionMNIST/raw/train-images-idx3-ubyte"),
        (cifar10, "cifar-10-batches-py/data_batch_1"),
    ],
)
def test_a_missing_folder_raises_and_is_not_created(
    read: Callable[[Path], object], file: str, tmp_path: Path
) -> None:
    with pytest.raises(DatasetError, match=f"{file} is missing; .* and download it"):
        read(tmp_path / "nowhere")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", IDX_FILES)
@pytest.mark.parametrize(
    "damage",
    [b"", b"\0\0\x08", b"rubbish" * 9, b"\0\0\x0a\x01\0\0\0\0", b"\0\0\x0d\x01" + b"\0" * 8],
)
def test_damaged_files_raise(root: Path, name: str, damage: bytes) -> None:
    (root / "MNIST/raw" / name).write_bytes(damage)
    with pytest.raises(DatasetError, match=f"MNIST cannot .*: MNIST/raw/{name} is damaged; "):
        mnist(root)


@pytest.mark.parametrize("name", IDX_FILES)
@pytest.mark.parametrize("download", [False, True])
def test_truncated_files_raise(root: Path, name: str, download: bool) -> None:
    file = root / "FashionMNIST/raw" / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(DatasetError, match=f"{name} is damaged; delete damaged files"):
        fashion_mnist(root, download=download)


@pytest.mark.parametrize("name", IDX_FILES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.data())
def test_no_damage_raises_anything_else(root: Path, name: str, data: st.DataObject) -> None:
    file = root / "MNIST/raw" / name
    whole = file.read_bytes()
    try:
        file.write_bytes(data.draw(mutated(st.just(whole)) | st.binary(max_size=40)))
        with contextlib.suppress(DatasetError):
            mnist(root)
    finally:
        file.write_bytes(whole)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no named pipes")
def test_a_pipe_is_refused_instead_of_waited_for(root: Path) -> None:
    file = root / "MNIST/raw" / IDX_FILES[0]
    file.unlink()
    os.mkfifo(file)
    with pytest.raises(DatasetError, match="Is a pipe or a device"):
        mnist(root)


@pytest.mark.parametrize("name", IDX_FILES)
def test_a_folder_in_place_of_a_file_raises(root: Path, name: str) -> None:
    file = root / "MNIST/raw" / name
    file.unlink()
    file.mkdir()
    with pytest.raises(DatasetError, match=name):
        mnist(root)


@pytest.mark.parametrize(
    ("name", "tensor", "message"),
    [
        ("train-images-idx3-ubyte", torch.zeros(12, 14, 14), "axis 1 .*expected 28, got 14"),
        ("train-images-idx3-ubyte", torch.zeros(11, 28, 28), "expected batch = 11, got 12"),
        ("t10k-labels-idx1-ubyte", torch.full((5,), 200.0), "must be from 0 to 9, got 200"),
        ("t10k-images-idx3-ubyte", torch.zeros(0, 28, 28), ""),
    ],
    ids=["pixels", "count", "labels", "none"],
)
def test_files_of_another_dataset_than_mnist_raise(
    root: Path, idx: Callable[[Tensor], bytes], name: str, tensor: Tensor, message: str
) -> None:
    (root / "MNIST/raw" / name).write_bytes(idx(tensor.byte()))
    with pytest.raises(DatasetError, match=f"(?s)MNIST cannot be read from.*{message}"):
        mnist(root)


@pytest.mark.parametrize("name", IDX_FILES)
def test_files_are_compared_with_those_they_were_unpacked_from(
    root: Path, mirror: Path, drawn: Drawn, name: str
) -> None:
    raw = root / "MNIST/raw"
    for packed in mirror.glob("*.gz"):
        shutil.copy(packed, raw)
    require_drawn(mnist(root), drawn)
    content = bytearray((raw / name).read_bytes())
    content[-1] ^= 1
    (raw / name).write_bytes(content)
    with pytest.raises(DatasetError, match=f"{name} is damaged"):
        mnist(root)
    (raw / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
    with pytest.raises(DatasetError, match=f"{name} is damaged"):
        mnist(root)


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "missing", "folder"])
def test_damaged_photographs_raise(batches: Path, name: str, damage: str) -> None:
    file = batches / name
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.unlink()
    if damage == "folder":
        file.mkdir()
    elif damage != "missing":
        file.write_bytes(content if damage == "flipped" else content[:-1])
    fault = "missing" if damage == "missing" else "damaged"
    told = (
        f"Is a directory.*{name}" if damage == "folder" else f"{batches.name}/{name} is {fault}; "
    )
    with pytest.raises(DatasetError, match=f"CIFAR10 cannot .*: .*{told}"):
        cifar10(batches.parent)


class Trap:
    def __reduce__(self) -> tuple[Callable[[str], object], tuple[str]]:
        return pytest.fail, ("a file was unpickled before it was verified",)


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
def test_nothing_is_unpickled_before_it_is_verified(batches: Path, name: str) -> None:
    (batches / name).write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DatasetError, match=f"{name} is damaged"):
        cifar10(batches.parent)


@pytest.mark.parametrize(
    "entry",
    [
        {"data": torch.zeros(4, 3071).byte().numpy(), "labels": [0] * 4},
        {"data": torch.zeros(4, 768).byte().numpy(), "labels": [0] * 4},
        {"data": torch.zeros(4, 3072).byte().numpy(), "labels": [0] * 3},
        {"data": torch.zeros(4, 3072).byte().numpy(), "labels": [10] * 4},
        {"data": torch.zeros(4, 3072).numpy(), "labels": [0] * 4},
        {"labels": [0] * 4},
        [],
    ],
    ids=["odd", "pixels", "count", "labels", "kind", "none", "no table"],
)
def test_batches_of_another_dataset_than_cifar_raise(
    batches: Path, entry: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = pickle.dumps(entry)
    (batches / "test_batch").write_bytes(content)
    checksum = hashlib.md5(content).hexdigest()
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", checksum]])
    with pytest.raises(DatasetError, match="CIFAR10 cannot be read from"):
        cifar10(batches.parent)


@pytest.fixture
def mirror(
    tmp_path: Path,
    drawn: Drawn,
    idx: Callable[[Tensor], bytes],
    batches: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Path]:
    """A server on this machine that torchvision takes for those of the datasets."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    resources = []
    for name, tensor in drawn.items():
        packed = gzip.compress(idx(tensor), mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    archive = folder / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(batches, batches.name)

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None: ...  # noqa: A002

    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}/"
    for kind in (MNIST, FashionMNIST):
        monkeypatch.setattr(kind, "mirrors", [address])
        monkeypatch.setattr(kind, "resources", resources)
    monkeypatch.setattr(CIFAR10, "url", address + CIFAR10.filename)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    yield folder
    server.shutdown()
    thread.join()
    server.server_close()


unpacking = pytest.mark.filterwarnings(
    "ignore:Python 3.14 will:DeprecationWarning"  # torchvision's, on Python 3.12 and 3.13
)


@unpacking
def test_the_files_are_downloaded_when_asked(
    mirror: Path, tmp_path: Path, drawn: Drawn, photographs: Photographs
) -> None:
    new = tmp_path / "new"
    for download in (True, True, False):
        for read in (mnist, fashion_mnist):
            require_drawn(read(new, download=download), drawn)
        require_photographs(cifar10(new, download=download), photographs)


@unpacking
def test_what_was_deleted_is_restored(
    mirror: Path, tmp_path: Path, drawn: Drawn, photographs: Photographs
) -> None:
    mnist(tmp_path, download=True)
    cifar10(tmp_path, download=True)
    (tmp_path / "MNIST/raw/t10k-labels-idx1-ubyte").unlink()
    (tmp_path / "cifar-10-batches-py/data_batch_3").unlink()
    require_drawn(mnist(tmp_path, download=True), drawn)
    require_photographs(cifar10(tmp_path, download=True), photographs)


def test_a_download_that_is_not_what_it_should_be_is_refused(mirror: Path, tmp_path: Path) -> None:
    (mirror / "t10k-labels-idx1-ubyte.gz").write_bytes(gzip.compress(b"others"))
    (mirror / CIFAR10.filename).write_bytes(b"others")
    for read in (mnist, fashion_mnist, cifar10):
        with pytest.raises(DatasetError, match="corrupted"):
            read(tmp_path / "new", download=True)


def test_no_network_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "http://127.0.0.1:9/"  # the port of the discard service, which nothing listens on
    for kind in (MNIST, FashionMNIST):
        monkeypatch.setattr(kind, "mirrors", [nowhere])
    monkeypatch.setattr(CIFAR10, "url", nowhere + CIFAR10.filename)
    for read, name in ((mnist, "MNIST"), (fashion_mnist, "FashionMNIST"), (cifar10, "CIFAR10")):
        message = (
            f"(?s){name} cannot be read from .*{re.escape(repr(str(tmp_path)))}.*check the network"
        )
        with pytest.raises(DatasetError, match=message):
            read(tmp_path, download=True)
        assert list(tmp_path.iterdir()) == []
