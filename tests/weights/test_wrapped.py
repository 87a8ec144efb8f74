"""Wrappers around a model, or around modules in it, leave no trace in its file."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tests.weights.nets import assert_equal, assert_same, net, saved
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from shapezoo import weights
from shapezoo.models import lenet
from shapezoo.weights import WeightsError


@pytest.fixture
def process_group(tmp_path: Path) -> Iterator[None]:
    address = f"file://{tmp_path / 'store'}"
    torch.distributed.init_process_group("gloo", init_method=address, rank=0, world_size=1)
    yield
    torch.distributed.destroy_process_group()


WRAPPERS: list[Callable[[nn.Module], Any]] = [
    torch.compile,
    nn.DataParallel,
    DistributedDataParallel,
    lambda model: torch.compile(nn.DataParallel(model)),
    lambda model: DistributedDataParallel(torch.compile(model)),
]


@pytest.mark.usefixtures("process_group")
@pytest.mark.parametrize("wrap", WRAPPERS)
def test_wrappers_leave_no_trace(wrap: Callable[[nn.Module], Any], tmp_path: Path) -> None:
    model = net()
    wrapped = wrap(model)
    assert wrapped.state_dict().keys() != model.state_dict().keys()
    weights.save(wrapped, tmp_path / "w")
    assert_equal(safetensors.torch.load_file(tmp_path / "w"), model.state_dict())
    for twin in (net(), wrap(net())):
        weights.load(twin, tmp_path / "w")
        assert_same(twin, model)
    twin = wrap(net())  # and what others saved of wrapped models
    weights.load(twin, saved(wrapped.state_dict(), tmp_path))
    assert_equal(twin.state_dict(), wrapped.state_dict())


def test_wrapped_modules_inside_leave_no_trace(tmp_path: Path) -> None:
    model, plain = net(), net()
    model[1] = torch.compile(model[1])  # type: ignore[index,operator]
    weights.save(model, tmp_path / "w")
    weights.load(plain, tmp_path / "w")
    assert [*plain.state_dict()] == [*net().state_dict()]
    other = net()
    other[1] = nn.DataParallel(other[1])  # type: ignore[index,operator]
    weights.load(other, tmp_path / "w")
    assert_same(other, model)


def test_a_module_that_is_called_module_keeps_its_name(tmp_path: Path) -> None:
    model = nn.ModuleDict({"module": nn.ModuleDict({"_orig_mod": nn.Linear(1, 1)})})
    weights.save(model, tmp_path / "w")
    assert {*safetensors.torch.load_file(tmp_path / "w")} == {*model.state_dict()}
    weights.load(model, tmp_path / "w")


def test_errors_name_the_wrapped_model(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="does not fit LeNet"):
        weights.load(nn.DataParallel(lenet()), saved(net().state_dict(), tmp_path))
