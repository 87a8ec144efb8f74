"""A loaded checkpoint equals the saved one, or loading raises."""

import collections
import os
import pickle
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

import shapezoo.weights
from shapezoo.train import (
    Best,
    Checkpoint,
    CheckpointError,
    State,
    choose_optimizer,
    init,
    load_checkpoint,
    save_checkpoint,
)
from shapezoo.weights import save as save_weights

Fingerprint = Callable[..., str]


def holding(tree: Any) -> Checkpoint:
    """A checkpoint whose optimizer keeps this."""
    return Checkpoint(State({}, {}, {"kept": tree}, {}, 0))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to overwrite."""
    return tmp_path_factory.mktemp("checkpoints") / "checkpoint.safetensors"


@pytest.fixture
def whole(file: Path) -> bytes:
    """Write a checkpoint of a small model to the file, and return its bytes."""
    model = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    state = init(model, choose_optimizer("adam"))
    small = State(state.parameters, state.buffers, state.optimizer, {"cpu": torch.ones(3)}, 7)
    save_checkpoint(Checkpoint(small, 0.5, 3, Best(2, 0.25, small)), file, about="a note: é")
    return file.read_bytes()


DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.uint8,
    torch.bool, torch.complex64,
]  # fmt: skip


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Of any bits, NaN and infinities among them; some are views."""
    dtype = draw(st.sampled_from(DTYPES))
    shape = draw(st.lists(st.integers(0, 3), max_size=4))
    if dtype == torch.bool:
        tensor = torch.rand(shape) < 0.5
    else:
        raw = torch.randint(256, [*shape, dtype.itemsize], dtype=torch.uint8)
        tensor = raw.view(dtype).squeeze(-1)
    return tensor.permute(draw(st.permutations(range(len(shape)))))


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
keys = st.text() | st.integers() | st.booleans() | st.none() | st.tuples(st.integers(), st.text())
trees = st.recursive(
    scalars | tensors(),
    lambda parts: (
        st.lists(parts, max_size=3)
        | st.lists(parts, max_size=3).map(tuple)
        | st.dictionaries(keys, parts, max_size=3)
    ),
    max_leaves=8,
)


@given(tree=trees, about=st.text(st.characters(exclude_categories=["Cs"])))
def test_what_is_stored_comes_back(
    tree: Any, about: str, file: Path, fingerprint: Fingerprint
) -> None:
    save_checkpoint(holding(tree), file, about=about)
    checkpoint, note = load_checkpoint(file)
    assert fingerprint(checkpoint) == fingerprint(holding(tree))
    assert note == about


def test_one_tensor_in_two_places_comes_back_in_both(file: Path) -> None:
    tensor = torch.arange(6.0)
    save_checkpoint(holding([tensor, tensor, tensor[2:4], tensor[:1].expand(3)]), file)
    kept = load_checkpoint(file)[0].state.optimizer["kept"]
    assert [part.tolist() for part in kept] == [[0, 1, 2, 3, 4, 5]] * 2 + [[2, 3], [0, 0, 0]]


@given(order=st.permutations(range(4)))
def test_a_tensor_lies_in_memory_as_it_did(order: list[int], file: Path) -> None:
    """What a matrix product gives depends on it, in the last bits."""
    tensor = torch.rand(2, 3, 4, 5).permute(order)
    save_checkpoint(holding(tensor), file)
    assert load_checkpoint(file)[0].state.optimizer["kept"].stride() == tensor.stride()


class Pair(collections.namedtuple("Pair", "a b")):
    """A tuple that would come back as another type."""


@pytest.mark.parametrize(
    "value",
    [
        {1},
        b"",
        torch.float32,
        nn.Parameter(torch.ones(1)),
        Pair(1, 2),
        torch.Size([1]),
        torch.ones(1, dtype=torch.complex128),
    ],
)
def test_what_would_not_come_back_is_refused(value: object, file: Path, whole: bytes) -> None:
    with pytest.raises(ValueError, match=f"a {type(value).__name__} cannot be stored"):
        save_checkpoint(holding([value]), file)
    assert file.read_bytes() == whole


@pytest.mark.parametrize("step", [41, pytest.param(3, marks=pytest.mark.release)])
@pytest.mark.parametrize("mask", [0x01, 0x20, 0x80, 0xFF])
def test_no_changed_byte_is_accepted(mask: int, step: int, file: Path, whole: bytes) -> None:
    for place in range(mask % 3, len(whole), step):
        changed = bytearray(whole)
        changed[place] ^= mask
        file.write_bytes(changed)
        with pytest.raises(CheckpointError, match=file.name):
            load_checkpoint(file)
    file.write_bytes(whole)
    load_checkpoint(file)


def test_no_part_is_accepted(file: Path, whole: bytes) -> None:
    for length in range(0, len(whole), 5):
        file.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=file.name):
            load_checkpoint(file)
    file.write_bytes(whole + b"\0")
    with pytest.raises(CheckpointError, match=file.name):
        load_checkpoint(file)


