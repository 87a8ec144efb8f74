import functools
from collections.abc import Sequence
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.vision.parity import assert_parity, assert_same_layers
from tests.zoo.subjects import fill_statistics, vary
from torch import nn
from torchvision.models.efficientnet import FusedMBConvConfig, MBConvConfig

from shapezoo import ShapeError, create_model, model_info, prove, signature
from shapezoo.layers import StochasticDepth
from shapezoo.models import FusedMBConv, MBConv, efficientnet_v2_micro

SIZES = {
    "efficientnet_v2_s": (10, 30, 21_458_488, 0.2),
    "efficientnet_v2_m": (13, 44, 54_139_356, 0.3),
    "efficientnet_v2_l": (18, 61, 118_515_272, 0.4),
}
"""Number of fused and other blocks, of parameters (Table 7 has 22, 54 and 120 million), and the
default dropout."""
THEIRS = torchvision.models.efficientnet.FusedMBConv


@settings(max_examples=30)
@given(
    out_channels=st.sampled_from([8, 16]),
    stride=st.integers(1, 2),
    expansion=st.sampled_from([1, 4]),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
)
def test_the_fused_block_is_that_of_torchvision(
    out_channels: int, stride: int, expansion: int, height: int, width: int
) -> None:
    config = FusedMBConvConfig(expansion, 3, stride, 8, out_channels, 1)
    other = THEIRS(config, 0.0, nn.BatchNorm2d).double()
    vary(other)
    fill_statistics(other, torch.randn(9, 8, 9, 9, dtype=torch.float64))
    block = FusedMBConv(
        8, out_channels, expansion=expansion, kernel_size=3, stride=stride, norm=nn.BatchNorm2d
    ).double()
    assert [*block.state_dict()] == [*other.state_dict()]
    block.load_state_dict(other.state_dict())
    x = torch.randn(2, 8, height, width, dtype=torch.float64)
    torch.testing.assert_close(block.eval()(x), other.eval()(x), rtol=1e-10, atol=1e-10)


def test_a_block_leaves_its_input_alone() -> None:
    x = torch.ones(2, 3, 4, 5)
    FusedMBConv(3, 3, expansion=2, kernel_size=3, stride=1)(x)
    assert torch.equal(x, torch.ones_like(x))


def test_the_residual_of_some_examples_is_left_out_in_train_mode() -> None:
    block = FusedMBConv(
        4,
        4,
        expansion=2,
        kernel_size=3,
        stride=1,
        norm=functools.partial(nn.GroupNorm, 1),
        stochastic_depth=0.75,
    ).double()
    x = torch.randn(1, 4, 4, 5, dtype=torch.float64).expand(64, -1, -1, -1)
    residual = block.eval()(x) - x
    added = block.train()(x) - x
    is_dropped = (added == 0).flatten(1).all(1)
    assert 32 < is_dropped.sum() < 64
    torch.testing.assert_close(added[~is_dropped], 4 * residual[~is_dropped])


def test_a_small_network_is_that_of_torchvision() -> None:
    stages: Sequence[Any] = [
        FusedMBConvConfig(1, 3, 1, 8, 8, 1),
        FusedMBConvConfig(4, 3, 2, 8, 8, 2),
        FusedMBConvConfig(4, 3, 2, 8, 8, 1),
        MBConvConfig(4, 3, 2, 8, 16, 1),
        MBConvConfig(6, 3, 1, 16, 16, 1),
        MBConvConfig(6, 3, 2, 16, 24, 1),
    ]
    norm = functools.partial(nn.BatchNorm2d, eps=0.001)
    other = torchvision.models.EfficientNet(stages, 0.0, 0.0, 7, norm, last_channel=128)
    ours = efficientnet_v2_micro(num_classes=7, dropout=0.0, stochastic_depth=0.0)
    assert_parity(ours, other, torch.randn(3, 3, 70, 45, dtype=torch.float64))


@pytest.mark.parametrize("name", SIZES)
def test_the_layers_are_those_of_torchvision(name: str) -> None:
    assert_same_layers(name)


@pytest.mark.parametrize("name", SIZES)
def test_the_blocks(name: str) -> None:
    fused, others, _, dropout = SIZES[name]
    with torch.device("meta"):
        model = create_model(name, stochastic_depth=0.7)
    assert model.get_submodule("classifier.0").p == dropout
    kinds = [type(m) for m in model.modules() if isinstance(m, FusedMBConv | MBConv)]
    assert kinds == fused * [FusedMBConv] + others * [MBConv]
    blocks = [m for m in model.modules() if isinstance(m, FusedMBConv | MBConv)]
    for index, block in enumerate(blocks):
        layer = block.stochastic_depth
        assert isinstance(layer, StochasticDepth) == block.is_residual
        if isinstance(layer, StochasticDepth):
            assert layer.p == pytest.approx(0.7 * index / (fused + others))


@pytest.mark.parametrize(("stride", "expansion"), [(1, 1), (2, 4)])
def test_the_contract_of_a_block(stride: int, expansion: int) -> None:
    block = FusedMBConv(4, 6, expansion=expansion, kernel_size=3, stride=stride)
    assert str(signature(block)) == (
        '(x: Float[Tensor, "batch channels=4 height width"]) -> '
        f'Float[Tensor, "batch channels=6 height=(height-1)//{stride}+1 '
        f'width=(width-1)//{stride}+1"]'
    )
    assert prove(block.eval()).verdict == "proved"


def test_a_residual_that_would_be_broadcast_is_refused() -> None:
    block = FusedMBConv(1, 1, expansion=2, kernel_size=3, stride=1)
    block.block.append(nn.ConstantPad2d(1, 0.0))
    with pytest.raises(ShapeError, match=r"expected height=\(height-1\)//1\+1 = 1, got 3"):
        block(torch.zeros(2, 1, 1, 1))


@pytest.mark.parametrize("name", SIZES)
def test_the_number_of_parameters_is_that_of_the_paper(name: str) -> None:
    assert model_info(name).parameters == SIZES[name][2]
