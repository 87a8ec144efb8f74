"""Preprocessing is that of the publisher, and fits the model."""

from dataclasses import replace
from typing import Any

import pytest
import torch
import torchvision

from shapezoo import ShapeError, create_model, list_models, model_info, signature
from shapezoo.contracts.types import tensors
from shapezoo.weights import PublishedWeights, preprocess

WEIGHTS = [weights for name in list_models(published=True) for weights in model_info(name).weights]


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
    if weights.model in ("googlenet", "inception_v3"):  # whose models do the rest
        with torch.device("meta"):
            model = torchvision.models.get_model(
                weights.model, transform_input=True, init_weights=False
            )
        expected = model._transform_input(expected[None])[0]
    torch.testing.assert_close(preprocess(picture, weights), expected)


def test_floats_are_taken_from_0_to_1() -> None:
    (weights,) = model_info("resnet18").weights
    picture = torch.randint(256, (1, 3, 256, 256), dtype=torch.uint8)
    torch.testing.assert_close(preprocess(picture / 255, weights), preprocess(picture, weights))


def test_another_size() -> None:
    (weights,) = model_info("resnet18").weights
    larger = replace(weights, resize_size=300, image_size=288)
    assert preprocess(torch.rand(3, 9, 9), larger).shape == (3, 288, 288)


def test_grey_pictures_are_refused() -> None:
    (weights,) = model_info("resnet18").weights
    with pytest.raises(ShapeError, match="expected channels = 3, got 1"):
        preprocess(torch.rand(2, 1, 9, 9), weights)


def test_the_result_is_checked() -> None:
    (weights,) = model_info("resnet18").weights
    assert [str(axis) for t in tensors(signature(preprocess).output) for axis in t.axes] == [
        *("*batch", "channels=3"),
        *(f"{axis}={{weights.image_size}}" for axis in ("height", "width")),
    ]
    broken = replace(weights, image_size=2.5)  # type: ignore[arg-type]  # the fault under test
    with pytest.raises((ShapeError, TypeError)):
        preprocess(torch.rand(3, 9, 9), broken)
