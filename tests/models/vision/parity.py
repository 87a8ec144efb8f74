"""What our networks have to share with torchvision's: keys, outputs, gradients and statistics."""

import math
import re

import torch
import torchvision
from tests.zoo.subjects import WithoutWeights, fill_statistics, shell, vary
from torch import Tensor, nn

OTHERS = (nn.Dropout, nn.AdaptiveAvgPool2d, nn.Sequential, nn.ModuleList, nn.Identity)
"""Layers of `torch.nn` that may stand elsewhere."""


def assert_parity(ours: nn.Module, other: nn.Module, images: Tensor) -> None:
    """Compare two networks without dropout, in float64, with the same varied weights."""
    ours, other = ours.double(), other.double()
    vary(other)
    fill_statistics(other, torch.randn_like(images))
    assert [*ours.state_dict()] == [*other.state_dict()]
    ours.load_state_dict(other.state_dict())
    with torch.no_grad():
        logits, expected = ours.eval()(images), other.eval()(images)
    assert (expected[0] - expected[1]).abs().max() > 0.01 * expected.abs().max()
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)
    gradients = []
    for model in (ours, other):
        logits = model.train()(images)
        gradients.append(torch.autograd.grad(logits.square().sum(), [*model.parameters()]))
    torch.testing.assert_close(*gradients, rtol=1e-8, atol=1e-10)
    torch.testing.assert_close(ours.state_dict(), other.state_dict(), rtol=1e-10, atol=1e-10)


def deviation(weights: Tensor, std: float) -> float:
    """How far weights are from a normal distribution of this deviation, in standard errors."""
    scaled, count = weights.detach().double() / std, weights.numel()
    mean, spread = scaled.mean().item(), scaled.square().mean().sqrt().item()
    return max(abs(mean) * math.sqrt(count), abs(spread - 1) * math.sqrt(2 * count))


def assert_same_layers(name: str) -> None:
    """Compare the layers of a model, with their sizes, with those of torchvision's model.

    The values of the largest models are compared before a release only; this sees an activation, a
    stride or an epsilon that differs.
    """
    with WithoutWeights():
        models = shell(name), torchvision.models.get_model(name)
    ours, theirs = (
        [
            re.sub(r"(, )?inplace=True", "", repr(module))
            for module in model.modules()
            if type(module) in vars(nn).values() and not isinstance(module, OTHERS)
        ]
        for model in models
    )
    assert ours
    assert ours == theirs
