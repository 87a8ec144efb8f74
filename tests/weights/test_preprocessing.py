"""Preprocessing is that of the publisher, and fits the model."""

import enum
import itertools
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from torch import nn

from shapezoo import ShapeError, create_model, list_models, model_info, signature
from shapezoo.models import resnet_micro
from shapezoo.weights import PublishedWeights, WeightsError, preprocess
from shapezoo.weights.adapting import with_channels
from shapezoo.weights.published import find_published

WEIGHTS = [weights for name in list_models(published=True) for weights in model_info(name).weights]

(RESNET,) = model_info("resnet18").weights
(GOOGLENET,) = model_info("googlenet").weights


def drawn(channels: int) -> Image.Image:
    """A picture of random bytes."""
    pixels = np.random.default_rng(channels).integers(256, size=(50, 63, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze())


def called(weights: PublishedWeights) -> str:
    return f"{weights.model}-{weights.name}"


@pytest.mark.parametrize("weights", WEIGHTS, ids=called)
def test_what_comes_out_is_what_the_model_takes(weights: PublishedWeights) -> None:
    keywords = model_info(weights.model).hyperparameters
    sizes: dict[str, Any] = {"image_size": weights.image_size} if "image_size" in keywords else {}
    with torch.device("meta"):
        contract = signature(create_model(weights.model, **sizes))
    images = preprocess(torch.zeros(2, 3, 20, 30, dtype=torch.uint8), weights)
    assert images.shape == (2, 3, weights.image_size, weights.image_size)
    assert contract.accepts(images.shape)


@pytest.mark.parametrize("weights", WEIGHTS, ids=called)
def test_it_is_that_of_the_publisher(weights: PublishedWeights) -> None:
    theirs = torchvision.models.get_weight(
        f"{torchvision.models.get_model_weights(weights.model).__name__}.{weights.name}"
    ).transforms()
    picture = torch.randint(256, (3, 41, 33), dtype=torch.uint8)
    expected = theirs(picture)
    tolerance = 0.0
    if weights.model in ("googlenet", "inception_v3"):  # whose models do the rest
        tolerance = 1e-6
        with torch.device("meta"):
            model = torchvision.models.get_model(
                weights.model, transform_input=True, init_weights=False
            )
        expected = model._transform_input(expected[None])[0]
    torch.testing.assert_close(preprocess(picture, weights), expected, rtol=0, atol=tolerance)


def test_floats_are_taken_from_0_to_1() -> None:
    (weights,) = model_info("resnet18").weights
    picture = torch.randint(256, (1, 3, 256, 256), dtype=torch.uint8)
    torch.testing.assert_close(preprocess(picture / 255, weights), preprocess(picture, weights))


def test_another_size() -> None:
    (weights,) = model_info("resnet18").weights
    larger = replace(weights, resize_size=300, image_size=288)
    assert preprocess(torch.rand(3, 9, 9), larger).shape == (3, 288, 288)


@given(lead=st.lists(st.integers(0, 3), max_size=4), channels=st.sampled_from([1, 3, 4]))
def test_any_number_of_batch_axes(lead: list[int], channels: int) -> None:
    """Each image comes out as it would alone."""
    small = replace(RESNET, resize_size=8, image_size=7)
    images = torch.randint(256, (*lead, channels, 9, 12), dtype=torch.uint8)
    for wanted in (1, 3):
        result = preprocess(images, small, channels=wanted)
        assert result.shape == (*lead, wanted, 7, 7)
        for index in itertools.product(*map(range, lead)):
            alone = preprocess(images[index], small, channels=wanted)
            torch.testing.assert_close(result[index], alone)


PICTURES = {
    "RGB": drawn(3),
    "L": drawn(1),
    "RGBA": drawn(4),
}


@pytest.mark.parametrize("mode", PICTURES)
def test_pictures_of_pillow_are_scaled_as_by_the_publisher(mode: str) -> None:
    """To the last bit; the publisher takes RGB only."""
    picture = PICTURES[mode]
    white = Image.new("RGBA", picture.size, "white")
    colours = Image.alpha_composite(white, picture.convert("RGBA")).convert("RGB")
    for weights in WEIGHTS:
        if weights.model not in ("googlenet", "inception_v3"):  # whose models do the rest
            enum_of_model = torchvision.models.get_model_weights(weights.model)
            theirs = enum_of_model[weights.name].transforms()
            assert torch.equal(preprocess(picture, weights), theirs(colours)), weights


def test_grey_tensors_are_repeated_and_alpha_is_put_on_white() -> None:
    grey = torch.randint(256, (2, 1, 30, 40), dtype=torch.uint8)
    repeated = preprocess(grey.expand(-1, 3, -1, -1), RESNET)
    torch.testing.assert_close(preprocess(grey, RESNET), repeated)
    colours = torch.randint(256, (2, 3, 30, 40), dtype=torch.uint8)
    opaque, clear = (torch.full((2, 1, 30, 40), value, dtype=torch.uint8) for value in (255, 0))
    seen = preprocess(torch.cat([colours, opaque], 1), RESNET)
    torch.testing.assert_close(seen, preprocess(colours, RESNET))
    unseen = preprocess(torch.cat([colours, clear], 1), RESNET)
    torch.testing.assert_close(unseen, preprocess(torch.full_like(colours, 255), RESNET))
    mixed = torch.cat([colours, torch.randint_like(opaque, 256)], 1)
    close = partial(torch.testing.assert_close, rtol=0, atol=1 / 255 / 0.2)  # bytes are rounded
    close(preprocess(mixed, RESNET), preprocess(mixed / 255, RESNET))
    by_pillow = Image.fromarray(mixed[0].movedim(0, -1).numpy(), "RGBA")
    close(preprocess(mixed[0], RESNET), preprocess(by_pillow, RESNET))


def filled() -> tuple[nn.Module, nn.Module]:
    """A model for colours and one for grey images, as `create_model` adapts it."""
    colour, grey = resnet_micro().double().eval(), resnet_micro(in_channels=1).double().eval()
    state = colour.state_dict()
    (first,) = (key for key, t in grey.state_dict().items() if t.shape != state[key].shape)
    grey.load_state_dict({**state, first: with_channels(state[first], 1)})
    return colour, grey


@pytest.mark.parametrize("is_exact", [False, True])
def test_a_model_for_grey_images_computes_what_that_for_colours_does(is_exact: bool) -> None:
    """Exactly (but for rounding) where all colours are normalised alike, otherwise nearly."""
    weights = GOOGLENET if is_exact else RESNET
    colour, grey = filled()
    picture = torch.rand(2, 1, 60, 50)
    picture[0, 0, :20], picture[0, 0, 20:40] = 0, 1
    small = replace(weights, resize_size=40, image_size=40)
    seen_by_grey = preprocess(picture, small, channels=1).double()
    repeated = picture.expand(-1, 3, -1, -1)
    alike = replace(small, mean=(sum(small.mean) / 3,) * 3, std=(sum(small.std) / 3,) * 3)
    expected = colour(preprocess(repeated, alike).double())
    torch.testing.assert_close(grey(seen_by_grey), expected, rtol=1e-5, atol=1e-5)
    seen_by_colour = preprocess(repeated, small).double()
    # the documentation states this bound
    assert (seen_by_colour - seen_by_grey).abs().max() < (1e-5 if is_exact else 0.21)


def test_colours_become_grey_for_a_model_with_one_channel() -> None:
    small = replace(GOOGLENET, resize_size=9, image_size=9)
    colours = torch.rand(3, 9, 9)
    red, green, blue = colours
    luminance = 0.299 * red + 0.587 * green + 0.114 * blue
    expected = (luminance[None] - 0.5) / 0.5
    torch.testing.assert_close(preprocess(colours, small, channels=1), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 2, 9, 9), r"1, 3 or 4 channels \(grey, RGB or RGBA\), got 2 in \(2, 2, 9, 9\)$"),
        ((20, 30, 3), r"got 20 in \(20, 30, 3\); .*pass images\.movedim\(-1, -3\)$"),
        ((3, 0, 9), r"images must have pixels, got \(3, 0, 9\)$"),
        ((3, 9, 0), "images must have pixels"),
    ],
)
def test_images_that_cannot_be_used_are_refused(shape: tuple[int, ...], message: str) -> None:
    images = torch.zeros(shape)
    with pytest.raises(ValueError, match=message):
        preprocess(images, RESNET)
    if "movedim" in message:
        assert preprocess(images.movedim(-1, -3), RESNET).shape == (3, 224, 224)


