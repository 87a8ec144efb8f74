import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.vision.parity import assert_parity, assert_same_layers, deviation
from tests.zoo.subjects import shell
from torch import nn
from torchvision.models.regnet import BlockParams
from torchvision.models.regnet import RegNet as TheirRegNet

from shapezoo import ShapeError, model_info, signature
from shapezoo.layers import SqueezeExcitation
from shapezoo.models import Backbone, RegNet, ResidualBottleneck, regnet_micro
from shapezoo.models.vision.regnet import quantised_widths

SIDES = st.integers(1, 99)
STAGES = {
    "regnet_y_400mf": ((48, 104, 208, 440), (1, 3, 6, 6), 8, 4.3),
    "regnet_y_800mf": ((64, 144, 320, 784), (1, 3, 8, 2), 16, 6.4),
    "regnet_y_1_6gf": ((48, 120, 336, 888), (2, 6, 17, 2), 24, 11.2),
    "regnet_y_3_2gf": ((72, 216, 576, 1512), (2, 5, 13, 1), 24, 19.4),
    "regnet_y_8gf": ((224, 448, 896, 2016), (2, 4, 10, 1), 56, 39.4),
    "regnet_y_16gf": ((224, 448, 1232, 3024), (2, 4, 11, 1), 112, 83.6),
    "regnet_y_32gf": ((232, 696, 1392, 3712), (2, 5, 12, 1), 232, 145.0),
    "regnet_y_128gf": ((528, 1056, 2904, 7392), (2, 7, 17, 1), 264, 644.8),
    "regnet_x_400mf": ((32, 64, 160, 400), (1, 2, 7, 12), 16, 5.5),
    "regnet_x_800mf": ((64, 128, 288, 672), (1, 3, 7, 5), 16, 7.3),
    "regnet_x_1_6gf": ((72, 168, 408, 912), (2, 4, 10, 2), 24, 9.2),
    "regnet_x_3_2gf": ((96, 192, 432, 1008), (2, 6, 15, 2), 48, 15.3),
    "regnet_x_8gf": ((80, 240, 720, 1920), (2, 5, 15, 1), 120, 39.6),
    "regnet_x_16gf": ((256, 512, 896, 2048), (2, 6, 13, 1), 128, 54.3),
    "regnet_x_32gf": ((336, 672, 1344, 2520), (2, 7, 13, 1), 168, 107.8),
}
"""Widths, depths, width of a group, and parameters in millions."""


def blocks(model: nn.Module) -> list[ResidualBottleneck]:
    return [module for module in model.modules() if isinstance(module, ResidualBottleneck)]


@pytest.mark.parametrize("se_ratio", [0.0, 0.25])
def test_a_small_network_is_that_of_torchvision(se_ratio: float) -> None:
    other = TheirRegNet(
        BlockParams.from_init_params(6, 16, 8.0, 1.5, 16, se_ratio=se_ratio), num_classes=7
    )
    ours = RegNet(6, w_0=16, w_a=8.0, w_m=1.5, group_width=16, se_ratio=se_ratio, num_classes=7)
    assert_parity(ours, other, torch.randn(3, 3, 70, 45, dtype=torch.float64))


@pytest.mark.parametrize("name", STAGES)
def test_the_layers_are_those_of_torchvision(name: str) -> None:
    assert_same_layers(name)


@pytest.mark.parametrize("name", STAGES)
def test_the_stages_are_those_of_the_table(name: str) -> None:
    model = shell(name)
    assert isinstance(model, RegNet)
    widths, depths, group_width, millions = STAGES[name]
    assert model.feature_channels == widths
    stages = [stage for stage in model.trunk_output if isinstance(stage, nn.Sequential)]
    assert tuple(map(len, stages)) == depths
    for block in blocks(model):
        convolution = block.f.get_submodule("b.0")
        assert isinstance(convolution, nn.Conv2d)
        assert convolution.weight.shape[1] == min(group_width, block.out_channels)
    assert round(model_info(name).parameters / 1e6, 1) == millions


def test_the_widths_of_a_small_example() -> None:
    """By the linear function 16, 24, ... 56; as powers of 1.5: 16, 24, 36, 36, 54, 54."""
    assert quantised_widths(6, w_0=16, w_a=8.0, w_m=1.5) == [16, 24, 32, 32, 56, 56]


