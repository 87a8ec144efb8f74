import functools
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import cast

import pytest
import torch
from torch import nn

from shapezoo.data import ImageBatch
from shapezoo.models import lenet
from shapezoo.train import DeviceError, choose_device, evaluate, init, install, train_step

MAKE_OPTIMIZER = functools.partial(torch.optim.Adam, lr=0.01)
META = torch.device("meta")


def test_the_cpu_is_always_there() -> None:
    assert choose_device("cpu") == torch.device("cpu")


def test_automatic_choice_takes_the_accelerator_that_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for there in (None, torch.device("cuda"), torch.device("mps")):
        monkeypatch.setattr(
            torch.accelerator,
            "current_accelerator",
            lambda check_available, there=there: there if check_available else "unchecked",
        )
        assert choose_device() == (there or torch.device("cpu"))


@pytest.mark.parametrize("name", ["", "gpu", "tpu", "meta", "cuda:x"])
def test_names_that_are_not_devices_raise(name: str) -> None:
    with pytest.raises(DeviceError, match="is not a device of PyTorch; use auto, cpu"):
        choose_device(name)


def test_a_device_that_the_machine_lacks_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = SimpleNamespace(is_available=lambda: True, device_count=lambda: 2)
    monkeypatch.setattr(torch, "get_device_module", lambda device: cast(ModuleType, backend))
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="'cuda:2' is not on this machine"):
        choose_device("cuda:2")
    backend.is_available = lambda: False
    with pytest.raises(DeviceError, match="'cuda' is not on this machine; use auto or cpu"):
        choose_device("cuda")


def test_a_state_is_put_where_it_is_wanted_and_comes_back() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    state = init(model, MAKE_OPTIMIZER, device=META)
    assert all(t.is_meta for t in [*state.parameters.values(), *state.buffers.values()])
    assert not any(tensor.is_meta for tensor in model.state_dict().values())
    on_meta = nn.Linear(2, 3, device="meta")
    here = init(nn.Linear(2, 3), MAKE_OPTIMIZER)
    install(on_meta, here)
    assert on_meta.weight.is_meta


@dataclass(frozen=True, eq=False)
class Watched(ImageBatch):
    """A batch that records the device it was moved to."""

    def to(self, device: torch.device) -> "Watched":
        moved.append(device)
        return super().to(device)


moved: list[torch.device] = []


def test_batches_follow_the_state() -> None:
    """All runs on the meta device up to the loss, whose value is nowhere."""
    model = lenet()
    batch = Watched(torch.zeros(2, 1, 28, 28), torch.zeros(2, dtype=torch.int64))
    state = init(model, MAKE_OPTIMIZER, device=META)
    for work in (
        lambda: train_step(model, MAKE_OPTIMIZER, state, batch),
        lambda: evaluate(model, state, [batch]),
    ):
        moved.clear()
        with pytest.raises(RuntimeError, match=r"item.* cannot be called on meta tensors"):
            work()
        assert moved == [META]
    assert not model.classifier.weight.is_meta