def test_other_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match=r"images must have pixels, got .* \(0, 5\)"):
        preprocess(Image.new("RGB", (0, 5)), RESNET)
    for channels in (0, 2, 4, True):
        with pytest.raises(ValueError, match=f"channels must be 1 or 3, got {channels}"):
            preprocess(torch.zeros(3, 9, 9), RESNET, channels=channels)
    with pytest.raises(ShapeError, match="argument 'images'"):
        preprocess(torch.zeros(3, 9, 9, dtype=torch.int32), RESNET)
    with pytest.raises(TypeError, match=r"got 'picture\.png'; open a file with PIL\.Image\.open"):
        preprocess("picture.png", RESNET)  # type: ignore[call-overload]  # the fault under test
    with pytest.raises(ValueError, match=r"floats must have values from 0 to 65535, got -1 to -1"):
        preprocess(Image.new("F", (9, 9), -1), RESNET)


IMAGES: list[Any] = [
    torch.zeros(9, 8),
    np.zeros((9, 8), np.uint8),
    np.zeros((3, 9, 8), np.uint8),
    np.zeros((9, 8, 3), np.uint8),
    np.zeros((2, 9, 8, 4), np.float32),
    [torch.zeros(3, 9, 8), torch.zeros(3, 7, 8)],
    (Image.new("RGB", (9, 8)), Image.new("L", (8, 9))),
]


