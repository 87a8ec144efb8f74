import functools
import itertools
import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.vision.parity import assert_parity, assert_same_layers, deviation
from tests.zoo.subjects import shell
from torch import nn
from torchvision.models.efficientnet import _efficientnet_conf

from shapezoo import create_model, model_info, signature
from shapezoo.layers import SqueezeExcitation, StochasticDepth
from shapezoo.models import Backbone, MBConv, efficientnet_micro

SIDES = st.integers(1, 99)
SIZES = {
    "efficientnet_b0": (16, 5.3, 0.2),
    "efficientnet_b1": (23, 7.8, 0.2),
    "efficientnet_b2": (23, 9.1, 0.3),
    "efficientnet_b3": (26, 12.2, 0.3),
    "efficientnet_b4": (32, 19.3, 0.4),
    "efficientnet_b5": (39, 30.4, 0.4),
    "efficientnet_b6": (45, 43.0, 0.5),
    "efficientnet_b7": (55, 66.3, 0.5),
}
"""Number of blocks, of parameters in millions (Table 2 has 5.3 to 66), and the default dropout."""


def test_a_small_network_is_that_of_torchvision() -> None:
    stages, _ = _efficientnet_conf("efficientnet_b0", width_mult=0.1, depth_mult=0.3)
    norm = functools.partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
    other = torchvision.models.EfficientNet(stages, 0.0, 0.0, 7, norm)
    ours = efficientnet_micro(num_classes=7, dropout=0.0, stochastic_depth=0.0)
    assert_parity(ours, other, torch.randn(3, 3, 70, 45, dtype=torch.float64))


@pytest.mark.parametrize("name", SIZES)
def test_the_layers_are_those_of_torchvision(name: str) -> None:
    assert_same_layers(name)


def rates(model: nn.Module) -> list[float | None]:
    """The rate of each block, None where it is not a residual."""
    blocks = [module for module in model.modules() if isinstance(module, MBConv)]
    layers = [block.stochastic_depth for block in blocks]
    return [layer.p if isinstance(layer, StochasticDepth) else None for layer in layers]


@pytest.mark.parametrize("name", SIZES)
def test_blocks_are_left_out_more_often_with_the_depth(name: str) -> None:
    with torch.device("meta"):
        models = create_model(name), create_model(name, stochastic_depth=0.7)
    depth, _, dropout = SIZES[name]
    for model, last in zip(models, (0.2, 0.7), strict=True):
        found = rates(model)
        assert len(found) == depth
        assert found.count(None) == 7  # the first block of each stage
        expected = [last * index / depth for index in range(depth)]
        assert all(rate in (None, expected[index]) for index, rate in enumerate(found))
        assert model.get_submodule("classifier.0").p == dropout


def test_the_channels_of_an_excitation_are_a_fourth_of_those_of_the_block() -> None:
    found = [
        (block.in_channels, layer.fc1.out_channels)
        for block in shell("efficientnet_b0").modules()
        if isinstance(block, MBConv)
        for layer in block.block
        if isinstance(layer, SqueezeExcitation)
    ]
    assert found[:4] == [(32, 8), (16, 4), (24, 6), (24, 6)]


def test_weights_begin_as_those_of_torchvision() -> None:
    model = efficientnet_micro()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.weight[0, 0].numel()
            assert deviation(module.weight, (2 / fan_out) ** 0.5) < 5
            assert module.bias is None or not module.bias.any()
    head = model.classifier[1]
    assert isinstance(head, nn.Linear)
    scaled = head.weight.detach().double() * math.sqrt(1000)
    assert 0.99 < scaled.abs().max() <= 1
    assert scaled.square().mean().item() == pytest.approx(1 / 3, rel=0.03)
    assert not head.bias.any()


@settings(max_examples=20)
@given(height=SIDES, width=SIDES)
def test_each_map_is_coarser_by_its_stride(height: int, width: int) -> None:
    model = efficientnet_micro(in_channels=1).eval()
    assert isinstance(model, Backbone)
    maps = model.feature_maps(torch.randn(2, 1, height, width))
    for tensor, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        assert tensor.shape == (2, channels, -(-height // stride), -(-width // stride))


def test_maps_are_those_of_the_last_stage_of_each_resolution() -> None:
    model = efficientnet_micro().double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    maps = model.feature_maps(images)
    torch.testing.assert_close(model.features[:3](images), maps[0])
    for (finer, coarser), (first, last) in zip(
        itertools.pairwise(maps), [(3, 4), (4, 6), (6, 8)], strict=True
    ):
        torch.testing.assert_close(model.features[first:last](finer), coarser)
    pooled = model.features[8](maps[-1]).mean((2, 3))
    torch.testing.assert_close(model.pooled_features(images), pooled)
    torch.testing.assert_close(model.classifier(pooled), model(images))


def test_the_contract() -> None:
    model = efficientnet_micro(in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )


@pytest.mark.parametrize("name", SIZES)
def test_the_number_of_parameters_is_that_of_the_paper(name: str) -> None:
    assert round(model_info(name).parameters / 1e6, 1) == SIZES[name][1]
