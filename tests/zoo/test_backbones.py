"""Every model with published weights gives its feature maps, with a contract and strides."""

import itertools
from typing import Any

import pytest
from tests.zoo.subjects import accepted, accepted_from, one_before_a_release_all, shell
from torch import Tensor

from shapezoo import Module, create_model, list_models, signature
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.models import Backbone
from shapezoo.testing import assert_contract, assert_proved, inputs
from shapezoo.verdicts import verdicts

LARGE = 128
"""Pixels that are enough for every model."""

BUDGET = 3600.0
"""Seconds for a proof, far more than any takes."""

NAMES = [name for name in list_models(published=False) if isinstance(shell(name), Backbone)]


@pytest.mark.parametrize("name", list_models(published=True))
def test_models_with_published_weights_are_backbones(name: str) -> None:
    assert isinstance(shell(name), Backbone)


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_of_the_maps_is_enforced_and_true(name: str) -> None:
    model = create_model(name).eval()
    assert isinstance(model, Backbone)
    sizes: dict[str, Any] = {
        axis: accepted_from(model, axis, LARGE - 9) for axis in open_sides(model)
    }
    assert_contract(model.feature_maps, inputs(model.feature_maps, **sizes))


@pytest.mark.parametrize("name", one_before_a_release_all(NAMES))
def test_the_contract_of_the_maps_is_proved_for_all_images_that_the_model_takes(name: str) -> None:
    model = create_model(name).eval()
    assert isinstance(model, Backbone)
    proof = assert_proved(model.feature_maps, budget=BUDGET)
    assert proof.is_exact
    assert proof.preconditions == verdicts(name)["eval"].preconditions


@pytest.mark.parametrize("name", NAMES)
def test_strides_and_channels_are_those_of_the_maps(name: str) -> None:
    """A map grows by one where the image grows by its stride, if the model takes such an image."""
    model = shell(name)
    assert isinstance(model, Backbone)
    assert list(model.strides) == sorted(model.strides)
    maps = model.feature_maps(image(model))
    assert [m.shape[1] for m in maps] == [*model.feature_channels]
    for number, stride in enumerate(model.strides):
        if open_sides(model):
            sides = image(model).shape[2:]
            larger = image(model, more=stride)
            grown = model.feature_maps(larger)[number].shape[2:]
            for before, after, side, wider in zip(
                maps[number].shape[2:], grown, sides, larger.shape[2:], strict=True
            ):
                assert after - before == (wider - side) // stride > 0
        else:
            assert maps[number].shape[2] == image(model).shape[2] // stride


def open_sides(model: Module) -> list[str]:
    """Height and width of the images, where they may be of any size."""
    return [axis for axis in free_axes(signature(model)) if axis != "batch"]


def image(model: Module, more: int = 0) -> Tensor:
    """A large image, or one of the size that the model takes; or one larger by multiples."""
    sizes = {"batch": 1}
    for axis in open_sides(model):
        (least,) = accepted_from(model, axis, LARGE, 1)
        larger = itertools.count(least + more, more)
        sizes[axis] = next(accepted(model, axis, larger)) if more else least
    (images,), _ = example_arguments(signature(model), sizes, device="meta")
    assert isinstance(images, Tensor)
    return images
