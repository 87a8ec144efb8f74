"""A small network, files of it, and comparisons of weights."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

State = dict[str, Tensor]


def net() -> nn.Module:
    """A small network with batch norm, with weights of its own."""
    model = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.BatchNorm1d(3), nn.Linear(3, 1)))
    for tensor in model.state_dict().values():
        tensor.copy_(torch.randint(-99, 99, tensor.shape))
    return model


def under(prefix: str, state: State) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def saved(content: Any, folder: Path, name: str = "w.pth", **options: Any) -> Path:
    torch.save(content, folder / name, **options)
    return folder / name


def assert_equal(found: State, expected: State) -> None:
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name


def assert_same(model: nn.Module, other: nn.Module) -> None:
    """Assert that tensors are equal, whatever their names."""
    for found, expected in zip(
        model.state_dict().values(), other.state_dict().values(), strict=True
    ):
        assert torch.equal(found, expected)
