"""The promise of the project: every shape that is written down is enforced."""

import importlib
import inspect
import pkgutil
import sys
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest
import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

import shapezoo
from shapezoo import ContractError, create_model, list_models, signature
from shapezoo.contracts import AXES, Module, RecordType, is_checked
from shapezoo.contracts.language.types import bindable_names, tensors


def package_modules() -> list[ModuleType]:
    found = pkgutil.walk_packages(shapezoo.__path__, "shapezoo.")
    return [importlib.import_module(info.name) for info in found]


def functions_of(module: ModuleType) -> Iterator[FunctionType]:
    """Every function and method that a module defines."""
    classes = [c for c in vars(module).values() if inspect.isclass(c)]
    own = [c for c in classes if c.__module__ == module.__name__]
    for owner in (module, *(c for c in own if typing.Protocol not in c.__bases__)):
        for function in vars(owner).values():
            if inspect.isfunction(function) and function.__module__ == module.__name__:
                yield function


def states_shapes(function: Callable[..., Any]) -> bool:
    """Whether a shape stands in the annotations of a function, or it is a forward."""
    annotations = inspect.get_annotations(inspect.unwrap(function)).values()
    return function.__name__ == "forward" or any("Tensor, '" in str(a) for a in annotations)


def subjects() -> list[FunctionType]:
    functions = [function for module in package_modules() for function in functions_of(module)]
    return [function for function in functions if states_shapes(function)]


def faults(function: Callable[..., Any]) -> list[str]:
    """What is wrong with the contract of a function."""
    try:
        contract = signature(function)  # refuses missing annotations and loose results
    except ContractError as error:
        return [str(error)]
    axes = [axis for tensor in contract.tensors for axis in tensor.axes]
    results = [axis for tensor in tensors(contract.output) for axis in tensor.axes]
    names = {name for axis in axes for name in (axis.name, axis.label, *axis.needs) if name}
    required = [argument.type for argument in contract.inputs if argument.is_required]
    bound = frozenset[str]().union(*map(bindable_names, required))
    if function.__name__ == "forward" or not isinstance(contract.output, RecordType):
        loose = {axis.name for axis in results if axis.name and axis.binds not in bound}
    else:  # a record is checked when it is made; what makes one may bind axes by that
        loose = set()
    found = {
        "unchecked": not is_checked(function),
        "Shaped instead of a dtype": any(t.dtype == "Shaped" for t in contract.tensors),
        "no shapes": not contract.tensors,
        "an anonymous axis in the result": any(str(axis) in ("_", "...") for axis in results),
        f"loose axes in the result {loose}": bool(loose),
        f"unknown axes {names - set(AXES)}": not names <= set(AXES),
    }
    return [fault for fault, is_there in found.items() if is_there]


def test_the_walk_sees_the_package() -> None:
    names = {function.__qualname__ for function in subjects()}
    assert {"LeNet.forward", "BatchFirstGRU.forward", "cross_entropy", "read_digit"} <= names
    assert {"ImageBatch.__init__", "ImageDataset.__init__"} <= names
    (folder,) = shapezoo.__path__
    files = {path for path in Path(folder).rglob("*.py") if path.name != "__init__.py"}
    assert files <= {Path(module.__file__ or "") for module in package_modules()}


@pytest.mark.parametrize("function", subjects(), ids=lambda function: function.__qualname__)
def test_every_shape_in_the_package_is_enforced(function: FunctionType) -> None:
    assert faults(function) == []


@pytest.mark.parametrize("name", list_models())
def test_every_registered_model_keeps_the_promise(name: str) -> None:
    with torch.device("meta"):
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


@dataclass(frozen=True)
class Scores:
    logits: Float[Tensor, "batch classes"]


class LooseRecord(Module):
    def forward(self, x: Float[Tensor, "batch"]) -> Scores:
        return Scores(x)


class Anonymous(Module):
    def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, "batch ..."]:
        return x


class AnyDtype(Module):
    def forward(self, x: Shaped[Tensor, "batch"]) -> Shaped[Tensor, "batch"]:
        return x


class Shapeless(Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


@pytest.mark.parametrize(
    ("sabotaged", "fault"),
    [
        (Unannotated, "missing annotations: 'x'"),
        (Unchecked, "unchecked"),
        (UnknownAxis, "unknown axes {'b'}"),
        (UnknownLabel, "unknown axes {'size'}"),
        (LooseResult, "no argument defines an axis 'width'"),
        (LooseRecord, "loose axes in the result {'classes'}"),
        (Anonymous, "an anonymous axis in the result"),
        (AnyDtype, "Shaped instead of a dtype"),
        (Shapeless, "no shapes"),
    ],
)
def test_the_walk_finds_faults(sabotaged: type[nn.Module], fault: str) -> None:
    assert any(fault in found for found in faults(sabotaged.forward))


def stray(x: list[Float[Tensor, "batch"]]) -> None: ...


def test_the_walk_sees_shapes_that_are_not_enforced() -> None:
    found = [function.__qualname__ for function in functions_of(sys.modules[__name__])]
    assert {"stray", "Scores.__init__", "Unchecked.forward"} <= set(found)
    assert states_shapes(stray)
    assert not states_shapes(test_the_walk_finds_faults)
    assert faults(stray) == ["unchecked"]
