import itertools
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.zoo.subjects import vary
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import shufflenetv2

from shapezoo import ShapeError, model_info, signature
from shapezoo.models import (
    Backbone,
    ChannelShuffle,
    ShuffleDownsamplingUnit,
    ShuffleNetV2,
    ShuffleUnit,
    shufflenet_v2_micro,
    shufflenet_v2_x1_0,
)

SIZES = st.integers(1, 5)
SIDES = st.integers(1, 99)


def varied(module: nn.Module) -> Any:
    """The module in eval mode and float64, with statistics and scales that differ."""
    vary(module)
    return module.double().eval()


def convolved_by_hand(x: Tensor, state: dict[str, Tensor], branch: str, at: int) -> Tensor:
    """A convolution, padded by half its kernel, and batch normalisation."""
    weight = state[f"{branch}.{at}.weight"]
    groups = x.shape[1] // weight.shape[1]
    maps = functional.conv2d(x, weight, padding=weight.shape[-1] // 2, groups=groups)
    mean, variance, scale, shift = (
        state[f"{branch}.{at + 1}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (maps - mean) / (variance + 1e-5).sqrt() * scale + shift


def right_branch_by_hand(x: Tensor, state: dict[str, Tensor], stride: int) -> Tensor:
    x = convolved_by_hand(x, state, "branch2", 0).clamp(min=0)
    x = convolved_by_hand(x, state, "branch2", 3)[:, :, ::stride, ::stride]
    return convolved_by_hand(x, state, "branch2", 5).clamp(min=0)


@given(half=SIZES, height=SIZES, width=SIZES)
def test_channels_are_shuffled_as_by_others(half: int, height: int, width: int) -> None:
    x = torch.randn(3, 2 * half, height, width)
    found = ChannelShuffle()(x)
    assert torch.equal(found, functional.channel_shuffle(x, 2))
    assert torch.equal(found, shufflenetv2.channel_shuffle(x, 2))
    assert torch.equal(found[:, ::2], x[:, :half])
    assert torch.equal(found[:, 1::2], x[:, half:])


@given(batch=st.integers(0, 3), half=SIZES, height=SIZES, width=SIZES)
def test_a_unit_is_that_of_figure_3c(batch: int, half: int, height: int, width: int) -> None:
    unit = varied(ShuffleUnit(2 * half))
    x = torch.randn(batch, 2 * half, height, width, dtype=torch.float64)
    before = x.clone()
    maps = unit(x)
    assert torch.equal(maps[:, ::2], x[:, :half])
    changed = right_branch_by_hand(x[:, half:], unit.state_dict(), stride=1)
    torch.testing.assert_close(maps[:, 1::2], changed, rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)


@given(channels=SIZES, half=SIZES, height=SIZES, width=SIZES)
def test_a_downsampling_unit_is_that_of_figure_3d(
    channels: int, half: int, height: int, width: int
) -> None:
    unit = varied(ShuffleDownsamplingUnit(channels, 2 * half))
    state = unit.state_dict()
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    maps = unit(x)
    left = convolved_by_hand(x, state, "branch1", 0)[:, :, ::2, ::2]
    left = convolved_by_hand(left, state, "branch1", 2).clamp(min=0)
    torch.testing.assert_close(maps[:, ::2], left, rtol=1e-12, atol=1e-12)
    right = right_branch_by_hand(x, state, stride=2)
    torch.testing.assert_close(maps[:, 1::2], right, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_small_network_is_that_of_torchvision(mode: str) -> None:
    channels = (4, 8, 12, 20, 16)
    other = torchvision.models.ShuffleNetV2([2, 1, 3], [*channels], num_classes=7).double()
    vary(other)
    ours = ShuffleNetV2(channels, depths=(2, 1, 3), num_classes=7).double()
    ours.load_state_dict(other.state_dict())
    images = torch.randn(2, 3, 70, 45, dtype=torch.float64)
    results, gradients = [], []
    for model in (ours, other):
        results.append(model.train(mode == "train")(images))
        total = results[-1].square().sum()
        gradients.append(torch.autograd.grad(total, list(model.parameters())))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


def test_the_output_sizes_of_table_5() -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        model = shufflenet_v2_x1_0().eval()
        for name, layer in model.named_children():
            layer.register_forward_hook(
                lambda _module, _args, result, name=name: shapes.update(
                    {name: tuple(result.shape[1:3])}
                )
            )
        model(torch.zeros(1, 3, 224, 224))
    assert shapes == {
        "conv1": (24, 112),
        "maxpool": (24, 56),
        "stage2": (116, 28),
        "stage3": (232, 14),
        "stage4": (464, 7),
        "conv5": (1024, 7),
        "fc": (1000,),
    }
    assert [len(model.get_submodule(f"stage{n}")) for n in (2, 3, 4)] == [4, 8, 4]  # type: ignore[arg-type]


def test_the_numbers_of_parameters_of_table_5() -> None:
    for width, millions in (("0_5", 1.4), ("1_0", 2.3), ("1_5", 3.5), ("2_0", 7.4)):
        assert round(model_info(f"shufflenet_v2_x{width}").parameters / 1e6, 1) == millions


@settings(max_examples=30)
@given(height=SIDES, width=SIDES)
def test_each_map_is_coarser_by_its_stride(height: int, width: int) -> None:
    model = shufflenet_v2_micro(in_channels=1, num_classes=7).double().eval()
    assert isinstance(model, Backbone)
    images = torch.randn(2, 1, height, width, dtype=torch.float64)
    maps = model.feature_maps(images)
    for map_, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        assert map_.shape == (2, channels, -(-height // stride), -(-width // stride))
    logits = model.fc(model.conv5(maps[-1]).mean((2, 3)))
    torch.testing.assert_close(logits, model(images), rtol=1e-12, atol=1e-12)


def test_each_map_is_made_of_the_one_before() -> None:
    model = varied(shufflenet_v2_micro())
    maps = model.feature_maps(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    for number, (finer, coarser) in enumerate(itertools.pairwise(maps), 2):
        torch.testing.assert_close(model.get_submodule(f"stage{number}")(finer), coarser)


@pytest.mark.slow
def test_maps_of_a_compiled_model() -> None:
    model = shufflenet_v2_micro().eval()
    compiled = torch.compile(model.feature_maps, backend="eager", fullgraph=True, dynamic=True)
    for height, width in ((64, 96), (100, 61)):
        images = torch.randn(2, 3, height, width)
        torch.testing.assert_close(compiled(images), model.feature_maps(images))


def test_training_needs_two_values_of_each_map() -> None:
    model = shufflenet_v2_micro()
    model(torch.zeros(1, 3, 33, 1))
    model(torch.zeros(1, 3, 1, 33))
    with pytest.raises(ShapeError, match="batch > 1 or height > 32 or width > 32"):
        model(torch.zeros(1, 3, 32, 32))
    assert model.eval()(torch.zeros(1, 3, 1, 1)).shape == (1, 1000)


def test_the_contracts() -> None:
    assert str(signature(ChannelShuffle())) == (
        '(x: Float[Tensor, "batch channels height width"]) -> '
        'Float[Tensor, "batch channels height width"]'
    )
    assert str(signature(ShuffleUnit(8))) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        'Float[Tensor, "batch channels=8 height width"]'
    )
    assert str(signature(ShuffleDownsamplingUnit(8, 6))) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        'Float[Tensor, "batch channels=6 height=(height-1)//2+1 width=(width-1)//2+1"]'
    )
    model = shufflenet_v2_micro(in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )
    maps = ", ".join(
        f'Float[Tensor, "batch channels={channels} '
        f'height=(height-1)//{stride}+1 width=(width-1)//{stride}+1"]'
        for channels, stride in zip((8, 8, 16, 32), (4, 8, 16, 32), strict=True)
    )
    assert str(signature(model.feature_maps)) == (
        f'(images: Float[Tensor, "batch channels=1 height width"]) -> tuple[{maps}]'
    )


def test_branches_of_other_sizes_are_refused() -> None:
    unit = ShuffleUnit(4)
    unit.branch2[3] = nn.Conv2d(2, 2, 3)
    with pytest.raises(RuntimeError, match="Sizes of tensors must match except in dimension 1"):
        unit(torch.zeros(2, 4, 7, 7))
    unit.branch2.append(nn.Conv2d(2, 4, 1, padding=1))
    with pytest.raises(ShapeError, match="expected channels = 4, got 6"):
        unit(torch.zeros(2, 4, 7, 7))


def test_an_odd_number_of_channels_is_refused() -> None:
    with pytest.raises(ShapeError, match="expected channels = 5, got 4"):
        ShuffleDownsamplingUnit(3, 5)(torch.zeros(2, 3, 7, 7))
