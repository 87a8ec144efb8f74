import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, create_model, model_info, signature
from shapezoo.models import VGG, Backbone, vgg_bn_micro, vgg_micro

SIZES = st.integers(32, 100)
PARAMETERS = {
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
}


def small(depths: tuple[int, int, int, int, int], *, dropout: float = 0.5) -> VGG:
    return VGG(depths, channels=(4, 5, 6, 7, 8), hidden_features=16, dropout=dropout)


def maps_by_hand(images: Tensor, depths: tuple[int, ...], state: dict[str, Tensor]) -> list[Tensor]:
    """The maps after each pooling, from the weights alone."""
    x, maps, place = images, [], 0
    for depth in depths:
        for _ in range(depth):
            layer = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
            x = functional.conv2d(x, *layer, padding="same").clamp(min=0)
            place += 2
        x = x.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
        maps.append(x)
        place += 1
    return maps


def logits_by_hand(maps: Tensor, state: dict[str, Tensor]) -> Tensor:
    x = functional.adaptive_avg_pool2d(maps, 7).flatten(1)
    for place in (0, 3):
        x = x @ state[f"classifier.{place}.weight"].T + state[f"classifier.{place}.bias"]
        x = x.clamp(min=0)
    return x @ state["classifier.6.weight"].T + state["classifier.6.bias"]


@settings(max_examples=20)
@given(
    batch=st.integers(0, 3),
    depths=st.tuples(*[st.integers(1, 3)] * 5),
    height=SIZES,
    width=SIZES,
)
def test_outputs_and_maps_equal_those_by_hand(
    batch: int, depths: tuple[int, int, int, int, int], height: int, width: int
) -> None:
    model = small(depths).double().eval()
    images = torch.randn(batch, 3, height, width, dtype=torch.float64)
    expected = maps_by_hand(images, depths, model.state_dict())
    for maps, by_hand in zip(model.feature_maps(images), expected, strict=True):
        torch.testing.assert_close(maps, by_hand, rtol=1e-12, atol=1e-12)
    logits = logits_by_hand(expected[-1], model.state_dict())
    torch.testing.assert_close(model(images), logits, rtol=1e-12, atol=1e-12)


def test_normalisation_by_zero_and_one_changes_nothing() -> None:
    plain, normalised = vgg_micro().double().eval(), vgg_bn_micro().double().eval()
    for one, other in zip(with_weights(plain), with_weights(normalised), strict=True):
        other.load_state_dict(one.state_dict())
    norms = [layer for layer in normalised.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert len(norms) == 5
    images = torch.randn(2, 3, 40, 50, dtype=torch.float64)
    assert not torch.equal(normalised(images), plain(images))
    for norm in norms:
        norm.eps = 0.0
    assert torch.equal(normalised(images), plain(images))
    for maps, others in zip(
        normalised.feature_maps(images), plain.feature_maps(images), strict=True
    ):
        assert torch.equal(maps, others)


def with_weights(model: nn.Module) -> list[nn.Conv2d | nn.Linear]:
    """The layers that are counted in the name of a VGG."""
    return [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]


@settings(max_examples=20)
@given(height=SIZES, width=SIZES)
def test_a_map_grows_by_one_row_per_stride(height: int, width: int) -> None:
    backbone: Backbone = vgg_bn_micro()
    maps = backbone.feature_maps(torch.zeros(2, 3, height, width))
    taller = backbone.feature_maps(torch.zeros(2, 3, height + 32, width))
    wider = backbone.feature_maps(torch.zeros(2, 3, height, width + 32))
    assert tuple(map_.shape[1] for map_ in maps) == backbone.feature_channels
    for stride, map_, tall, wide in zip(backbone.strides, maps, taller, wider, strict=True):
        assert (tall.shape[2] - map_.shape[2], tall.shape[3]) == (32 // stride, map_.shape[3])
        assert (wide.shape[3] - map_.shape[3], wide.shape[2]) == (32 // stride, map_.shape[2])


@pytest.mark.parametrize("name", PARAMETERS)
def test_layers_and_parameters_are_as_many_as_published(name: str) -> None:
    with torch.device("meta"):
        model = create_model(name)
    assert isinstance(model, VGG)
    (number,) = re.findall(r"\d+", name)
    assert len(with_weights(model)) == int(number)
    assert any(isinstance(m, nn.BatchNorm2d) for m in model.modules()) == name.endswith("_bn")
    assert model_info(name).parameters == PARAMETERS[name]


def test_the_column_d_of_table_1() -> None:
    with torch.device("meta"):
        model = create_model("vgg16")
        x, shapes = torch.zeros(1, 3, 224, 224), []
        for layer in model.get_submodule("features").children():
            x = layer(x)
            if not isinstance(layer, nn.ReLU):
                shapes.append(tuple(x.shape[1:3]))
    assert shapes == [
        *[(64, 224)] * 2,
        (64, 112),
        *[(128, 112)] * 2,
        (128, 56),
        *[(256, 56)] * 3,
        (256, 28),
        *[(512, 28)] * 3,
        (512, 14),
        *[(512, 14)] * 3,
        (512, 7),
    ]


def test_the_contract() -> None:
    assert str(signature(vgg_micro(in_channels=1, num_classes=7))) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )


@pytest.mark.parametrize("name", ["vgg_micro", "vgg_bn_micro"])
@pytest.mark.parametrize("training", [False, True])
def test_what_is_too_small_is_refused(name: str, training: bool) -> None:
    model = create_model(name).train(training)
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
    with pytest.raises(ShapeError, match="height must be at least 32, got 31"):
        model(torch.zeros(1, 3, 31, 32))
    with pytest.raises(ShapeError, match="width must be at least 32, got 31"):
        model(torch.zeros(1, 3, 32, 31))


def test_layers_that_break_a_contract_are_refused() -> None:
    model = vgg_micro()
    model.classifier[6] = nn.Linear(16, 10)
    with pytest.raises(ShapeError, match="expected classes = 1000, got 10"):
        model(torch.zeros(1, 3, 32, 32))
    model.features[5] = nn.MaxPool2d(2, ceil_mode=True)
    assert model.feature_maps(torch.zeros(1, 3, 64, 64))[1].shape == (1, 4, 16, 16)
    with pytest.raises(ShapeError, match=r"expected height=height//4 = 15, got 16"):
        model.feature_maps(torch.zeros(1, 3, 62, 64))


def test_dropout_follows_the_hidden_layers() -> None:
    images = torch.randn(2, 3, 32, 32)
    model = small((1, 1, 1, 1, 1), dropout=0.0).train()
    assert torch.equal(model(images), model.eval()(images))
    for place in (2, 5):
        layer = model.classifier[place]
        assert isinstance(layer, nn.Dropout)
        layer.p = 1.0
        logits = model.train()(images)
        assert torch.equal(logits[0], logits[1])
        layer.p = 0.0


def test_how_weights_start() -> None:
    model = VGG((1, 1, 1, 1, 1), hidden_features=256, batch_norm=True)
    for layer in with_weights(model):
        weight = layer.weight
        is_conv = isinstance(layer, nn.Conv2d)
        std = (2 / (9 * weight.shape[0])) ** 0.5 if is_conv else 0.01
        assert weight.std().item() == pytest.approx(std, rel=0.05)
        assert abs(weight.mean()) < 0.05 * std
        within = (weight.abs() < std).float().mean().item()
        assert within == pytest.approx(0.683, abs=0.03)  # a normal distribution
        assert layer.bias is not None
        assert not layer.bias.any()
    norms = [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(bool((norm.weight == 1).all()) and not norm.bias.any() for norm in norms)
