"""Every model with published weights is the model of its publisher.

They are compared with torchvision's, which has the same names: the keys, shapes and order of what
they hold, their outputs and their gradients. Keys are compared without values; values with one pair
of models in memory at a time, the giants in float32.

`pytest -m release tests/zoo/test_published.py` compares all of them, with up to 16 GB of memory.
"""

import itertools
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from tests.zoo.subjects import (
    WithoutWeights,
    fill_statistics,
    one_of_each_class,
    shell,
    small_images,
    unfilled,
    vary,
)
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from shapezoo import Module, create_model, list_models, model_info, signature, trace
from shapezoo._containers import tensors_of
from shapezoo.contracts.examples.arguments import example_arguments
from shapezoo.layers import StochasticDepth
from shapezoo.verdicts import verdicts
from shapezoo.weights import PublishedWeights

NAMES = list_models(published=True)
GIANT = 100_000_000
"""From how many parameters on values are compared in float32."""

DROPS = (nn.Dropout, StochasticDepth, torchvision.ops.StochasticDepth)


def theirs(name: str, **hyperparameters: Any) -> nn.Module:
    """The model of the publisher, with random weights."""
    with warnings.catch_warnings():  # of initialisation that takes minutes in some models
        warnings.simplefilter("ignore", FutureWarning)
        model: nn.Module = torchvision.models.get_model(name, weights=None, **hyperparameters)
    return model


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def described(state: Mapping[str, Tensor]) -> list[tuple[str, torch.Size, torch.dtype]]:
    return [(key, tensor.shape, tensor.dtype) for key, tensor in state.items()]


def published(name: str) -> PublishedWeights:
    """The best weights of a model."""
    return next(weights for weights in model_info(name).weights if weights.is_default)


def as_published(name: str) -> Module:
    """A model without values, for the size of images of its best weights."""
    keywords: dict[str, Any] = {"image_size": published(name).image_size}
    known = model_info(name).hyperparameters
    with torch.device("meta"):
        return create_model(name, **{key: keywords[key] for key in keywords if key in known})


@pytest.mark.parametrize("name", NAMES)
def test_the_keys_are_those_of_the_publisher(name: str) -> None:
    with WithoutWeights():
        ours, other = create_model(name), theirs(name)
    assert described(ours.state_dict()) == described(other.state_dict())
    assert [key for key, _ in ours.named_parameters()] == [k for k, _ in other.named_parameters()]


@pytest.mark.parametrize("name", NAMES)
def test_the_number_of_parameters_is_that_of_the_publisher(name: str) -> None:
    model = as_published(name)
    auxiliary = sum(p.numel() for k, p in model.named_parameters() if k.lower().startswith("aux"))
    expected = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert expected in (count(model), count(model) - auxiliary)  # some count these, some do not


def pair(name: str) -> tuple[Module, nn.Module, Tensor]:
    """Our model and the publisher's, with the same varied weights, and images."""
    ours = unfilled(name, **small_images(name))
    dtype = torch.float32 if count(ours) > GIANT else torch.float64
    other = theirs(name, **small_images(name)).to(dtype)
    vary(other)
    ours = ours.to(dtype)
    for module in itertools.chain(ours.modules(), other.modules()):
        if isinstance(module, DROPS):
            module.p = 0.0
    (images,), _ = example_arguments(signature(ours), least(name), dtype=dtype)
    images = torch.randn_like(images)
    fill_statistics(other, images)
    ours.load_state_dict(other.state_dict())
    return ours, other, images


def least(name: str) -> dict[str, int]:
    """Small sizes of images that the model takes in both modes."""
    conditions = [c for verdict in verdicts(name).values() for c in verdict.preconditions]
    axes = verdicts(name)["eval"].axes
    every = ({axis: 2 if axis == "batch" else size for axis in axes} for size in range(33, 999))
    return next(sizes for sizes in every if all(c.holds(sizes) for c in conditions))


TOLERANCE = {torch.float64: 1e-10, torch.float32: 1e-5}
"""How much tensors may differ, relative to the largest value."""


