import functools
import itertools
from collections.abc import Callable

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.vision.parity import assert_parity, assert_same_layers, deviation
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidualConfig

from shapezoo import create_model, model_info, signature
from shapezoo.layers import SqueezeExcitation
from shapezoo.models import Backbone, MBConv, MobileNetV3, mobilenet_v3_micro

SIDES = st.integers(1, 99)
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "RE": functools.partial(nn.ReLU, inplace=True),
    "HS": nn.Hardswish,
}
ROWS = (
    *((3, 16, 16, True, "RE", 2), (5, 72, 24, False, "RE", 2), (3, 88, 24, False, "RE", 1)),
    *((5, 96, 40, True, "HS", 2), (3, 288, 96, True, "HS", 2), (5, 576, 96, True, "HS", 1)),
)


@pytest.mark.parametrize("width", [0.25, 0.75])
def test_a_small_network_is_that_of_torchvision(width: float) -> None:
    configs, channels = [], 16
    for kernel, expanded, out, *rest, stride in ROWS:
        config = InvertedResidualConfig(channels, kernel, expanded, out, *rest, stride, 1, width)
        configs.append(config)
        channels = out
    hidden = InvertedResidualConfig.adjust_channels(64, width)
    other = torchvision.models.MobileNetV3(configs, hidden, num_classes=7, dropout=0.0)
    rows = [(*row[:4], ACTIVATIONS[row[4]], row[5]) for row in ROWS]
    ours = MobileNetV3(rows, 64, width=width, num_classes=7, dropout=0.0)
    assert_parity(ours, other, torch.randn(3, 3, 70, 45, dtype=torch.float64))


@pytest.mark.parametrize("name", ["mobilenet_v3_large", "mobilenet_v3_small"])
def test_the_layers_are_those_of_torchvision(name: str) -> None:
    assert_same_layers(name)


@pytest.mark.parametrize(
    ("name", "squeezed"),
    [
        ("mobilenet_v3_large", {40: 24, 112: 120, 160: 168}),
        ("mobilenet_v3_small", {16: 8, 40: 24, 48: 32, 96: 72}),
    ],
)
def test_a_fourth_of_the_channels_is_left_between_the_layers_of_an_excitation(
    name: str, squeezed: dict[int, int]
) -> None:
    """In the first block of these numbers of channels; a multiple of 8."""
    with torch.device("meta"):
        model = create_model(name)
    found: dict[int, int] = {}
    for block in model.modules():
        if isinstance(block, MBConv):
            for layer in block.block:
                if isinstance(layer, SqueezeExcitation):
                    found.setdefault(block.out_channels, layer.fc1.out_channels)
                    assert isinstance(layer.scale_activation, nn.Hardsigmoid)
    assert found == squeezed


def test_weights_begin_as_those_of_torchvision() -> None:
    model = mobilenet_v3_micro()
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.weight[0, 0].numel()
            assert deviation(module.weight, (2 / fan_out) ** 0.5) < 5
            assert module.bias is None or not module.bias.any()
        if isinstance(module, nn.Linear):
            assert deviation(module.weight, 0.01) < 5
            assert not module.bias.any()


@settings(max_examples=20)
@given(height=SIDES, width=SIDES)
def test_each_map_is_coarser_by_its_stride(height: int, width: int) -> None:
    model = mobilenet_v3_micro(in_channels=1).eval()
    assert isinstance(model, Backbone)
    maps = model.feature_maps(torch.randn(2, 1, height, width))
    for tensor, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        assert tensor.shape == (2, channels, -(-height // stride), -(-width // stride))


def test_maps_are_those_before_a_stride_and_before_the_last_convolution() -> None:
    model = mobilenet_v3_micro().double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    maps = model.feature_maps(images)
    torch.testing.assert_close(model.features[:2](images), maps[0])
    for (finer, coarser), (first, last) in zip(
        itertools.pairwise(maps), [(2, 3), (3, 4), (4, 6)], strict=True
    ):
        torch.testing.assert_close(model.features[first:last](finer), coarser)
    hidden = model.classifier[:3](model.features[6](maps[-1]).mean((2, 3)))
    torch.testing.assert_close(model.pooled_features(images), hidden)
    torch.testing.assert_close(model.classifier[3](hidden), model(images))


def test_the_contract() -> None:
    model = mobilenet_v3_micro(in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )


@pytest.mark.parametrize(
    ("name", "number"), [("mobilenet_v3_large", 5_483_032), ("mobilenet_v3_small", 2_542_856)]
)
def test_the_number_of_parameters_is_that_of_the_paper(name: str, number: int) -> None:
    assert model_info(name).parameters == number  # Table 3 has 5.4 and 2.5 million
