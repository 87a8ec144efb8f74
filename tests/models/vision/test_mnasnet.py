import itertools

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.vision.parity import assert_parity, assert_same_layers, deviation
from tests.zoo.subjects import fill_statistics, vary
from torch import nn
from torchvision.models.mnasnet import _InvertedResidual

from shapezoo import ShapeError, create_model, model_info, prove, signature
from shapezoo.models import Backbone, MnasNet, MnasNetBlock, mnasnet_micro

SIDES = st.integers(1, 99)


@settings(max_examples=30)
@given(
    out_channels=st.integers(1, 3),
    kernel_size=st.sampled_from([3, 5]),
    stride=st.integers(1, 2),
    expansion=st.sampled_from([1, 3, 6]),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
)
def test_the_block_is_that_of_torchvision(
    out_channels: int, kernel_size: int, stride: int, expansion: int, height: int, width: int
) -> None:
    other = _InvertedResidual(2, out_channels, kernel_size, stride, expansion).double()
    vary(other)
    fill_statistics(other, torch.randn(9, 2, 9, 9, dtype=torch.float64))
    block = MnasNetBlock(
        2, out_channels, kernel_size=kernel_size, stride=stride, expansion=expansion
    ).double()
    block.load_state_dict(other.state_dict())
    x = torch.randn(2, 2, height, width, dtype=torch.float64)
    torch.testing.assert_close(block.eval()(x), other.eval()(x), rtol=1e-10, atol=1e-10)


def test_a_block_leaves_its_input_alone() -> None:
    x = torch.ones(2, 3, 4, 5)
    MnasNetBlock(3, 3, kernel_size=3, stride=1, expansion=2)(x)
    assert torch.equal(x, torch.ones_like(x))


def test_a_network_is_that_of_torchvision() -> None:
    other = torchvision.models.MNASNet(0.1, num_classes=7, dropout=0.0)
    ours = MnasNet(width=0.1, num_classes=7, dropout=0.0)
    assert_parity(ours, other, torch.randn(3, 3, 70, 45, dtype=torch.float64))


@pytest.mark.parametrize("name", ["mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3"])
def test_the_layers_are_those_of_torchvision(name: str) -> None:
    assert_same_layers(name)


def test_the_last_convolution_is_as_wide_in_all_networks() -> None:
    with torch.device("meta"):
        for name in ("mnasnet0_5", "mnasnet1_3"):
            assert create_model(name).pooled_features(torch.empty(2, 3, 64, 64)).shape == (2, 1280)


def test_weights_begin_as_those_of_torchvision() -> None:
    model = mnasnet_micro()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.weight[0, 0].numel()
            assert deviation(module.weight, (2 / fan_out) ** 0.5) < 5
    head = model.classifier[1]
    assert isinstance(head, nn.Linear)
    scaled = head.weight.detach().double() * (1000 / 3) ** 0.5  # uniform, of variance 1 / 1000
    assert 0.99 < scaled.abs().max() <= 1
    assert scaled.square().mean().item() == pytest.approx(1 / 3, rel=0.03)
    assert not head.bias.any()


@settings(max_examples=20)
@given(height=SIDES, width=SIDES)
def test_each_map_is_coarser_by_its_stride(height: int, width: int) -> None:
    model = mnasnet_micro(in_channels=1).eval()
    assert isinstance(model, Backbone)
    maps = model.feature_maps(torch.randn(2, 1, height, width))
    for tensor, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        assert tensor.shape == (2, channels, -(-height // stride), -(-width // stride))


def test_maps_are_those_of_the_last_stage_of_each_resolution() -> None:
    model = mnasnet_micro().double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    maps = model.feature_maps(images)
    torch.testing.assert_close(model.layers[:9](images), maps[0])
    for (finer, coarser), (first, last) in zip(
        itertools.pairwise(maps), [(9, 10), (10, 12), (12, 14)], strict=True
    ):
        torch.testing.assert_close(model.layers[first:last](finer), coarser)
    pooled = model.layers[14:](maps[-1]).mean((2, 3))
    torch.testing.assert_close(model.pooled_features(images), pooled)
    torch.testing.assert_close(model.classifier(pooled), model(images))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_contract_of_a_block(stride: int) -> None:
    block = MnasNetBlock(4, 6, kernel_size=5, stride=stride, expansion=3)
    assert str(signature(block)) == (
        '(x: Float[Tensor, "batch channels=4 height width"]) -> '
        f'Float[Tensor, "batch channels=6 height=(height-1)//{stride}+1 '
        f'width=(width-1)//{stride}+1"]'
    )
    assert prove(block.eval()).verdict == "proved"


def test_the_contract() -> None:
    model = mnasnet_micro(in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )


def test_a_residual_that_would_be_broadcast_is_refused() -> None:
    block = MnasNetBlock(1, 1, kernel_size=3, stride=1, expansion=2)
    block.layers.append(nn.ConstantPad2d(1, 0.0))
    with pytest.raises(ShapeError, match=r"expected height=\(height-1\)//1\+1 = 1, got 3"):
        block(torch.zeros(2, 1, 1, 1))


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("mnasnet0_5", 2_218_512),
        ("mnasnet0_75", 3_170_208),
        ("mnasnet1_0", 4_383_312),
        ("mnasnet1_3", 6_282_256),
    ],
)
def test_the_number_of_parameters(name: str, number: int) -> None:
    assert model_info(name).parameters == number