def assert_close(ours: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert ours.keys() == other.keys()
    largest = max(tensor.abs().max().item() for tensor in other.values())
    for key, tensor in ours.items():
        scale = other[key].abs().max().item()
        assert scale > 0, key
        # gradients that another normalisation makes zero are rounding errors only
        tolerance = TOLERANCE[tensor.dtype] * max(scale, 1e-3 * largest)
        torch.testing.assert_close(tensor, other[key], rtol=0, atol=tolerance, msg=key)


def swap_two_layers(model: nn.Module) -> None:
    """Exchange two parameters of the same shape, those with the most axes and the last of these."""
    others: dict[torch.Size, Tensor] = {}
    parameters = [*model.parameters()][::-1]
    for parameter in sorted(parameters, key=lambda p: -p.dim()):
        other = others.setdefault(parameter.shape, parameter)
        if other is not parameter:
            assert not torch.equal(parameter, other)
            parameter.data, other.data = other.data, parameter.data
            return
    raise AssertionError("all parameters have different shapes")


@pytest.mark.slow
@pytest.mark.parametrize("name", one_of_each_class(NAMES))
def test_outputs_and_gradients_are_those_of_the_publisher(name: str) -> None:
    ours, other, images = pair(name)
    with torch.no_grad():
        logits, expected = (model.eval()(images) for model in (ours, other))
    assert_close({"logits": logits}, {"logits": expected})
    distance = (logits[0] - logits[1]).abs().max() / logits.abs().max()
    assert distance >= 1000 * TOLERANCE[logits.dtype], "the outputs hardly depend on the images"
    gradients = []
    for model in (ours, other):
        outputs = tensors_of(model.train()(images))
        torch.manual_seed(0)
        total = sum((output * torch.randn_like(output)).sum() for output in outputs)
        assert isinstance(total, Tensor)
        torch.autograd.backward(total)
        gradients.append({k: p.grad for k, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == dict(ours.named_parameters()).keys()
    assert_close(*gradients)
    swap_two_layers(ours)
    with torch.no_grad(), pytest.raises(AssertionError):
        assert_close({"logits": ours.eval()(images)}, {"logits": expected})


def test_a_difference_is_noticed() -> None:
    for dtype, error in ((torch.float64, 1e-9), (torch.float32, 1e-4)):
        right = {"weight": torch.tensor([1.0, -2.0], dtype=dtype)}
        assert_close(right, right)
        for wrong in ({"weight": right["weight"] + 2 * error}, {"bias": right["weight"]}):
            with pytest.raises(AssertionError):
                assert_close(wrong, right)
    with pytest.raises(AssertionError, match="weight"):  # zeros tell nothing
        assert_close({"weight": torch.zeros(2)}, {"weight": torch.zeros(2)})


class Kernels(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's has no types
    """Counts the kernels that run."""

    number = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        self.number += 1
        return func(*args, **(kwargs or {}))


def kernels(model: nn.Module, images: Tensor) -> int:
    """How many kernels a call takes, and its gradients where it is training."""
    with Kernels() as run:  # type: ignore[no-untyped-call]  # torch's has no types
        outputs = tensors_of(model(images))
        if model.training:
            torch.autograd.backward([output.mean() for output in outputs])
    number: int = run.number
    return number


@pytest.mark.parametrize("name", one_of_each_class(NAMES))
def test_no_more_kernels_run_than_in_the_model_of_the_publisher(name: str) -> None:
    """With those, a contract is all that ours could be slower by."""
    with WithoutWeights():
        ours, other = create_model(name).to("meta"), theirs(name).to("meta")
    (images,), _ = example_arguments(signature(ours), least(name), device="meta")
    assert isinstance(images, Tensor)
    for is_training in (False, True):
        found, most = (kernels(model.train(is_training), images) for model in (ours, other))
        assert 0 < found <= most


def test_one_kernel_more_is_counted() -> None:
    images = torch.zeros(1, 3, 8, 8)
    layer, more = nn.Sequential(nn.ReLU()), nn.Sequential(nn.ReLU(), nn.ReLU())
    assert kernels(layer.eval(), images) + 1 == kernels(more.eval(), images)


@pytest.mark.slow
@pytest.mark.parametrize("name", one_of_each_class(NAMES))
def test_a_trace_counts_what_the_publisher_counts(name: str) -> None:
    model, size = as_published(name).eval(), published(name).image_size
    traced = trace(model, torch.empty(1, 3, size, size, device="meta"))
    expected = torchvision.models.get_model_weights(name).DEFAULT.meta["_ops"]
    assert round(int(traced.macs) / 1e9, 3) == expected
    assert traced.parameters == count(model)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", one_of_each_class([name for name in NAMES if count(shell(name)) <= GIANT])
)
def test_weights_of_the_publisher_are_loaded_with_other_labels_and_channels(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From torch.hub's cache, where a file of the right name holds random weights."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    weights = model_info(name).weights[0]
    weights.file.parent.mkdir(parents=True)
    expected = theirs(name).state_dict()
    torch.save(expected, weights.file)
    model = create_model(name, weights=weights.name, in_channels=1, num_classes=7)
    loaded = model.state_dict()
    changed = {key for key in expected if loaded[key].shape != expected[key].shape}
    (first,) = (key for key in changed if loaded[key].shape[0] != 7)
    torch.testing.assert_close(loaded[first], expected[first].sum(1, keepdim=True))
    assert all(torch.equal(loaded[key], expected[key]) for key in expected.keys() - changed)
    head = {key.rpartition(".")[2] for key in changed - {first}}
    assert {"weight"} <= head <= {"weight", "bias"}
    assert "classes=7" in str(signature(model))
    assert "channels=1 " in str(signature(model))
