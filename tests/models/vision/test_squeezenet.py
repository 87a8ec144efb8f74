import itertools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.zoo.subjects import vary
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, create_model, signature
from shapezoo.models import (
    Backbone,
    Fire,
    SqueezeNet,
    squeezenet1_0,
    squeezenet1_0_micro,
    squeezenet1_1,
    squeezenet1_1_micro,
)

Build = Callable[..., SqueezeNet]

SIZES = st.integers(1, 5)
SIDES = st.integers(21, 60)
SMALL = [squeezenet1_0_micro, squeezenet1_1_micro]
LEAST: dict[Build, int] = {squeezenet1_0_micro: 21, squeezenet1_1_micro: 17}
"""Rows and columns that an image needs."""


def varied(module: nn.Module) -> Any:
    """The module in float64, with biases that matter."""
    vary(module)
    return module.double()


def fire_by_hand(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Figure 1, from the weights alone."""

    def convolved(x: Tensor, name: str) -> Tensor:
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        sides = [weight.shape[-1] // 2] * 4
        windows = functional.pad(x, sides).unfold(2, weight.shape[-1], 1)
        windows = windows.unfold(3, weight.shape[-1], 1)
        maps = torch.einsum("bchwij,ocij->bohw", windows, weight) + bias[:, None, None]
        return maps.clamp(min=0)

    squeezed = convolved(x, "squeeze")
    return torch.cat([convolved(squeezed, "expand1x1"), convolved(squeezed, "expand3x3")], dim=1)


@given(channels=SIZES, squeeze=SIZES, expand=SIZES, height=SIZES, width=SIZES)
def test_a_fire_module_is_that_of_the_figure(
    channels: int, squeeze: int, expand: int, height: int, width: int
) -> None:
    fire = varied(Fire(channels, squeeze, expand))
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    before = x.clone()
    expected = fire_by_hand(x, fire.state_dict())
    torch.testing.assert_close(fire(x), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(x, before)


@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("version", ["1_0", "1_1"])
def test_the_network_is_that_of_torchvision(version: str, mode: str) -> None:
    other = varied(torchvision.models.SqueezeNet(version, num_classes=7))
    ours = create_model(f"squeezenet{version}", num_classes=7).double()
    ours.load_state_dict(other.state_dict())
    images = torch.randn(2, 3, 47, 34, dtype=torch.float64)
    results, gradients = [], []
    for model in (ours, other):
        torch.manual_seed(0)
        results.append(model.train(mode == "train")(images))
        total = results[-1].square().sum()
        gradients.append(torch.autograd.grad(total, list(model.parameters())))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


def test_the_sizes_of_table_1() -> None:
    """Of images of 227 x 227; the table writes 224."""
    shapes: list[tuple[str, int, int]] = []
    with torch.device("meta"):
        model = squeezenet1_0().eval()
        for layer in (*model.features, *model.classifier):
            layer.register_forward_hook(
                lambda module, _args, result: shapes.append(
                    (type(module).__name__, *result.shape[1:3])
                )
            )
        model(torch.zeros(1, 3, 227, 227))
    assert [shape for shape in shapes if shape[0] not in ("ReLU", "Dropout")] == [
        ("Conv2d", 96, 111),
        ("MaxPool2d", 96, 55),
        ("Fire", 128, 55),
        ("Fire", 128, 55),
        ("Fire", 256, 55),
        ("MaxPool2d", 256, 27),
        ("Fire", 256, 27),
        ("Fire", 384, 27),
        ("Fire", 384, 27),
        ("Fire", 512, 27),
        ("MaxPool2d", 512, 13),
        ("Fire", 512, 13),
        ("Conv2d", 1000, 13),
        ("AdaptiveAvgPool2d", 1000, 1),
    ]


def test_fire_modules_are_as_wide_in_both_versions() -> None:
    """Table 1: the channels to squeeze to, and those of the two convolutions that expand."""
    for build in (squeezenet1_0, squeezenet1_1):
        with torch.device("meta"):
            fires = [layer for layer in build().features if isinstance(layer, Fire)]
        widths = [
            [layer.out_channels for layer in (fire.squeeze, fire.expand1x1, fire.expand3x3)]
            for fire in fires
        ]
        assert widths == [[s, 4 * s, 4 * s] for s in (16, 16, 32, 32, 48, 48, 64, 64)]


def test_how_weights_start() -> None:
    model = squeezenet1_1(num_classes=50)
    *others, last = (m for m in model.modules() if isinstance(m, nn.Conv2d))
    assert len(others) == 1 + 8 * 3
    for layer in (*others, last):
        assert not layer.get_parameter("bias").any()
    for layer in others:
        bound = math.sqrt(6 / layer.weight[0].numel())
        assert 0.95 * bound < layer.weight.abs().max() < bound
    assert last.weight.std().item() == pytest.approx(0.01, rel=4 / math.sqrt(2 * 50 * 512))


@pytest.mark.parametrize("build", SMALL)
@settings(max_examples=20)
@given(height=SIDES, width=SIDES)
def test_each_map_is_coarser_by_its_stride(build: Build, height: int, width: int) -> None:
    model = build(in_channels=1).eval()
    assert isinstance(model, Backbone)
    maps = model.feature_maps(torch.randn(2, 1, height, width))
    for map_, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        lost = LEAST[build] - 16  # rows of a stride of 16 that make no further row
        expected = [(side - lost) // stride for side in (height, width)]
        assert map_.shape == (2, channels, *expected)


@pytest.mark.parametrize("build", SMALL)
def test_each_map_is_made_of_the_one_before(build: Build) -> None:
    model = build().eval()
    maps = model.feature_maps(torch.randn(2, 3, 64, 64))
    layers = list(model.features)
    pools = [index for index, layer in enumerate(layers) if isinstance(layer, nn.MaxPool2d)]
    bounds = itertools.pairwise([*pools[1:], len(layers)])
    for (finer, coarser), (start, stop) in zip(itertools.pairwise(maps), bounds, strict=True):
        torch.testing.assert_close(nn.Sequential(*layers[start:stop])(finer), coarser)


@pytest.mark.parametrize("build", SMALL)
def test_the_head_scores_every_pixel_and_averages(build: Build) -> None:
    model = varied(build(num_classes=7)).eval()
    images = torch.randn(2, 3, 50, 40, dtype=torch.float64)
    last = model.feature_maps(images)[-1]
    weight, bias = model.classifier[1].weight[:, :, 0, 0], model.classifier[1].bias
    scores = torch.einsum("bchw,oc->bohw", last, weight) + bias[:, None, None]
    assert scores.min() < 0
    torch.testing.assert_close(model(images), scores.clamp(min=0).mean((2, 3)))
    torch.testing.assert_close(model.pooled_features(images), last.mean((2, 3)))


def test_inputs_of_the_last_convolution_are_dropped_in_train_mode() -> None:
    model = squeezenet1_1_micro(num_classes=7, dropout=1.0)
    images = torch.randn(2, 3, 50, 40)
    assert model.pooled_features(images).count_nonzero() == 0
    assert model(images).count_nonzero() == 0  # as the bias starts
    model.eval()
    assert model.pooled_features(images).count_nonzero() > 0


@pytest.mark.slow
def test_maps_of_a_compiled_model() -> None:
    for build in SMALL:
        model = build().eval()
        compiled = torch.compile(model.feature_maps, backend="eager", fullgraph=True, dynamic=True)
        for height, width in ((64, 96), (100, 61)):
            images = torch.randn(2, 3, height, width)
            torch.testing.assert_close(compiled(images), model.feature_maps(images))


@pytest.mark.parametrize("build", SMALL)
def test_what_is_too_small_is_refused(build: Build) -> None:
    model, least = build(), LEAST[build]
    assert model(torch.zeros(1, 3, least, least)).shape == (1, 1000)
    with pytest.raises(ShapeError, match=f"height must be at least {least}, got {least - 1}"):
        model(torch.zeros(1, 3, least - 1, least))
    with pytest.raises(ShapeError, match=f"width must be at least {least}, got {least - 1}"):
        model(torch.zeros(1, 3, least, least - 1))


def test_the_contracts() -> None:
    assert str(signature(Fire(8, 2, 3))) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        'Float[Tensor, "batch channels=6 height width"]'
    )
    for build, rows in ((squeezenet1_0_micro, (9, 13, 21)), (squeezenet1_1_micro, (5, 9, 17))):
        model = build(in_channels=1, num_classes=7)
        assert str(signature(model)) == (
            '(images: Float[Tensor, "batch channels=1 height width"]) -> '
            'Float[Tensor, "batch classes=7"]'
        )
        maps = ", ".join(
            f'Float[Tensor, "batch channels={channels} '
            f'height=(height-{row})//{stride}+1 width=(width-{row})//{stride}+1"]'
            for channels, row, stride in zip(
                model.feature_channels, rows, model.strides, strict=True
            )
        )
        assert str(signature(model.feature_maps)) == (
            f'(images: Float[Tensor, "batch channels=1 height width"]) -> tuple[{maps}]'
        )


def test_a_fire_module_that_loses_the_border_is_refused() -> None:
    fire = Fire(3, 2, 4)
    for name in ("expand1x1", "expand3x3"):
        setattr(fire, name, nn.Conv2d(2, 4, 3))
    with pytest.raises(ShapeError, match="expected height = 7, got 5"):
        fire(torch.zeros(2, 3, 7, 7))


def test_pooling_that_drops_the_border_is_refused() -> None:
    model = squeezenet1_1_micro()
    model.features[2] = nn.MaxPool2d(3, stride=2)
    with pytest.raises(ShapeError, match=r"expected height=\(height-5\)//4\+1 = 8, got 7"):
        model.feature_maps(torch.zeros(2, 3, 33, 33))