def test_files_that_are_not_checkpoints_raise(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no checkpoint" * 99)
    (tmp_path / "zeros").write_bytes(bytes(99))
    save_file({"x": torch.ones(2)}, tmp_path / "weights")
    save_file({"x": torch.ones(2)}, tmp_path / "others", {"format": "pt"})
    for name in ("folder", "text", "zeros", "weights", "others", "missing", "text/below"):
        with pytest.raises(CheckpointError, match=name):
            load_checkpoint(tmp_path / name)


@pytest.mark.parametrize("name", ["weights.safetensors", "new.pth", "old.pth"])
def test_a_file_of_weights_is_named_with_what_reads_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    model = nn.Linear(2, 1)
    save_weights(model, "weights.safetensors")
    torch.save(model.state_dict(), "new.pth")
    torch.save(model.state_dict(), "old.pth", _use_new_zipfile_serialization=False)
    what = "a safetensors file with 2 tensors" if name.endswith("s") else "written by torch.save"
    with pytest.raises(CheckpointError, match=f"^'{name}' (is|was) {what}") as error:
        load_checkpoint(name)
    other = nn.Linear(2, 1)
    shown = re.search(r"with (shapezoo\.weights\.load\(.*?\))", str(error.value))
    assert shown
    exec(shown[1], {"shapezoo": shapezoo, "model": other})
    assert torch.equal(other.weight, model.weight)


def test_other_archives_and_pickles_are_not_taken_for_those_of_torch(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive", "w") as archive:
        archive.writestr("text", "text")
    (tmp_path / "pickle").write_bytes(pickle.dumps({"x": 1}))
    save_file({}, tmp_path / "nothing")
    for name in ("archive", "pickle", "nothing"):
        with pytest.raises(CheckpointError, match=f"{name}' is .*not a checkpoint"):
            load_checkpoint(tmp_path / name)


@pytest.mark.skipif(sys.platform == "win32", reason="there are no named pipes")
def test_a_folder_or_a_pipe_is_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, reason in ((tmp_path, "Is a directory"), (tmp_path / "pipe", "Is a pipe")):
        with pytest.raises(CheckpointError, match=f"{path.name}' cannot be read: {reason}"):
            load_checkpoint(path)


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (holding(None).state, r"got State; pass Checkpoint\(state\)"),
        (nn.Linear(2, 1), r"got Linear; shapezoo\.weights\.save\(model, path\)"),
        ("checkpoint.safetensors", "got str; pass the checkpoint first, then the path"),
    ],
)
def test_only_checkpoints_are_saved(other: Any, message: str, file: Path, whole: bytes) -> None:
    with pytest.raises(TypeError, match=f"checkpoint: expected a Checkpoint, {message}"):
        save_checkpoint(other, file)
    assert file.read_bytes() == whole


FILLS_THE_DISK = """
import resource, sys, torch
from shapezoo.train import Checkpoint, State, save_checkpoint
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
try:
    save_checkpoint(Checkpoint(State({"x": torch.ones(9999)}, {}, {}, {}, 0)), sys.argv[1])
except OSError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there are no limits on the size of a file")
def test_on_a_full_disk_the_old_checkpoint_stays(file: Path, whole: bytes) -> None:
    command = [sys.executable, "-c", FILLS_THE_DISK, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "File too large" in done.stdout
    assert ".tmp" not in done.stdout
    assert file.name in done.stdout
    assert file.read_bytes() == whole
    assert list(file.parent.iterdir()) == [file]


def test_a_file_has_its_name_only_when_it_is_whole(
    file: Path, whole: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(tensors: object, path: Path, metadata: object) -> None:
        assert file.read_bytes() == whole
        assert path.parent == file.parent  # a name can only be moved within a file system
        path.write_bytes(whole[:50])
        raise KeyboardInterrupt

    monkeypatch.setattr("shapezoo.weights.weight_files.save_file", fails)
    with pytest.raises(KeyboardInterrupt):
        save_checkpoint(holding(None), file)
    assert file.read_bytes() == whole
    assert list(file.parent.iterdir()) == [file]


def test_a_checkpoint_outlives_its_file(file: Path, whole: bytes, fingerprint: Fingerprint) -> None:
    checkpoint, note = load_checkpoint(file)
    before = fingerprint(checkpoint)
    save_checkpoint(holding(torch.zeros(99)), file)
    file.unlink()
    assert fingerprint(checkpoint) == before
    assert note == "a note: é"


def test_a_checkpoint_goes_on_where_it_is_wanted(file: Path, whole: bytes) -> None:
    checkpoint, _ = load_checkpoint(file, device=torch.device("meta"))
    assert checkpoint.best is not None
    for state in (checkpoint.state, checkpoint.best.state):
        assert state.device == torch.device("meta")
        assert all(buffer.is_meta for buffer in state.buffers.values())
        assert state.random["cpu"].device == torch.device("cpu")
