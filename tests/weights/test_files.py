import io
import json
import os
import pickle
import re
import resource
import stat
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from tests.damage import mutated
from torch import nn

from shapezoo import create_model, weights
from shapezoo.models import LeNet, gru, lenet
from shapezoo.weights import WeightsError


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = self.first
        self.register_buffer("mean", torch.arange(6.0).reshape(2, 3).T)


def test_all_that_is_saved_comes_back(tmp_path: Path) -> None:
    model, twin = Tied(), Tied()
    weights.save(model, tmp_path / "w.safetensors")
    weights.load(twin, str(tmp_path / "w.safetensors"))
    for name, tensor in model.state_dict().items():
        assert torch.equal(twin.state_dict()[name], tensor)
    assert twin.first is twin.second


def test_dtype_and_device_of_the_model_stay(tmp_path: Path) -> None:
    weights.save(lenet(), tmp_path / "w.safetensors")
    model = lenet().double()
    weights.load(model, tmp_path / "w.safetensors")
    assert model.classifier.weight.dtype is torch.float64


def test_a_file_of_another_model_is_refused_with_both_sides(tmp_path: Path) -> None:
    weights.save(gru(), tmp_path / "gru.safetensors")
    with pytest.raises(WeightsError) as error:
        weights.load(lenet(), tmp_path / "gru.safetensors")
    assert "gru.safetensors' does not fit LeNet:" in str(error.value)
    assert "classifier.bias: in the model, not in the file" in str(error.value)
    assert "rnn.bias_hh_l0: in the file, not in the model" in str(error.value)


def test_a_misshapen_key_is_refused_and_nothing_is_taken(tmp_path: Path) -> None:
    weights.save(lenet(num_classes=5), tmp_path / "w.safetensors")
    model = lenet()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(WeightsError, match=r"classifier\.bias: \(10,\) in the model, \(5,\) in"):
        weights.load(model, tmp_path / "w.safetensors")
    for name, tensor in model.state_dict().items():
        assert torch.equal(before[name], tensor)


def test_many_differences_are_cut(tmp_path: Path) -> None:
    weights.save(nn.Sequential(*(nn.Linear(1, 1) for _ in range(20))), tmp_path / "w.safetensors")
    with pytest.raises(WeightsError) as error:
        weights.load(nn.Linear(1, 1), tmp_path / "w.safetensors")
    lines = str(error.value).splitlines()
    assert sum("in the model, not in the file" in line for line in lines) == 2
    assert lines[-1].endswith("and 35 more in the file, not in the model")
    assert len(lines) == 9


def test_missing_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights file at"):
        weights.load(lenet(), tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("not a model")
    with pytest.raises(WeightsError, match=r"not a weights file.* starts with b'not a mod'"):
        weights.load(lenet(), tmp_path / "text.safetensors")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    weights.save(lenet(), file)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="is damaged, or not a safetensors file: "):
        weights.load(lenet(), file)


