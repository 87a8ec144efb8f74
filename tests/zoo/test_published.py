"""Every model with published weights is the model of its publisher.

They are held against torchvision's, which has the same names: the keys, shapes and order of what
they hold, their outputs and their gradients. Keys are compared without values; values with one
model in memory at a time, the giants in float32.
"""

import itertools
import warnings
from collections.abc import Mapping

import pytest
import torch
import torchvision
from torch import Tensor, nn

from shapezoo import Module, create_model, list_models, signature
from shapezoo.contracts.examples import example_arguments
from shapezoo.layers import StochasticDepth
from shapezoo.proving.values import tensors_of
from shapezoo.verdicts import verdicts

NAMES = list_models(published=True)
GIANT = 100_000_000
"""From how many parameters on values are compared in float32."""

DROPS = (nn.Dropout, StochasticDepth, torchvision.ops.StochasticDepth)


def theirs(name: str) -> nn.Module:
    """The model of the publisher, with random weights."""
    with warnings.catch_warnings():  # of initialisation that takes minutes in some models
        warnings.simplefilter("ignore", FutureWarning)
        model: nn.Module = torchvision.models.get_model(name, weights=None)
    return model


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def described(state: Mapping[str, Tensor]) -> list[tuple[str, torch.Size, torch.dtype]]:
    return [(key, tensor.shape, tensor.dtype) for key, tensor in state.items()]


@pytest.mark.parametrize("name", NAMES)
def test_the_keys_are_those_of_the_publisher(name: str) -> None:
    with torch.device("meta"):
        ours, other = create_model(name), theirs(name)
    assert described(ours.state_dict()) == described(other.state_dict())
    assert [key for key, _ in ours.named_parameters()] == [k for k, _ in other.named_parameters()]
    auxiliary = sum(p.numel() for k, p in ours.named_parameters() if k.startswith("aux"))
    published = torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    assert published in (count(ours), count(ours) - auxiliary)  # some count these, some do not


def pair(name: str) -> tuple[Module, nn.Module, Tensor]:
    """Our model and the publisher's, with the same varied weights, and images."""
    ours = create_model(name)
    dtype = torch.float32 if count(ours) > GIANT else torch.float64
    other = theirs(name).to(dtype)
    with torch.no_grad():
        for tensor in itertools.chain(other.parameters(), other.buffers()):
            if tensor.dim() == 1:  # biases and statistics begin alike
                tensor += 0.1 * torch.rand_like(tensor)
    ours = ours.to(dtype)
    ours.load_state_dict(other.state_dict())
    for module in itertools.chain(ours.modules(), other.modules()):
        if isinstance(module, DROPS):
            module.p = 0.0
    (images,), _ = example_arguments(signature(ours), least(name), dtype=dtype)
    return ours, other, torch.randn_like(images)


def least(name: str) -> dict[str, int]:
    """Small sizes of images that the model takes in both modes."""
    conditions = [c for verdict in verdicts(name).values() for c in verdict.preconditions]
    axes = verdicts(name)["eval"].axes
    every = ({axis: 2 if axis == "batch" else size for axis in axes} for size in range(33, 999))
    return next(sizes for sizes in every if all(c.holds(sizes) for c in conditions))


def assert_close(name: str, ours: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> None:
    assert ours.keys() == other.keys()
    for key, tensor in ours.items():
        tolerance = 1e-10 if tensor.dtype == torch.float64 else 1e-4
        scale = other[key].abs().max().item()
        assert scale > 0, key
        torch.testing.assert_close(tensor, other[key], rtol=0, atol=tolerance * scale, msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_outputs_and_gradients_are_those_of_the_publisher(name: str) -> None:
    ours, other, images = pair(name)
    with torch.no_grad():
        results = [dict(enumerate(tensors_of(m.eval()(images)))) for m in (ours, other)]
    assert_close(name, *results)
    gradients = []
    for model in (ours, other):
        outputs = tensors_of(model.train()(images))
        torch.manual_seed(0)
        total = sum((output * torch.randn_like(output)).sum() for output in outputs)
        assert isinstance(total, Tensor)
        total.backward()
        gradients.append({k: p.grad for k, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == dict(ours.named_parameters()).keys()
    assert_close(name, *gradients)
