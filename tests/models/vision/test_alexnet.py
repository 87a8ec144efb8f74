import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, model_info, signature
from shapezoo.models import AlexNet, Backbone, alexnet_micro

SIZES = st.integers(63, 130)
CONVOLUTIONS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
"""Stride and padding of each convolution, by its place among the layers."""


def maps_by_hand(images: Tensor, state: dict[str, Tensor]) -> list[Tensor]:
    """The maps after each pooling, from the weights alone."""
    x, maps = images, []
    for place, (stride, padding) in CONVOLUTIONS.items():
        layer = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
        x = functional.conv2d(x, *layer, stride=stride, padding=padding).clamp(min=0)
        if place in (0, 3, 10):
            x = x.unfold(2, 3, 2).unfold(3, 3, 2).amax(dim=(4, 5))
            maps.append(x)
    return maps


def logits_by_hand(maps: Tensor, state: dict[str, Tensor]) -> Tensor:
    x = functional.adaptive_avg_pool2d(maps, 6).flatten(1)
    for place in (1, 4):
        x = x @ state[f"classifier.{place}.weight"].T + state[f"classifier.{place}.bias"]
        x = x.clamp(min=0)
    return x @ state["classifier.6.weight"].T + state["classifier.6.bias"]


@settings(max_examples=20)
@given(
    batch=st.integers(0, 3),
    in_channels=st.integers(1, 3),
    num_classes=st.integers(1, 12),
    height=SIZES,
    width=SIZES,
)
def test_outputs_and_maps_equal_those_by_hand(
    batch: int, in_channels: int, num_classes: int, height: int, width: int
) -> None:
    model = alexnet_micro(in_channels=in_channels, num_classes=num_classes).double().eval()
    images = torch.randn(batch, in_channels, height, width, dtype=torch.float64)
    expected = maps_by_hand(images, model.state_dict())
    for maps, by_hand in zip(model.feature_maps(images), expected, strict=True):
        torch.testing.assert_close(maps, by_hand, rtol=1e-12, atol=1e-12)
    logits = logits_by_hand(expected[-1], model.state_dict())
    torch.testing.assert_close(model(images), logits, rtol=1e-12, atol=1e-12)


@settings(max_examples=20)
@given(height=SIZES, width=SIZES)
def test_a_map_grows_by_one_row_per_stride(height: int, width: int) -> None:
    backbone: Backbone = alexnet_micro()
    maps = backbone.feature_maps(torch.zeros(2, 3, height, width))
    taller = backbone.feature_maps(torch.zeros(2, 3, height + 32, width))
    wider = backbone.feature_maps(torch.zeros(2, 3, height, width + 32))
    assert tuple(map_.shape[1] for map_ in maps) == backbone.feature_channels
    for stride, map_, tall, wide in zip(backbone.strides, maps, taller, wider, strict=True):
        assert (tall.shape[2] - map_.shape[2], tall.shape[3]) == (32 // stride, map_.shape[3])
        assert (wide.shape[3] - map_.shape[3], wide.shape[2]) == (32 // stride, map_.shape[2])


def test_every_size_of_the_drawing() -> None:
    with torch.device("meta"):
        model, x = AlexNet(), torch.zeros(1, 3, 224, 224)
        shapes = []
        for layer in model.features:
            x = layer(x)
            if not isinstance(layer, nn.ReLU):
                shapes.append(tuple(x.shape[1:]))
    assert shapes == [
        (64, 55, 55),
        (64, 27, 27),
        (192, 27, 27),
        (192, 13, 13),
        (384, 13, 13),
        (256, 13, 13),
        (256, 13, 13),
        (256, 6, 6),
    ]


def test_the_number_of_parameters() -> None:
    assert model_info("alexnet").parameters == 61_100_840
    assert model_info("alexnet_micro").parameters < 300_000


def test_the_contract() -> None:
    assert str(signature(alexnet_micro(in_channels=1, num_classes=7))) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )


def test_what_is_too_small_is_refused() -> None:
    model = alexnet_micro().eval()
    assert model(torch.zeros(1, 3, 63, 63)).shape == (1, 1000)
    with pytest.raises(ShapeError, match="height must be at least 63, got 62"):
        model(torch.zeros(1, 3, 62, 63))
    with pytest.raises(ShapeError, match="width must be at least 63, got 62"):
        model(torch.zeros(1, 3, 63, 62))


def test_layers_that_break_a_contract_are_refused() -> None:
    model = alexnet_micro()
    model.classifier[6] = nn.Linear(16, 10)
    with pytest.raises(ShapeError, match="expected classes = 1000, got 10"):
        model(torch.zeros(1, 3, 64, 64))
    model.features[5] = nn.MaxPool2d(3, stride=2, padding=1)
    with pytest.raises(ShapeError, match=r"expected height=\(height-31\)//16\+1 = 3, got 4"):
        model.feature_maps(torch.zeros(1, 3, 64, 64))


def test_dropout_is_in_front_of_the_hidden_layers() -> None:
    images = torch.randn(2, 3, 64, 64)
    model = AlexNet(channels=(4, 6, 8, 8, 8), hidden_features=16, dropout=0.0).train()
    assert torch.equal(model(images), model.eval()(images))
    for place in (0, 3):
        layer = model.classifier[place]
        assert isinstance(layer, nn.Dropout)
        layer.p = 1.0
        logits = model.train()(images)
        assert torch.equal(logits[0], logits[1])
        layer.p = 0.0


def test_weights_start_as_those_of_pytorch() -> None:
    """Uniform up to the inverse root of the number of inputs, as in `torch.nn.Linear`."""
    layers = [m for m in AlexNet(hidden_features=256).modules() if hasattr(m, "weight")]
    assert len(layers) == 8
    for layer in layers:
        assert isinstance(layer, nn.Conv2d | nn.Linear)
        assert layer.bias is not None
        weight, bound = layer.weight, layer.weight[0].numel() ** -0.5
        assert 0.99 * bound < weight.abs().max() <= bound
        assert abs(weight.mean()) < 0.02 * bound
        assert weight.std().item() == pytest.approx(bound / 3**0.5, rel=0.02)
        assert 0.5 * bound < layer.bias.abs().max() <= bound
