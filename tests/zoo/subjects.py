"""Models of the zoo for tests: without values, with varied ones, for small images."""

import functools
import gc
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from shapezoo import Module, create_model, model_info
from shapezoo._modules import without_values
from shapezoo.models import Backbone
from shapezoo.registry import origin_of
from shapezoo.verdicts import verdicts

LARGE = 20_000_000
"""Before a model with more parameters (80 MB) is built, memory of others is freed."""


@functools.cache
def shell(name: str) -> Module:
    """A model on the meta device; nobody changes it."""
    with without_values():
        return create_model(name)


class WithoutWeights(TorchFunctionMode):
    """Builds layers without values of weights.

    Inside ``torch.device("meta")``, torchvision's RegNet could not compute its widths.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> object:
        extra = {"device": "meta"} if func is torch.empty else {}
        return func(*args, **(kwargs or {}) | extra)


def unfilled(name: str, **hyperparameters: Any) -> Module:
    """A model with uninitialised weights: initialising a giant takes long."""
    if _size(name) > LARGE:
        gc.collect()  # errors that were caught hold the models before this; it takes a second
    with without_values():
        model = create_model(name, **hyperparameters)
    model.to_empty(device="cpu")
    for buffer in model.buffers():
        buffer.zero_()  # an index is then in range
    return model


def small_images(name: str) -> dict[str, Any]:
    """Hyper-parameters with which a model of images of one size takes small ones."""
    model = shell(name)
    assert isinstance(model, Backbone)
    known = model_info(name).hyperparameters
    return {"image_size": 4 * model.strides[0]} if "image_size" in known else {}


def accepted(model: Module, axis: str, sizes: Iterable[int]) -> Iterator[int]:
    """Those sizes of an axis that a model of the zoo takes in both modes, whatever the others."""
    origin = origin_of(model)
    assert origin is not None
    conditions = [c for v in verdicts(origin.name).values() for c in v.preconditions]
    own = [condition for condition in conditions if condition.axes == (axis,)]
    return (size for size in sizes if all(condition.holds({axis: size}) for condition in own))


def accepted_from(model: Module, axis: str, least: int, number: int = 9) -> list[int]:
    """The smallest sizes of an axis that a model of the zoo takes, from one size on."""
    return list(itertools.islice(accepted(model, axis, itertools.count(least)), number))


def by_class(names: list[str]) -> dict[type[Module], list[str]]:
    """The models of each class, those of few parameters first."""
    found: dict[type[Module], list[str]] = {}
    for name in sorted(names, key=_size):
        found.setdefault(type(shell(name)), []).append(name)
    return found


def before_a_release(names: Iterable[str]) -> list[Any]:
    """Return models to parametrize a test with that is run before a release only."""
    return [pytest.param(name, marks=pytest.mark.release) for name in names]


def one_before_a_release_all(names: list[str], one: str = "resnet_micro") -> list[Any]:
    """Return models to parametrize a test with: one in CI, the others before a release."""
    return [one, *before_a_release(name for name in names if name != one)]


def one_of_each_class(names: list[str]) -> list[Any]:
    """Return parameters of a test: the smallest model of each class, and the others for a release.

    The others run the same code with other numbers, and take most of the time.
    """
    smallest = {of_class[0] for of_class in by_class(names).values()}
    return [n if n in smallest else pytest.param(n, marks=pytest.mark.release) for n in names]


def _size(name: str) -> int:
    return sum(parameter.numel() for parameter in shell(name).parameters())


def vary(model: nn.Module) -> None:
    """Change parameters and statistics that begin constant: a head of zeros would hide all else."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in itertools.chain(model.parameters(), model.buffers()):
            if tensor.is_floating_point() and (tensor == tensor.flatten()[0]).all():
                tensor += 0.1 * torch.rand(tensor.shape, generator=generator)


def fill_statistics(model: nn.Module, images: Tensor) -> None:
    """Set the statistics of BatchNorm to those of these images.

    With the initial ones, the outputs of deep networks hardly depend on the images.
    """
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train().momentum = 1.0
    with torch.no_grad():
        model(images)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval().momentum = momentum


def draw(model: nn.Module, images: Tensor) -> None:
    """Draw parameters and statistics with which the outputs depend on the images."""
    vary(model)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            nn.init.kaiming_normal_(parameter, nonlinearity="relu")
    fill_statistics(model, images)
