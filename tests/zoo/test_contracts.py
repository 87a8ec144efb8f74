"""The promise of the project: every forward states its shapes, and they are enforced."""

import importlib
import inspect
import pkgutil
import typing
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest
from jaxtyping import Float
from torch import Tensor, nn

import shapezoo
from shapezoo import ContractError, create_model, list_models, signature
from shapezoo.contracts import AXES, Module, is_checked


def package_modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(shapezoo.__path__, "shapezoo.")
    return [importlib.import_module(info.name) for info in found]


def forwards() -> Iterator[Callable[..., Any]]:
    """The forward of every class in the package that defines one."""
    for module in package_modules():
        for cls in vars(module).values():
            is_own = inspect.isclass(cls) and cls.__module__ == module.__name__
            if is_own and "forward" in vars(cls) and typing.Protocol not in cls.__bases__:
                yield vars(cls)["forward"]


def checked_functions() -> Iterator[Callable[..., Any]]:
    """Every checked function and method in the package, forwards among them."""
    for module in package_modules():
        classes = [c for c in vars(module).values() if inspect.isclass(c)]
        for owner in (module, *(c for c in classes if c.__module__ == module.__name__)):
            for function in vars(owner).values():
                is_own = getattr(function, "__module__", None) == module.__name__
                if is_own and inspect.isfunction(function) and is_checked(function):
                    yield function


def faults(function: Callable[..., Any]) -> list[str]:
    """What is wrong with the contract of a function."""
    try:
        contract = signature(function)  # refuses missing annotations and loose results
    except ContractError as error:
        return [str(error)]
    found = [] if is_checked(function) else ["unchecked"]
    axes = [axis for tensor in contract.tensors for axis in tensor.axes]
    names = {name for axis in axes for name in (axis.name, axis.label, *axis.needs) if name}
    for tensor in contract.tensors:
        if tensor.dtype == "Shaped":
            found.append("Shaped instead of a dtype")
    found += [f"unknown axis {name}" for name in sorted(names - set(AXES))]
    if not contract.tensors:
        found.append("no shapes")
    return found


def test_the_walk_sees_the_package() -> None:
    names = {f"{forward.__module__}.{forward.__qualname__}" for forward in forwards()}
    assert "shapezoo.models.vision.lenet.LeNet.forward" in names
    assert "shapezoo.models.sequence.gru.BatchFirstGRU.forward" in names
    functions = {function.__qualname__ for function in checked_functions()}
    assert {"cross_entropy", "ImageDataset.select"} <= functions


@pytest.mark.parametrize("forward", list(forwards()), ids=lambda forward: forward.__qualname__)
def test_every_forward_keeps_the_promise(forward: Callable[..., Any]) -> None:
    assert faults(forward) == []


@pytest.mark.parametrize("function", list(checked_functions()), ids=lambda f: f.__qualname__)
def test_every_checked_function_keeps_the_promise(function: Callable[..., Any]) -> None:
    assert faults(function) == []


@pytest.mark.parametrize("name", list_models())
def test_every_registered_model_keeps_the_promise(name: str) -> None:
    model = create_model(name)
    assert isinstance(model, Module)
    assert faults(type(model).forward) == []


class Unannotated(nn.Module):
    def forward(self, x):  # type: ignore[no-untyped-def]  # the fault under test
        return x


class Unchecked(nn.Module):
    def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x


class UnknownAxis(Module):
    def forward(self, x: Float[Tensor, "b width"]) -> Float[Tensor, "b width*2"]:
        return x


class UnknownLabel(Module):
    def forward(self, x: Float[Tensor, "batch size=2"]) -> Float[Tensor, "batch"]:
        return x


class LooseResult(nn.Module):
    def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, "batch width"]:
        return x


class Shapeless(Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("sabotaged", "fault"),
    [
        (Unannotated, "no annotation for 'x'"),
        (Unchecked, "unchecked"),
        (UnknownAxis, "unknown axis b"),
        (UnknownLabel, "unknown axis size"),
        (LooseResult, "axis 'width' of the result is bound by no argument"),
        (Shapeless, "no shapes"),
    ],
)
def test_the_walk_finds_faults(sabotaged: type[nn.Module], fault: str) -> None:
    assert any(fault in found for found in faults(sabotaged.forward))
