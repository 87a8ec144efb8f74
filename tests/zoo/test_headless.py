"""Every model with published weights returns its pooled features, and can lose its head."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torchvision
from tests.zoo.subjects import (
    accepted_from,
    by_class,
    fill_statistics,
    one_before_a_release_all,
    shell,
    small_images,
    vary,
)
from torch import Tensor, fx, nn

from shapezoo import Module, create_model, list_models, model_info, signature, trace
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.models import Backbone, HasPooledFeatures, Headless, VisionTransformer
from shapezoo.testing import (
    assert_compiles,
    assert_contract,
    assert_exports,
    assert_gradients,
    assert_proved,
    inputs,
)
from shapezoo.verdicts import verdicts

NAMES = [name for name in list_models(published=False) if isinstance(shell(name), Backbone)]
PUBLISHED = [names[0] for names in by_class(list_models(published=True)).values()]
MODES = pytest.mark.parametrize("mode", ["eval", "train"])
LEAST = {"height": 128, "width": 130}
BUDGET = 3600.0
"""Seconds for a proof, far more than any takes."""


def subject(name: str, mode: str = "eval", **hyperparameters: Any) -> Any:
    """A model with weights that all matter; it is a module and has pooled features."""
    model = create_model(name, **hyperparameters).train(mode == "train")
    assert isinstance(model, HasPooledFeatures)
    vary(model)
    return model


def images_for(model: Module) -> Tensor:
    sizes = {axis: least(model, axis) for axis in free_axes(signature(model))}
    (images,), _ = example_arguments(signature(model), sizes)
    assert isinstance(images, Tensor)
    return torch.randn(images.shape)


def least(model: Module, axis: str) -> int:
    return accepted_from(model, axis, LEAST.get(axis, 2), 1)[0]


def seeded(function: Callable[[Tensor], Any], images: Tensor) -> Any:
    torch.manual_seed(0)
    return function(images)


def last_layer(model: nn.Module) -> nn.Linear | nn.Conv2d:
    """The layer that scores the classes; those of auxiliary classifiers come before."""
    *_, last = (layer for layer in model.modules() if isinstance(layer, nn.Linear | nn.Conv2d))
    return last


def averaged(features: Tensor) -> Tensor:
    """The input of the last layer as a vector for each image; that of a convolution is maps."""
    return features.mean((2, 3)) if features.dim() == 4 else features


@pytest.mark.parametrize("name", list_models(published=True))
def test_models_with_published_weights_have_pooled_features(name: str) -> None:
    model: Any = shell(name)
    assert isinstance(model, HasPooledFeatures)
    assert model.num_features == last_layer(shell(name)).weight.shape[1]
    features = model.pooled_features(torch.empty(2, 3, 224, 224, device="meta"))
    assert features.shape == (2, model.num_features)
    assert {*model.head_names} <= {path for path, _ in shell(name).named_modules()}


@MODES
@pytest.mark.parametrize("name", NAMES)
def test_pooled_features_are_the_input_of_the_last_layer(name: str, mode: str) -> None:
    known = model_info(name).hyperparameters
    model = subject(name, mode, **({"aux_logits": False} if "aux_logits" in known else {}))
    images = images_for(model)
    read: list[Tensor] = []
    last_layer(model).register_forward_pre_hook(lambda _module, args: read.append(args[0]))
    logits = seeded(model, images)
    features = seeded(model.pooled_features, images)
    assert torch.equal(features, averaged(read[0]))
    if isinstance(last_layer(model), nn.Linear):
        assert torch.equal(last_layer(model)(features), logits)


@pytest.mark.parametrize("name", NAMES)
def test_the_contract_of_pooled_features_is_enforced(name: str) -> None:
    model = subject(name)
    sizes: dict[str, Any] = {
        axis: accepted_from(model, axis, 120)
        for axis in free_axes(signature(model))
        if axis != "batch"
    }
    assert_contract(model.pooled_features, inputs(model.pooled_features, **sizes))
    assert f"features={model.num_features}" in str(signature(model.pooled_features).output)


@pytest.mark.slow
@pytest.mark.parametrize("name", one_before_a_release_all(NAMES))
def test_the_contract_of_pooled_features_is_proved(name: str) -> None:
    proof = assert_proved(subject(name).pooled_features, budget=BUDGET)
    assert proof.is_exact
    assert proof.preconditions == verdicts(name)["eval"].preconditions


@pytest.mark.release
@pytest.mark.parametrize("name", PUBLISHED)
def test_pooled_features_are_those_of_torchvision(name: str) -> None:
    keywords = small_images(name)
    extra = {"init_weights": False} if name in ("googlenet", "inception_v3") else {}
    theirs = torchvision.models.get_model(name, weights=None, **extra, **keywords)
    ours: Any = create_model(name, **keywords).eval()
    images = images_for(ours)
    vary(theirs)
    fill_statistics(theirs, images)
    ours.load_state_dict(theirs.state_dict())
    read: list[Tensor] = []
    last_layer(theirs).register_forward_pre_hook(lambda _module, args: read.append(args[0]))
    theirs.eval()(images)
    features = ours.pooled_features(images)
    torch.testing.assert_close(features, averaged(read[0]), rtol=1e-4, atol=1e-5)


@MODES
@pytest.mark.parametrize("name", NAMES)
def test_a_model_without_its_head_returns_pooled_features(name: str, mode: str) -> None:
    model = subject(name, mode)
    before = str(model)
    encoder = Headless(model)
    assert encoder.training == model.training
    images = images_for(model)
    expected = seeded(copy.deepcopy(model).pooled_features, images)
    assert torch.equal(seeded(nn.Sequential(encoder, nn.Identity()), images), expected)
    assert encoder.num_features == expected.shape[1]
    assert str(model) == before


@pytest.mark.parametrize("name", NAMES)
def test_it_shares_its_tensors_and_has_none_of_the_head(name: str) -> None:
    model = subject(name)
    encoder = Headless(model)
    heads = tuple(f"{name}." for name in model.head_names)
    expected = {
        f"model.{key}": tensor
        for key, tensor in model.state_dict(keep_vars=True).items()
        if not key.startswith(heads)
    }
    found = encoder.state_dict(keep_vars=True)
    assert found.keys() == expected.keys()
    assert all(tensor is expected[key] for key, tensor in found.items())
    assert_gradients(encoder.train(), inputs(encoder, batch=2, **fixed_sizes(encoder)))


def fixed_sizes(encoder: Headless) -> dict[str, Any]:
    """Sizes of images that the model takes."""
    if isinstance(encoder.model, VisionTransformer):
        return {"height": encoder.model.image_size, "width": encoder.model.image_size}
    assert isinstance(encoder.model, Module)
    return {axis: least(encoder.model, axis) for axis in LEAST}


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_traced_by_fx_and_by_us(name: str) -> None:
    model = subject(name)
    encoder = Headless(model).eval()
    images = images_for(model)
    assert torch.equal(fx.symbolic_trace(encoder)(images), encoder(images))
    assert trace(encoder, images).parameters == sum(p.numel() for p in encoder.parameters())


@pytest.mark.release
@pytest.mark.parametrize("name", [name for name in NAMES if name != "vit_micro"])
def test_it_is_proved_for_the_images_that_the_model_takes(name: str) -> None:
    proof = assert_proved(Headless(subject(name)), budget=BUDGET)
    assert proof.is_exact
    assert proof.preconditions == verdicts(name)["eval"].preconditions


@pytest.mark.slow
@pytest.mark.parametrize("name", one_before_a_release_all(NAMES))
def test_it_compiles_and_exports(name: str) -> None:
    encoder = Headless(subject(name)).eval()
    info = model_info(name)
    free = [a for a in free_axes(info.signature) if a in LEAST and a not in info.static_axes]
    sizes = fixed_sizes(encoder) | dict.fromkeys(free, range(132, 161))
    calls = inputs(encoder, batch=range(2, 4), **sizes)
    assert_compiles(encoder, calls, max_examples=2)
    static = [axis for axis in LEAST if axis not in free]
    assert_exports(encoder, calls, static=static, max_examples=2)


class Unpooled(Module):
    """A module that has no pooled features."""


@pytest.mark.parametrize("model", [Unpooled(), nn.Linear(2, 3), create_model("lenet"), "resnet18"])
def test_what_has_no_pooled_features_is_refused(model: Any) -> None:
    message = f"^model must be a module with pooled_features.* got {type(model).__name__}$"
    with pytest.raises(TypeError, match=message):
        Headless(model)


def test_one_graph_without_a_head() -> None:
    """In short, what the slow tests show of every class."""
    encoder = Headless(subject("resnet_micro")).eval()
    images = torch.randn(2, 3, 40, 50)
    expected = encoder(images)
    compiled = torch.compile(encoder, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(images), expected)
    torch.testing.assert_close(torch.export.export(encoder, (images,)).module()(images), expected)
    assert torch.equal(fx.symbolic_trace(encoder)(images), expected)
    proof = assert_proved(encoder)
    assert proof.is_exact
    assert proof.preconditions == ()
    assert_gradients(encoder.train(), inputs(encoder, batch=2))


def test_a_backbone_of_another_model_can_be_traced_by_fx() -> None:
    """So its methods call no module that is not registered, such as a slice of layers."""

    class Maps(nn.Module):
        def __init__(self, backbone: Any) -> None:
            super().__init__()
            self.backbone = backbone

        def forward(self, images: Tensor) -> Tensor:
            maps: Tensor = self.backbone.feature_maps(images)[-1]
            return maps

    for name in NAMES:
        model = Maps(subject(name))
        images = images_for(model.backbone)
        assert torch.equal(fx.symbolic_trace(model)(images), model(images))


@pytest.mark.parametrize("name", ["googlenet_micro", "inception_v3_micro"])
def test_models_without_auxiliary_classifiers_have_features_too(name: str) -> None:
    images = torch.rand(2, 3, 96, 96)
    model = create_model(name, aux_logits=False).eval()
    assert isinstance(model, HasPooledFeatures)
    assert torch.equal(Headless(model)(images), model.pooled_features(images))


def test_a_change_of_dtype_or_mode_reaches_both() -> None:
    images = torch.rand(2, 3, 64, 64)
    for first_is_encoder in (False, True):
        model = create_model("resnet_micro")
        encoder = Headless(model)
        (encoder if first_is_encoder else model).double().eval()
        model.fc.double()
        assert model(images.double()).dtype == encoder(images.double()).dtype == torch.float64
        assert not model.bn1.training
        assert model.fc.weight.requires_grad


def test_a_head_that_does_not_exist_is_an_error() -> None:
    model = create_model("resnet_micro")
    vars(model)["head_names"] = ("head",)
    with pytest.raises(AttributeError, match="head"):
        Headless(model)
