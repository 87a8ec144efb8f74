import stat
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from torch import nn

from shapezoo import weights
from shapezoo.models import gru, lenet
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
    assert str(error.value).endswith("and 32 more")
    assert len(str(error.value).splitlines()) == 12


def test_missing_and_foreign_files_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights file at"):
        weights.load(lenet(), tmp_path / "nowhere.safetensors")
    (tmp_path / "text.safetensors").write_text("not a model")
    with pytest.raises(WeightsError, match="no readable safetensors file"):
        weights.load(lenet(), tmp_path / "text.safetensors")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "w.safetensors"
    weights.save(lenet(), file)
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="no readable safetensors file"):
        weights.load(lenet(), file)


def test_a_failed_save_leaves_the_old_file_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "w.safetensors"
    weights.save(lenet(), file)
    before = file.read_bytes()

    def fail_half_way(tensors: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr("shapezoo.weights.files.save_file", fail_half_way)
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
    def fail(tensors: object, path: Path) -> None:
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("shapezoo.weights.files.save_file", fail)
    with pytest.raises(OSError, match="cannot be written: No space left"):
        weights.save(lenet(), tmp_path / "w.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "target.safetensors").touch()
    (tmp_path / "link.safetensors").symlink_to(tmp_path / "target.safetensors")
    weights.save(lenet(), tmp_path / "link.safetensors")
    assert (tmp_path / "link.safetensors").is_symlink()
    weights.load(lenet(), tmp_path / "target.safetensors")


def test_equal_weights_are_equal_files(tmp_path: Path) -> None:
    model = lenet()
    for number in range(10):
        weights.save(model, tmp_path / str(number))
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1