@given(
    depth=st.integers(1, 30), w_0=st.integers(1, 40), w_a=st.floats(0, 200), w_m=st.floats(1.5, 3)
)
def test_widths_grow_and_stay_near_the_linear_function(
    depth: int, w_0: int, w_a: float, w_m: float
) -> None:
    widths = quantised_widths(depth, w_0=8 * w_0, w_a=w_a, w_m=w_m)
    assert widths == sorted(widths)
    assert widths[0] == 8 * w_0
    for block, width in enumerate(widths):
        linear = 8 * w_0 + w_a * block
        assert width % 8 == 0
        assert linear / math.sqrt(w_m) - 4.01 <= width <= linear * math.sqrt(w_m) + 4.01


def test_widths_that_do_not_make_four_stages_are_refused() -> None:
    with pytest.raises(ValueError, match=r"must have 4 different widths, got \[16, 24\]"):
        RegNet(2, w_0=16, w_a=8.0, w_m=1.5, group_width=16, se_ratio=0.0)


@pytest.mark.parametrize(("stride", "out_channels"), [(1, 8), (2, 8), (1, 12)])
def test_a_block_without_residual_returns_its_input_or_a_projection(
    stride: int, out_channels: int
) -> None:
    block = ResidualBottleneck(8, out_channels, stride=stride, group_width=4, se_ratio=0.25)
    nn.init.zeros_(block.f.get_submodule("c.1").get_parameter("weight"))
    x = torch.randn(2, 8, 5, 6)
    kept = x.clone()
    expected = x if (stride, out_channels) == (1, 8) else block.eval().proj(x)
    assert torch.equal(block.eval()(x), expected.relu())
    assert torch.equal(x, kept)


def test_the_channels_of_an_excitation_are_a_fourth_of_those_of_the_input() -> None:
    found = [
        (block.in_channels, layer.fc1.out_channels)
        for block in blocks(shell("regnet_y_400mf"))
        for layer in block.f
        if isinstance(layer, SqueezeExcitation)
    ]
    assert found[:3] == [(32, 8), (48, 12), (104, 26)]
    assert len(found) == 16
    layers = list(shell("regnet_x_400mf").modules())
    assert not any(isinstance(layer, SqueezeExcitation) for layer in layers)


def test_weights_begin_as_those_of_torchvision() -> None:
    model = regnet_micro()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.weight[0, 0].numel()
            assert deviation(module.weight, (2 / fan_out) ** 0.5) < 5
    assert deviation(model.fc.weight, 0.01) < 5
    assert not model.fc.bias.any()


@settings(max_examples=20)
@given(height=SIDES, width=SIDES)
def test_each_map_is_coarser_by_its_stride(height: int, width: int) -> None:
    model = regnet_micro(in_channels=1).eval()
    assert isinstance(model, Backbone)
    maps = model.feature_maps(torch.randn(2, 1, height, width))
    for tensor, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        assert tensor.shape == (2, channels, -(-height // stride), -(-width // stride))


def test_each_map_is_made_of_the_one_before() -> None:
    model = regnet_micro().double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    maps = [model.stem(images), *model.feature_maps(images)]
    for (finer, coarser), stage in zip(itertools.pairwise(maps), model.trunk_output, strict=True):
        torch.testing.assert_close(stage(finer), coarser)
    torch.testing.assert_close(model.fc(maps[-1].mean((2, 3))), model(images))


def test_the_contracts() -> None:
    model = regnet_micro(in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )
    assert str(signature(blocks(model)[0])) == (
        '(x: Float[Tensor, "batch channels=32 height width"]) -> '
        'Float[Tensor, "batch channels=16 height=(height-1)//2+1 width=(width-1)//2+1"]'
    )


def test_a_residual_that_would_be_broadcast_is_refused() -> None:
    block = ResidualBottleneck(4, 4, stride=1, group_width=4, se_ratio=0.0)
    block.proj = nn.AdaptiveAvgPool2d((5, 1))
    block.f = nn.Sequential(nn.Conv2d(4, 4, 1), nn.AdaptiveAvgPool2d((5, 1)))
    with pytest.raises(ShapeError, match=r"expected width=.* = 6, got 1"):
        block(torch.zeros(2, 4, 5, 6))