def test_a_failed_save_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "w.safetensors"
    weights.save(lenet(), file)
    before = file.read_bytes()

    def fail_half_way(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("shapezoo.weights.weight_files.save_file", fail_half_way)
    with pytest.raises(OSError, match="no space left"):
        weights.save(lenet(), file)
    assert file.read_bytes() == before
    assert list(tmp_path.iterdir()) == [file]


def test_a_saved_file_can_be_read_by_those_who_may_read_its_neighbours(tmp_path: Path) -> None:
    weights.save(lenet(), tmp_path / "w.safetensors")
    (tmp_path / "plain").touch()
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_model_without_values_is_refused(tmp_path: Path) -> None:
    weights.save(lenet(), tmp_path / "w.safetensors")
    with torch.device("meta"):
        model = lenet()
    with pytest.raises(WeightsError, match="LeNet is on the meta device"):
        weights.load(model, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="LeNet is on the meta device"):
        weights.save(model, tmp_path / "meta.safetensors")


def test_floats_are_not_taken_for_whole_numbers(tmp_path: Path) -> None:
    norm = nn.BatchNorm1d(3)
    weights.save(norm, tmp_path / "w.safetensors")
    other = nn.BatchNorm1d(3)
    other.num_batches_tracked = torch.tensor(0.5)
    with pytest.raises(WeightsError, match=r"float32 in the model, torch\.int64 in the file"):
        weights.load(other, tmp_path / "w.safetensors")


def test_a_full_disk_is_an_os_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(tensors: object, path: Path, metadata: object) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("shapezoo.weights.weight_files.save_file", fail)
    with pytest.raises(OSError, match="cannot be written: No space left"):
        weights.save(lenet(), tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_link_into_a_cache_leaves_the_cache_alone(tmp_path: Path) -> None:
    blob, link = tmp_path / "blob", tmp_path / "model.safetensors"
    weights.save(nn.Linear(1, 1), blob)
    before = blob.read_bytes()
    link.symlink_to(blob)
    weights.save(lenet(), link)
    assert blob.read_bytes() == before
    weights.load(lenet(), link)


def test_arguments_of_the_wrong_type_are_named(tmp_path: Path) -> None:
    model, path = lenet(), tmp_path / "w"
    state = model.state_dict()
    load: Any = weights.load
    save: Any = weights.save
    wrong: list[tuple[Callable[[], None], str]] = [
        (lambda: load("w.pth", model), r"^load: the model comes first.*load\(model, 'w"),
        (lambda: save(path, model), rf"the model comes first.*save\(model, '{path}'\)$"),
        (lambda: load(model, state), r"^path .* 6 tensors; use model\.load_state_dict"),
        (lambda: load(state, path), r"^model must be a torch\.nn\.Module, got Ordered.*6"),
        (lambda: save(state, path), r"^model .*; for a state dict use safetensors\.torch"),
        (lambda: load(model, b"w"), r"^path must be a string or a path, got b'w'$"),
        (lambda: save(model, 3), r"^path must be a string or a path, got 3$"),
        (lambda: load(LeNet, path), r"^model must be a torch\.nn\.Module, got <class"),
    ]
    for call, message in wrong:
        with pytest.raises(TypeError, match=message):
            call()
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_reported_with_the_folder_that_was_searched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    where = re.escape(f" in the working directory {str(tmp_path)!r}")
    with pytest.raises(WeightsError, match=f"^no weights file at 'w'{where}$"):
        weights.load(lenet(), "w")
    with pytest.raises(WeightsError, match=r"^no weights file at '/nowhere/w'$"):
        weights.load(lenet(), "/nowhere/w")


class Subclass(torch.Tensor):
    """A tensor that may mean something else than its values."""


@pytest.mark.filterwarnings(
    "ignore:Sparse CSR", r"ignore:torch\.quantize_per", "ignore:ComplexHalf"
)
def test_tensors_that_the_format_does_not_have_are_refused(tmp_path: Path) -> None:
    ones = torch.ones(2, 2)
    for tensor, message in (
        (ones.to_sparse(), r"layout is torch\.sparse_coo; make it dense first with to_dense\(\)"),
        (ones.to_sparse_csr(), r"layout is torch\.sparse_csr"),
        (torch.quantize_per_tensor(ones, 0.1, 0, torch.qint8), r"quantized; dequantize\(\) it"),
        (ones.to(torch.complex128), r"has no torch\.complex128; convert it to torch\.complex64"),
        (ones.to(torch.complex32), r"has no torch\.complex32"),
        (ones.as_subclass(Subclass), "it is a Subclass, and a file would keep its plain values"),
    ):
        model = nn.ReLU()
        model.register_buffer("odd", tensor)
        with pytest.raises(WeightsError, match=f"ReLU: odd cannot be stored: .*{message}"):
            weights.save(model, tmp_path / "w")
    assert list(tmp_path.iterdir()) == []


NUMBERS = (
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.bool),
    *(torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz, torch.float8_e5m2fnuz),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
)


@pytest.mark.parametrize("dtype", NUMBERS, ids=str)
def test_other_tensors_come_back_bit_for_bit(dtype: torch.dtype, tmp_path: Path) -> None:
    model, twin = nn.ReLU(), nn.ReLU()
    model.register_buffer("values", torch.tensor([[0, 1], [1, 1]]).to(dtype))
    twin.register_buffer("values", torch.zeros(2, 2).to(dtype))
    weights.save(model, tmp_path / "w")
    weights.load(twin, tmp_path / "w")
    found, expected = (m.get_buffer("values").view(torch.uint8) for m in (twin, model))
    assert torch.equal(found, expected)


def test_what_is_not_a_tensor_yet_is_refused(tmp_path: Path) -> None:
    class Extra(nn.Module):
        def get_extra_state(self) -> dict[str, int]:
            return {"steps": 3}

    for model, message in (
        (nn.LazyLinear(3), "weight has no shape yet; call the model once"),
        (Extra(), "Extra: _extra_state is a dict, and weights files hold only tensors"),
    ):
        with pytest.raises(WeightsError, match=message):
            weights.save(model, tmp_path / "w")
        with pytest.raises(WeightsError, match=message):
            weights.load(model, tmp_path / "w")


def test_a_write_that_the_system_refuses_carries_the_name(tmp_path: Path) -> None:
    """As for a full disk; the library reports it in its own error."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(OSError, match=r"File too large: '.*w'"):
            weights.save(nn.Linear(100, 100), tmp_path / "w")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    for path in (tmp_path, Path("/dev/full"), tmp_path / "nowhere/w"):
        with pytest.raises(OSError, match=str(path)):
            weights.save(lenet(), path)
    assert list(tmp_path.iterdir()) == []


def test_folders_and_pipes_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path, message in (
        (tmp_path, "cannot be read: Is a directory"),
        (tmp_path / "pipe", "cannot be read: Is a pipe"),
        (tmp_path / "null\0byte", "cannot be read: embedded null"),
        (tmp_path / ("x" * 300), "cannot be read: File name too long"),
        (tmp_path / "pipe/w", "cannot be read: Not a directory"),
    ):
        with pytest.raises(WeightsError, match=message):
            weights.load(lenet(), path)
        with pytest.raises(WeightsError, match=message):
            create_model("lenet", weights=path)


def written(write: Callable[[Any, Any], object], content: Any) -> bytes:
    file = io.BytesIO()
    write(content, file)
    return file.getvalue()


STATE = nn.Linear(2, 3).state_dict()
WHOLE = [
    safetensors.torch.save(STATE),
    written(torch.save, STATE),
    written(torch.save, {"state_dict": STATE, "epoch": 3}),
    written(partial(torch.save, _use_new_zipfile_serialization=False), STATE),
    written(partial(torch.save, pickle_protocol=4), STATE),
]
DEEP = b"[" * 100_000
FORGED = [
    *(b"", b"{", b"\x80", b"\x80\x02", b"PK\x03\x04", b"PK\x05\x06" + bytes(18)),
    *(bytes([255] * 8) + b"{", len(DEEP).to_bytes(8, "little") + b"{" + DEEP),
    *(pickle.dumps(STATE["weight"].numpy()), pickle.dumps([1]), pickle.dumps({"weight": 1})),
    b"\x80\x02" + b"(" * 100_000 + b".",
    b"\x80\x02]q\x00h\x00a.",  # a list that holds itself
]


def header(**entry: Any) -> bytes:
    """A safetensors file whose header says so of its weight, and 24 bytes."""
    text = json.dumps({"weight": entry}).encode()
    return len(text).to_bytes(8, "little") + text + bytes(24)


HEADERS = [
    header(dtype="F32", shape=[3, 2], data_offsets=[0, 999]),
    header(dtype="F32", shape=[3, 2], data_offsets=[24, 0]),
    header(dtype="F32", shape=[2**62, 2**62], data_offsets=[0, 24]),
    header(dtype="F32", shape=[-3, 2], data_offsets=[0, 24]),
    header(dtype="F99", shape=[3, 2], data_offsets=[0, 24]),
    header(dtype="F32", shape=[[3]], data_offsets=[0, 24]),
    header(dtype="F4", shape=[48], data_offsets=[0, 24]),
    header(dtype="F32", shape=[], data_offsets=[0, 24]),
    header(dtype="F32", shape=[1] * 200, data_offsets=[0, 4]),
    header(),
]


@pytest.mark.parametrize("content", [*FORGED, *HEADERS])
def test_forged_files_raise_one_error(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(WeightsError, match=r"w' (is|does not fit|holds)"):
        weights.load(nn.Linear(2, 3), tmp_path / "w")


@st.composite
def rezipped(draw: st.DrawFn) -> bytes:
    """A file of `torch.save` with right checksums around a pickle that is not."""
    file = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(WHOLE[1])) as source,
        zipfile.ZipFile(file, "w") as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            if name.endswith("data.pkl"):
                content = draw(mutated(st.just(content)))
            target.writestr(name, content)
    return file.getvalue()


@pytest.mark.slow
@settings(max_examples=600)
@given(content=st.one_of(st.binary(max_size=99), mutated(st.sampled_from(WHOLE)), rezipped()))
def test_damaged_files_raise_one_error(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever a file holds, all of it is taken or nothing."""
    file = tmp_path_factory.getbasetemp() / "damaged"
    file.write_bytes(content)
    model = nn.Linear(2, 3)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    try:
        weights.load(model, file)
    except WeightsError:
        assert all(torch.equal(t, before[name]) for name, t in model.state_dict().items())


def test_damage_is_found_where_it_changes_a_tensor(tmp_path: Path) -> None:
    """`torch.load` reads on over wrong checksums."""
    content = WHOLE[1]
    index = content.index(STATE["weight"].numpy().tobytes())
    (tmp_path / "w").write_bytes(content[:index] + b"\xff" + content[index + 1 :])
    with pytest.raises(WeightsError, match=r"is damaged.*the checksum of 'archive/data/"):
        weights.load(nn.Linear(2, 3), tmp_path / "w")


def test_equal_weights_are_equal_files(tmp_path: Path) -> None:
    model = lenet()
    for number in range(10):
        weights.save(model, tmp_path / str(number))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