@pytest.mark.parametrize("number", range(len(IMAGES)))
def test_hints_for_images_work(number: int) -> None:
    images = IMAGES[number]
    with pytest.raises((TypeError, ValueError), match=r"^images must .*; .*pass ") as error:
        preprocess(images, RESNET)
    hint = str(error.value).rpartition("pass ")[2].removesuffix(" to the model")
    names = {"torch": torch, "images": images, "preprocess": preprocess, "weights": RESNET}
    result = eval(hint, names)
    if "preprocess" not in hint:
        result = preprocess(result, RESNET)
    assert result.shape[-3:] == (3, 224, 224)


@pytest.mark.parametrize("shape", [(), (5,)])
def test_tensors_that_are_no_images_get_no_hint(shape: tuple[int, ...]) -> None:
    expected = re.escape(str(shape))
    with pytest.raises(ValueError, match=rf"^images must have three axes .*, got {expected}$"):
        preprocess(torch.zeros(shape), RESNET)


@pytest.mark.parametrize("name", torchvision.models.list_models(module=torchvision.models))
def test_members_of_the_enums_of_torchvision_are_taken(name: str) -> None:
    """Also of models that the zoo does not have: the preprocessing is that of the weights."""
    member = torchvision.models.get_model_weights(name).DEFAULT
    picture = torch.randint(256, (3, 41, 33), dtype=torch.uint8)
    assert torch.equal(
        preprocess(picture, member), preprocess(picture, find_published(name, "DEFAULT"))
    )
    if name not in ("googlenet", "inception_v3"):  # theirs is checked above
        torch.testing.assert_close(preprocess(picture, member), member.transforms()(picture))


class Colour(enum.Enum):
    RED = 1


NOT_WEIGHTS: list[tuple[Any, str]] = [
    (model_info("resnet50").weights, r"a tuple of 2 PublishedWeights; .*such as weights\[1\]$"),
    ("DEFAULT", "got 'DEFAULT'; a name does not say how images .* ResNet18_Weights.DEFAULT"),
    ("ResNet18_Weights.DEFAULT", "a name does not say how"),
    ("my.pth", "got 'my.pth'; a file does not record how its images were preprocessed"),
    (Path("w"), "a file does not record"),
    (torchvision.models.ResNet18_Weights, r"a member of it, such as ResNet18_Weights\.DEFAULT$"),
    (None, "got None$"),
    ({}, r"got \{\}$"),
]


@pytest.mark.parametrize("number", range(len(NOT_WEIGHTS)))
def test_weights_of_the_wrong_type_are_refused(number: int) -> None:
    weights, message = NOT_WEIGHTS[number]
    expected = "^weights must be PublishedWeights or a member of torchvision's enum of them, "
    with pytest.raises(TypeError, match=f"{expected}.*{message}"):
        preprocess(torch.zeros(3, 9, 9), weights)


def test_enums_of_others_are_refused() -> None:
    with pytest.raises(WeightsError, match=r"^Colour\.RED are not weights that torchvision"):
        preprocess(torch.zeros(3, 9, 9), Colour.RED)


def test_the_result_is_checked() -> None:
    (weights,) = model_info("resnet18").weights
    broken = replace(weights, image_size=2.5)  # type: ignore[arg-type]  # the fault under test
    with pytest.raises((ShapeError, TypeError)):
        preprocess(torch.rand(3, 9, 9), broken)
    with pytest.raises((ShapeError, TypeError)):
        preprocess(Image.new("RGB", (9, 9)), broken)
