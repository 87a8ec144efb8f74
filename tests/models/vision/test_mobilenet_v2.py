import itertools

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.models.vision.parity import assert_parity, assert_same_layers, deviation
from tests.zoo.subjects import fill_statistics, vary
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, model_info, prove, signature
from shapezoo.models import Backbone, InvertedResidual, MobileNetV2, mobilenet_v2_micro

SIDES = st.integers(1, 99)


def block_by_hand(x: Tensor, block: InvertedResidual) -> Tensor:
    """The paper's Table 1, from the weights and statistics alone."""
    state = block.state_dict()

    def convolved(x: Tensor, conv: str, norm: str, **keywords: int) -> Tensor:
        maps = functional.conv2d(x, state[f"{conv}.weight"], None, **keywords)
        mean, var = state[f"{norm}.running_mean"], state[f"{norm}.running_var"]
        scale = state[f"{norm}.weight"] / (var + 1e-5).sqrt()
        shift = state[f"{norm}.bias"] - mean * scale
        normalised: Tensor = maps * scale[:, None, None] + shift[:, None, None]
        return normalised

    wide = convolved(x, "conv.0.0", "conv.0.1").clamp(0, 6)
    wide = convolved(
        wide, "conv.1.0", "conv.1.1", padding=1, stride=block.stride, groups=wide.shape[1]
    ).clamp(0, 6)
    narrow = convolved(wide, "conv.2", "conv.3")
    return narrow + x if narrow.shape == x.shape and block.stride == 1 else narrow


@settings(max_examples=30)
@given(
    in_channels=st.integers(1, 3),
    out_channels=st.integers(1, 3),
    stride=st.integers(1, 2),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
)
def test_the_block_is_that_of_the_table(
    in_channels: int, out_channels: int, stride: int, height: int, width: int
) -> None:
    block = InvertedResidual(in_channels, out_channels, stride=stride, expansion=4).double()
    vary(block)
    fill_statistics(block, 9 * torch.randn(9, in_channels, 9, 9, dtype=torch.float64))
    x = 9 * torch.randn(2, in_channels, height, width, dtype=torch.float64)
    expected = block_by_hand(x, block)
    torch.testing.assert_close(block.eval()(x), expected, rtol=1e-12, atol=1e-12)


def test_a_block_that_does_not_expand_begins_with_the_depthwise_convolution() -> None:
    block = InvertedResidual(8, 4, expansion=1)
    assert next(iter(block.state_dict())) == "conv.0.0.weight"
    assert block.get_parameter("conv.0.0.weight").shape == (8, 1, 3, 3)


def test_a_block_leaves_its_input_alone() -> None:
    x = torch.ones(2, 3, 4, 5)
    InvertedResidual(3, 3, expansion=2)(x)
    assert torch.equal(x, torch.ones_like(x))


def test_a_small_network_is_that_of_torchvision() -> None:
    rows = [
        *([1, 16, 1, 1], [6, 24, 2, 2], [6, 32, 1, 2], [6, 64, 2, 2]),
        *([6, 96, 1, 1], [6, 160, 1, 2], [6, 320, 1, 1]),
    ]
    other = torchvision.models.MobileNetV2(7, 0.25, rows, dropout=0.0)
    ours = MobileNetV2((1, 2, 1, 2, 1, 1, 1), width=0.25, num_classes=7, dropout=0.0)
    assert_parity(ours, other, torch.randn(3, 3, 70, 45, dtype=torch.float64))


def test_the_layers_are_those_of_torchvision() -> None:
    assert_same_layers("mobilenet_v2")


@pytest.mark.parametrize("width", [0.35, 0.5, 0.75, 1.0, 1.4])
def test_the_channels_of_another_width_are_those_of_torchvision(width: float) -> None:
    with torch.device("meta"):
        ours, other = MobileNetV2(width=width), torchvision.models.MobileNetV2(width_mult=width)
    shapes = [
        {key: tensor.shape for key, tensor in model.state_dict().items()} for model in (ours, other)
    ]
    assert shapes[0] == shapes[1]
    assert ours.num_features == (1792 if width > 1 else 1280)


def test_weights_begin_as_those_of_torchvision() -> None:
    model = MobileNetV2(width=0.5)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            fan_out = module.out_channels * module.weight[0, 0].numel()
            assert deviation(module.weight, (2 / fan_out) ** 0.5) < 5
        if isinstance(module, nn.BatchNorm2d):
            assert torch.equal(module.weight, torch.ones_like(module.weight))
            assert not module.bias.any()
    head = model.classifier[1]
    assert isinstance(head, nn.Linear)
    assert deviation(head.weight, 0.01) < 5
    assert not head.bias.any()


@settings(max_examples=20)
@given(height=SIDES, width=SIDES)
def test_each_map_is_coarser_by_its_stride(height: int, width: int) -> None:
    model = mobilenet_v2_micro(in_channels=1).eval()
    assert isinstance(model, Backbone)
    maps = model.feature_maps(torch.randn(2, 1, height, width))
    for tensor, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        assert tensor.shape == (2, channels, -(-height // stride), -(-width // stride))


def test_maps_are_those_before_a_stride_and_before_the_last_convolution() -> None:
    model = mobilenet_v2_micro().double().eval()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    maps = model.feature_maps(images)
    torch.testing.assert_close(model.features[:4](images), maps[0])  # the rows of Table 2
    for (finer, coarser), (first, last) in zip(
        itertools.pairwise(maps), [(4, 5), (5, 7), (7, 9)], strict=True
    ):
        torch.testing.assert_close(model.features[first:last](finer), coarser)
    pooled = model.features[9](maps[-1]).mean((2, 3))
    torch.testing.assert_close(model.pooled_features(images), pooled)
    torch.testing.assert_close(model.classifier(pooled), model(images))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_contract_of_a_block(stride: int) -> None:
    block = InvertedResidual(4, 6, stride=stride, expansion=6)
    assert str(signature(block)) == (
        '(x: Float[Tensor, "batch channels=4 height width"]) -> '
        f'Float[Tensor, "batch channels=6 height=(height-1)//{stride}+1 '
        f'width=(width-1)//{stride}+1"]'
    )
    assert prove(block.eval()).verdict == "proved"


def test_the_contract() -> None:
    model = mobilenet_v2_micro(in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )


def test_a_residual_that_would_be_broadcast_is_refused() -> None:
    block = InvertedResidual(1, 1, expansion=2)
    block.conv.append(nn.ConstantPad2d(1, 0.0))
    with pytest.raises(ShapeError, match=r"expected height=\(height-1\)//1\+1 = 1, got 3"):
        block(torch.zeros(2, 1, 1, 1))


def test_the_number_of_parameters_is_that_of_the_paper() -> None:
    assert model_info("mobilenet_v2").parameters == 3_504_872  # Table 4 has 3.4 million
