"""Every assertion of `shapezoo.testing` holds for every registered model.

Which axes a graph fixes, and whether there can be one, are data of the registry. Models with
published weights are too large for all of that, and are visited in `test_published.py`; each has a
small one of its class here.
"""

from typing import Any

import pytest
import torch
from tests.zoo.subjects import accepted_from, before_a_release, by_class, shell

from shapezoo import create_model, list_models, model_info, signature
from shapezoo.contracts import UnionType
from shapezoo.contracts.examples.arguments import counted_axis, free_axes
from shapezoo.models import Backbone
from shapezoo.testing import (
    assert_batch_first_equivalent,
    assert_batch_independent,
    assert_compiles,
    assert_contract,
    assert_exports,
    assert_gradients,
    assert_padding_invariant,
    assert_proved,
    inputs,
)
from shapezoo.verdicts import Mode, verdicts

NAMES = list_models(published=False)
PADDED = [name for name in NAMES if counted_axis(signature(shell(name)))]
TRANSPOSED = [name for name in NAMES if "batch_first" in model_info(name).hyperparameters]
COURSE = [name for name in NAMES if not isinstance(shell(name), Backbone)]
EXPORTED = {"height": range(132, 161), "width": range(132, 161)}
"""Sizes of images at which no size inside a model is 1 for some images only: programs fix a 1."""

LONG = ["maxvit_micro"]
"""Models of which Dynamo takes minutes, so that they are compiled before a release only."""

MODES: tuple[Mode, ...] = ("eval", "train")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_the_contract_is_enforced_and_true(name: str, mode: Mode) -> None:
    assert_contract(create_model(name).train(mode == "train"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_every_parameter_gets_a_finite_gradient(name: str, mode: Mode) -> None:
    model = create_model(name).train(mode == "train")
    if mode == "eval" and isinstance(signature(model).output, UnionType):
        with pytest.raises(AssertionError, match=r"(?i)\baux"):  # for training alone
            assert_gradients(model)
    else:
        assert_gradients(model)


@pytest.mark.parametrize("name", NAMES)
def test_an_example_does_not_depend_on_its_batch_mates(name: str) -> None:
    assert_batch_independent(create_model(name))


@pytest.mark.parametrize("name", PADDED)
def test_padding_does_not_matter(name: str) -> None:
    assert_padding_invariant(create_model(name))


@pytest.mark.parametrize("name", TRANSPOSED)
def test_batch_first_is_a_transpose(name: str) -> None:
    assert_batch_first_equivalent(create_model(name), create_model(name, batch_first=True))


@pytest.mark.release
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", COURSE)
def test_the_contract_is_proved(name: str, mode: Mode) -> None:
    """In CI, `test_verdicts.py` proves as much."""
    preconditions = [str(condition) for condition in verdicts(name)[mode].preconditions]
    assert_proved(create_model(name).train(mode == "train"), preconditions=preconditions)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "max_examples"),
    [
        *((name, 5 if name in COURSE else 2) for name in NAMES if name not in LONG),
        *(pytest.param(name, 5, marks=pytest.mark.release) for name in NAMES if name not in COURSE),
    ],
)
def test_the_model_compiles_with_its_checks(name: str, max_examples: int) -> None:
    model, is_one_graph = create_model(name), model_info(name).is_one_graph
    calls = inputs(model, **exported_sizes(name)) if model_info(name).static_axes else None
    with torch._dynamo.config.patch(allow_rnn=True):
        assert_compiles(model, calls, fullgraph=is_one_graph, max_examples=max_examples)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [*(name for name in NAMES if name not in LONG), *before_a_release(LONG)]
)
def test_the_model_exports_as_the_registry_says(name: str) -> None:
    info, model = model_info(name), create_model(name).eval()
    if info.is_one_graph:
        sizes = exported_sizes(name)
        assert_exports(model, inputs(model, **sizes) if sizes else None, static=info.static_axes)
    if info.static_axes or not info.is_one_graph:
        with pytest.raises(AssertionError, match="cannot be exported"):
            assert_exports(model)


def exported_sizes(name: str) -> dict[str, Any]:
    """Sizes of images for a graph; the smallest large one where it is fixed."""
    info, model = model_info(name), shell(name)
    axes = [axis for axis in free_axes(info.signature) if axis in EXPORTED]
    return {
        axis: accepted_from(model, axis, EXPORTED[axis][0], 1)
        if axis in info.static_axes
        else EXPORTED[axis]
        for axis in axes
    }


def test_some_models_have_lengths_and_some_two_layouts() -> None:
    assert PADDED
    assert TRANSPOSED


def test_models_with_published_weights_have_a_small_one_of_their_class() -> None:
    large, small = (
        by_class(list_models(published=published)).keys() for published in (True, False)
    )
    assert large
    assert large <= small
