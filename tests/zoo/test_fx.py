"""Models can be traced by `torch.fx`, and torchvision extracts features from them."""

from typing import Any

import pytest
import torch
from tests.zoo.subjects import accepted_from, shell, vary
from torch import Tensor, fx
from torch.fx.proxy import TraceError
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

from shapezoo import Module, create_model, list_models, model_info, signature
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.models import Backbone

pytestmark = pytest.mark.filterwarnings("ignore:NOTE. The nodes obtained by tracing")

SMALL = list_models(published=False)
BACKBONES = [name for name in SMALL if isinstance(shell(name), Backbone)]
SIZES = {"batch": 3, "height": 299, "width": 302}
MODES = ("eval", "train")


def subject(name: str, mode: str = "eval") -> Module:
    model = create_model(name).train(mode == "train")
    vary(model)
    return model


def images_for(model: Module) -> Tensor:
    axes = free_axes(signature(model))
    sizes = {axis: accepted_from(model, axis, SIZES[axis])[0] for axis in axes}
    (images,), _ = example_arguments(signature(model), sizes)
    assert isinstance(images, Tensor)
    return torch.rand_like(images)


def seeded(function: Any, *args: Any, **kwargs: Any) -> Any:
    torch.manual_seed(0)
    return function(*args, **kwargs)


@pytest.mark.parametrize("mode", MODES)
def test_every_backbone_can_be_traced(mode: str) -> None:
    for name in BACKBONES:
        fx.symbolic_trace(create_model(name).train(mode == "train"))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", [name for name in SMALL if name not in BACKBONES])
def test_another_model_can_be_traced_if_it_is_one_graph_for_all_sizes(name: str, mode: str) -> None:
    """Others may loop over time, or pack sequences of lengths that only the data decide."""
    info, model = model_info(name), create_model(name).train(mode == "train")
    try:
        traced = fx.symbolic_trace(model)
    except TraceError:
        assert info.static_axes or not info.is_one_graph
        return
    args, kwargs = example_arguments(info.signature, dict.fromkeys(free_axes(info.signature), 32))
    torch.testing.assert_close(
        seeded(traced, *args, **kwargs), seeded(model, *args, **kwargs), rtol=0, atol=0
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BACKBONES)
def test_a_traced_backbone_gives_the_same(name: str, mode: str) -> None:
    model = subject(name, mode)
    images = images_for(model)
    ours, theirs = seeded(model, images), seeded(fx.symbolic_trace(model), images)
    torch.testing.assert_close(theirs, ours, rtol=0, atol=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", BACKBONES)
def test_features_can_be_extracted(name: str, mode: str) -> None:
    model = subject(name, mode)
    images = images_for(model)
    last = [names[-1] for names in get_graph_node_names(model)]
    extractor = create_feature_extractor(
        model, train_return_nodes=last[:1], eval_return_nodes=last[1:]
    )
    (found,) = seeded(extractor, images).values()
    logits = seeded(model, images)
    if mode == "eval":
        assert torch.equal(found, logits)
    else:  # what leads to other nodes is cut off, so dropout draws other numbers
        assert found.shape == (logits if isinstance(logits, Tensor) else logits[0]).shape


@pytest.mark.slow
@pytest.mark.parametrize("name", list_models(published=True))
def test_features_of_published_models_can_be_extracted(name: str) -> None:
    assert all(get_graph_node_names(shell(name)))
