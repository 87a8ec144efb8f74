import functools
import itertools
import json
import operator
import re
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn import functional

from shapezoo import ShapeError, create_model, model_info, signature
from shapezoo.models import Backbone, BasicBlock, Bottleneck, ResNet, resnet_micro
from shapezoo.testing import assert_proved

SIZES = st.integers(1, 9)
STRIDES = st.sampled_from([1, 2])
PARAMETERS = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
}


def varied(block: nn.Module) -> nn.Module:
    """The block in eval mode and float64, with statistics and scales that differ."""
    for tensor in block.state_dict().values():
        if tensor.dim() == 1:
            tensor += torch.rand_like(tensor)
    return block.double().eval()


def normalised(maps: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return (maps - mean) / (variance + 1e-5).sqrt() * weight + bias


def basic_by_hand(x: Tensor, state: dict[str, Tensor], stride: int) -> Tensor:
    inner = functional.conv2d(x, state["conv1.weight"], stride=stride, padding=1)
    inner = normalised(inner, state, "bn1").clamp(min=0)
    residual = normalised(functional.conv2d(inner, state["conv2.weight"], padding=1), state, "bn2")
    return (residual + shortcut_by_hand(x, state, stride)).clamp(min=0)


def bottleneck_by_hand(x: Tensor, state: dict[str, Tensor], stride: int, groups: int) -> Tensor:
    inner = normalised(functional.conv2d(x, state["conv1.weight"]), state, "bn1").clamp(min=0)
    inner = functional.conv2d(inner, state["conv2.weight"], stride=stride, padding=1, groups=groups)
    inner = normalised(inner, state, "bn2").clamp(min=0)
    residual = normalised(functional.conv2d(inner, state["conv3.weight"]), state, "bn3")
    return (residual + shortcut_by_hand(x, state, stride)).clamp(min=0)


def shortcut_by_hand(x: Tensor, state: dict[str, Tensor], stride: int) -> Tensor:
    """The input, or a projection of every second row and column (option B)."""
    if "downsample.0.weight" not in state:
        return x
    projection = state["downsample.0.weight"][:, :, 0, 0]
    maps = torch.einsum("oi,bihw->bohw", projection, x[:, :, ::stride, ::stride])
    return normalised(maps, state, "downsample.1")


@given(
    batch=st.integers(0, 3),
    in_channels=st.integers(1, 4),
    channels=st.integers(1, 4),
    stride=STRIDES,
    height=SIZES,
    width=SIZES,
)
def test_a_basic_block_equals_that_by_hand(
    batch: int, in_channels: int, channels: int, stride: int, height: int, width: int
) -> None:
    block = varied(BasicBlock(in_channels, channels, stride=stride))
    x = torch.randn(batch, in_channels, height, width, dtype=torch.float64)
    expected = basic_by_hand(x, block.state_dict(), stride)
    assert expected.shape == (batch, channels, -(-height // stride), -(-width // stride))
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


@given(
    batch=st.integers(0, 3),
    in_channels=st.integers(1, 16),
    channels=st.integers(1, 4),
    stride=STRIDES,
    groups=st.integers(1, 3),
    width_per_group=st.sampled_from([64, 128]),
    height=SIZES,
    width=SIZES,
)
def test_a_bottleneck_equals_that_by_hand(
    batch: int,
    in_channels: int,
    channels: int,
    stride: int,
    groups: int,
    width_per_group: int,
    height: int,
    width: int,
) -> None:
    block = varied(
        Bottleneck(
            in_channels, channels, stride=stride, groups=groups, width_per_group=width_per_group
        )
    )
    x = torch.randn(batch, in_channels, height, width, dtype=torch.float64)
    expected = bottleneck_by_hand(x, block.state_dict(), stride, groups)
    assert expected.shape == (batch, 4 * channels, -(-height // stride), -(-width // stride))
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block", [BasicBlock(4, 4), Bottleneck(8, 2)], ids=["basic", "bottleneck"])
def test_a_block_that_adds_nothing_is_relu(block: BasicBlock | Bottleneck) -> None:
    last = block.bn2 if isinstance(block, BasicBlock) else block.bn3
    nn.init.zeros_(last.weight)
    x = torch.randn(2, block.in_channels, 5, 6, requires_grad=True)
    result = block(x)
    assert torch.equal(result, x.relu())
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert torch.equal(gradient, (x > 0).float())


@pytest.mark.parametrize(
    ("in_channels", "channels", "stride", "is_identity"),
    [(4, 4, 1, True), (4, 4, 2, False), (2, 4, 1, False), (2, 4, 2, False)],
)
def test_a_shortcut_is_the_identity_where_the_sizes_allow(
    in_channels: int, channels: int, stride: int, is_identity: bool
) -> None:
    for block in (
        BasicBlock(in_channels, channels, stride=stride),
        Bottleneck(in_channels, channels // 4, stride=stride),
    ):
        assert isinstance(block.downsample, nn.Identity) == is_identity


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_three_stages_begin_with_a_stride_in_a_3x3_convolution(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name)
    strided = {
        path: (layer.kernel_size, layer.stride)
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.stride != (1, 1)
    }
    conv = "conv1" if name == "resnet18" else "conv2"
    assert strided == {
        "conv1": ((7, 7), (2, 2)),
        **{f"layer{stage}.0.{conv}": ((3, 3), (2, 2)) for stage in (2, 3, 4)},
        **{f"layer{stage}.0.downsample.0": ((1, 1), (2, 2)) for stage in (2, 3, 4)},
    }


@pytest.mark.parametrize("name", PARAMETERS)
def test_layers_and_parameters_are_as_many_as_published(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name)
    counted = [
        path
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d | nn.Linear) and "downsample" not in path
    ]
    assert [str(len(counted))] == re.findall(r"\d+", name)
    assert model_info(name).parameters == PARAMETERS[name]


def test_how_weights_start() -> None:
    """As He et al. keep the variance of gradients, whatever the groups."""
    block = functools.partial(Bottleneck, groups=4)
    model = ResNet(block, (1, 1, 1, 1), channels=16)
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    assert len(convolutions) == 1 + 4 * 3 + 4
    for layer in convolutions:
        weight = layer.weight
        side, spread = layer.kernel_size[0], weight.std().item()
        std = (2 / (layer.out_channels * side**2)) ** 0.5
        assert spread == pytest.approx(std, rel=4 / weight.numel() ** 0.5)
        assert abs(weight.mean()) < 4 * std / weight.numel() ** 0.5
        within = (weight.abs() < std).float().mean().item()
        assert within == pytest.approx(0.683, abs=2 / weight.numel() ** 0.5)  # a normal one
        assert layer.bias is None
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == len(convolutions)
    assert all(bool((norm.weight == 1).all()) and not norm.bias.any() for norm in norms)


@settings(max_examples=20)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_the_head_reads_the_last_feature_map(height: int, width: int) -> None:
    model = resnet_micro().double().eval()
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    maps = model.feature_maps(images)
    logits = maps[-1].mean(dim=(2, 3)) @ model.fc.weight.T + model.fc.bias
    torch.testing.assert_close(model(images), logits, rtol=1e-12, atol=1e-12)


@settings(max_examples=20)
@given(height=st.integers(1, 70), width=st.integers(1, 70))
def test_a_map_grows_by_one_row_per_stride(height: int, width: int) -> None:
    backbone: Backbone = resnet_micro()
    maps = backbone.feature_maps(torch.zeros(2, 3, height, width))
    taller = backbone.feature_maps(torch.zeros(2, 3, height + 32, width))
    wider = backbone.feature_maps(torch.zeros(2, 3, height, width + 32))
    assert tuple(map_.shape[1] for map_ in maps) == backbone.feature_channels
    for stride, map_, tall, wide in zip(backbone.strides, maps, taller, wider, strict=True):
        assert (tall.shape[2] - map_.shape[2], tall.shape[3]) == (32 // stride, map_.shape[3])
        assert (wide.shape[3] - map_.shape[3], wide.shape[2]) == (32 // stride, map_.shape[2])


@pytest.mark.parametrize(
    ("name", "shapes"),
    [
        ("resnet18", [(64, 56), (128, 28), (256, 14), (512, 7)]),
        ("resnet50", [(256, 56), (512, 28), (1024, 14), (2048, 7)]),
    ],
)
def test_the_output_sizes_of_table_1(name: str, shapes: list[tuple[int, int]]) -> None:
    with torch.device("meta"):
        model = create_model(name).eval()
        assert isinstance(model, ResNet)
        maps = model.feature_maps(torch.zeros(1, 3, 224, 224))
    assert [tuple(map_.shape[1:3]) for map_ in maps] == shapes


def test_training_needs_two_values_of_each_map() -> None:
    model = resnet_micro().train()
    for shape in ((2, 3, 1, 1), (2, 3, 32, 32), (1, 3, 33, 1), (1, 3, 1, 33)):
        assert model(torch.zeros(shape)).shape == (shape[0], 1000)
    with pytest.raises(ShapeError, match="batch > 1 or height > 32 or width > 32"):
        model(torch.zeros(1, 3, 32, 32))
    assert model.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)


def smooth(
    in_channels: int, channels: int, *, stride: int, dilation: tuple[int, int]
) -> BasicBlock:
    """A block of a user."""
    block = BasicBlock(in_channels, channels, stride=stride, dilation=dilation)
    block.relu = nn.SiLU()  # type: ignore[assignment]  # any activation does
    return block


@pytest.mark.parametrize(
    ("block", "last"),
    [
        (smooth, 32),
        (functools.partial(Bottleneck, groups=2), 128),
        (lambda given, made, **options: Bottleneck(given, made // 2, **options), 64),
    ],
    ids=["function", "partial", "lambda"],
)
def test_blocks_of_a_user(block: Callable[..., BasicBlock | Bottleneck], last: int) -> None:
    model = ResNet(block, (1, 2, 3, 1), channels=4, num_classes=5)
    assert model.feature_channels[-1] == last
    depths = [len(list(model.get_submodule(f"layer{n}").children())) for n in (1, 2, 3, 4)]
    assert depths == [1, 2, 3, 1]
    assert model(torch.zeros(2, 3, 64, 48)).shape == (2, 5)
    assert model.feature_maps(torch.zeros(2, 3, 64, 48))[-1].shape == (2, last, 2, 2)


def test_the_contracts() -> None:
    assert str(signature(BasicBlock(4, 8, stride=2))) == (
        '(x: Float[Tensor, "batch channels=4 height width"]) -> '
        'Float[Tensor, "batch channels=8 height=(height-1)//2+1 width=(width-1)//2+1"]'
    )
    assert str(signature(Bottleneck(4, 8, stride=2))) == (
        '(x: Float[Tensor, "batch channels=4 height width"]) -> '
        'Float[Tensor, "batch channels=32 height=(height-1)//2+1 width=(width-1)//2+1"]'
    )
    assert str(signature(resnet_micro(in_channels=1, num_classes=7))) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )


def test_a_shortcut_that_would_be_broadcast_is_refused() -> None:
    basic, bottleneck = BasicBlock(4, 4), Bottleneck(4, 1)
    basic.conv2.padding = bottleneck.conv2.padding = (2, 2)
    for block in (basic, bottleneck):
        with pytest.raises(ShapeError, match=r"expected height=\(height-1\)//1\+1 = 1, got 3"):
            block(torch.zeros(2, 4, 1, 1))


def test_a_stage_without_its_stride_is_refused() -> None:
    model = resnet_micro()
    model.layer3 = nn.Sequential(BasicBlock(16, 32))
    with pytest.raises(ShapeError, match=r"expected height=\(height-1\)//16\+1 = 4, got 8"):
        model(torch.zeros(2, 3, 64, 64))


POSSIBLE = st.sampled_from(
    [
        tuple(itertools.accumulate(steps, operator.mul, initial=first))
        for first in (1, 2, 4)
        for steps in itertools.product((1, 2), repeat=3)
    ]
)


@settings(max_examples=30)
@given(
    strides=POSSIBLE,
    block=st.sampled_from([BasicBlock, Bottleneck]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
)
def test_strided_maps_are_some_rows_and_columns_of_dilated_ones(
    strides: tuple[int, int, int, int], block: Any, height: int, width: int
) -> None:
    first = strides[0]
    dilated, strided = (
        ResNet(block, (1, 2, 1, 2), channels=4, strides=strides).double().eval()
        for strides in (strides, (first, 2 * first, 4 * first, 8 * first))
    )
    dilated.load_state_dict(strided.state_dict())
    images = torch.randn(1, 3, height, width, dtype=torch.float64)
    for number, (fine, coarse) in enumerate(
        zip(dilated.feature_maps(images), strided.feature_maps(images), strict=True)
    ):
        step = 2**number * first // strides[number]
        torch.testing.assert_close(fine[..., ::step, ::step], coarse, rtol=1e-10, atol=1e-10)


def shared(ours: nn.Module, theirs: nn.Module) -> list[Tensor]:
    """Outputs and gradients of two models with the same weights, one after the other."""
    images = torch.randn(2, 3, 33, 40, dtype=torch.float64)
    theirs.load_state_dict(ours.double().state_dict())
    found = []
    for model in (ours, theirs.double()):
        logits = model(images)
        gradients = torch.autograd.grad(logits.square().sum(), list(model.parameters()))
        found.append(torch.cat([part.flatten() for part in (logits, *gradients)]))
    return found


@pytest.mark.parametrize(
    ("strides", "is_dilated"),
    [
        ((4, 8, 8, 8), [False, True, True]),
        ((4, 8, 16, 16), [False, False, True]),
        ((4, 4, 8, 8), [True, False, True]),
        ((4, 4, 4, 4), [True, True, True]),
    ],
)
def test_dilated_stages_are_those_of_torchvision(
    strides: tuple[int, int, int, int], is_dilated: list[bool]
) -> None:
    depths = (1, 2, 2, 2)
    block = functools.partial(Bottleneck, groups=2, width_per_group=2)
    theirs = torchvision.models.ResNet(
        torchvision.models.resnet.Bottleneck,
        [*depths],
        num_classes=5,
        groups=2,
        width_per_group=2,
        replace_stride_with_dilation=is_dilated,
    )
    ours, expected = shared(ResNet(block, depths, num_classes=5, strides=strides), theirs)
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("first", [1, 2])
def test_stems_for_small_images_are_those_that_users_of_torchvision_make(first: int) -> None:
    theirs = torchvision.models.ResNet(
        torchvision.models.resnet.BasicBlock, [1, 1, 1, 1], num_classes=5
    )
    theirs.maxpool = nn.Identity()
    if first == 1:
        theirs.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    strides = (first, 2 * first, 4 * first, 8 * first)
    model = ResNet(BasicBlock, (1, 1, 1, 1), num_classes=5, strides=strides)
    ours, expected = shared(model, theirs)
    torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("strides", [(1, 2, 4, 8), (2, 4, 8, 16), (4, 8, 8, 8)])
def test_contracts_follow_the_strides_and_are_proved(strides: tuple[int, int, int, int]) -> None:
    model = resnet_micro(strides=strides).eval()
    maps = signature(model.feature_maps).output.parts
    for stride, map_ in zip(strides, maps, strict=True):
        assert f"height=(height-1)//{stride}+1 width=(width-1)//{stride}+1" in str(map_)
    assert assert_proved(model).preconditions == ()
    assert assert_proved(model.feature_maps).preconditions == ()
    fx.symbolic_trace(model)


def test_strides_from_a_file_are_a_list() -> None:
    model = create_model("resnet_micro", **json.loads('{"strides": [4, 8, 8, 8]}'))
    assert model.strides == (4, 8, 8, 8)
    assert str(model) == str(resnet_micro(strides=(4, 8, 8, 8)))


@pytest.mark.parametrize(
    "strides",
    [
        *(8, None, "1248", (), (4, 8, 16), (4, 8, 16, 32, 64)),
        *((3, 6, 12, 24), (8, 16, 32, 64), (4, 8, 16, 64), (4, 8, 4, 8), (4, 2, 1, 1)),
        *((4.0, 8, 16, 32), (True, 2, 4, 8), (0, 0, 0, 0)),
    ],
)
def test_strides_that_are_impossible_are_refused(strides: Any) -> None:
    message = re.escape(f"got {strides!r}; try (4, 8, 16, 32)")
    with pytest.raises(ValueError, match=f"^strides must be four integers.*{message}"):
        ResNet(BasicBlock, (1, 1, 1, 1), strides=strides)
