"""One graph of a model with published weights serves images of many sizes."""

from typing import Any

import pytest
from hypothesis.strategies import SearchStrategy
from tests.zoo.subjects import accepted, accepted_from, by_class, small_images, vary

from shapezoo import Module, create_model, list_models, model_info, signature
from shapezoo.contracts.examples.arguments import free_axes
from shapezoo.testing import Call, assert_compiles, assert_exports, inputs

NAMES = [names[0] for names in by_class(list_models(published=True)).values()]
"""One of each class: the others repeat its blocks, and would take minutes and much memory."""

SIZES = range(132, 161)
"""Sizes of images at which no size inside a model is 1 for some images only: programs fix a 1."""


@pytest.mark.release
@pytest.mark.parametrize("name", NAMES)
def test_one_graph_serves_all_sizes(name: str) -> None:
    model = create_model(name, **small_images(name)).eval()
    vary(model)
    assert_compiles(model, calls(model), max_examples=2)
    static = model_info(name).static_axes
    assert_exports(model, calls(model), static=static, max_examples=2)


def calls(model: Module) -> SearchStrategy[Call]:
    """Calls with two images, of sizes that a graph may see."""
    sizes: dict[str, Any] = {
        axis: list(accepted(model, axis, SIZES)) or accepted_from(model, axis, SIZES[0], 1)
        for axis in free_axes(signature(model))
        if axis != "batch"
    }
    return inputs(model, batch=range(2, 4), **sizes)
