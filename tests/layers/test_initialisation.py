import math

import pytest
import torch
from torch import nn

from shapezoo.layers import init_truncated_normal
from shapezoo.layers.initialisation import init_convolutions


@pytest.mark.parametrize("std", [0.01, 0.3, 4.0])
def test_weights_are_of_a_truncated_normal(std: float) -> None:
    model = nn.Sequential(nn.Conv2d(8, 50, 5), nn.Sequential(nn.Linear(100, 100)))
    init_truncated_normal(model, std=std)
    for weight in (model.get_parameter("0.weight"), model.get_parameter("1.0.weight")):
        scaled = weight.detach().double() / std
        assert scaled.abs().max().item() == pytest.approx(2, abs=0.02)
        assert (scaled.abs() <= 2 + 1e-6).all()
        assert abs(scaled.mean()) < 0.05
        within = math.erf(2 / math.sqrt(2))
        density = 2 * math.exp(-2) / math.sqrt(2 * math.pi)
        spread = math.sqrt(1 - 2 * density / within)  # 0.88, by integration
        assert scaled.std().item() == pytest.approx(spread, rel=0.03)
        share = math.erf(1 / math.sqrt(2)) / within
        assert (scaled.abs() < 1).double().mean().item() == pytest.approx(share, abs=0.02)


def test_nothing_else_changes() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 5), nn.BatchNorm2d(4), nn.Linear(5, 6))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    init_truncated_normal(model, std=1.0)
    changed = {
        name for name, tensor in model.state_dict().items() if not tensor.equal(before[name])
    }
    assert changed == {"0.weight", "2.weight"}


def test_a_layer_alone() -> None:
    layer = nn.Linear(20, 20)
    init_truncated_normal(layer, std=100.0)
    assert layer.weight.abs().max() > 10


def test_the_meta_device() -> None:
    with torch.device("meta"):
        init_truncated_normal(nn.Linear(1 << 20, 1 << 20), std=1.0)


@pytest.mark.parametrize("groups", [1, 8])
def test_convolutions_keep_the_variance_of_gradients(groups: int) -> None:
    model = nn.Sequential(nn.Conv2d(8, 96, 5, groups=groups), nn.Linear(5, 6), nn.BatchNorm2d(7))
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    init_convolutions(model)
    after = model.state_dict()
    weight = after["0.weight"].double() / math.sqrt(2 / (96 * 25))
    assert abs(weight.mean()) < 5 / math.sqrt(weight.numel())
    assert abs(weight.std() - 1) < 5 / math.sqrt(2 * weight.numel())
    assert not after["0.bias"].any()
    assert all(torch.equal(after[key], before[key]) for key in after if not key.startswith("0."))


def test_a_convolution_without_bias() -> None:
    layer = nn.Conv2d(3, 4, 5, bias=False)
    before = layer.weight.clone()
    init_convolutions(layer)
    assert not torch.equal(layer.weight, before)
