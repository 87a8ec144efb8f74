"""Every public exception survives pickling, copying and the other ways of passing it on."""

import copy
import importlib
import pickle
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torch._utils import ExceptionWrapper
from torch.utils.data import DataLoader, Dataset

import shapezoo
from shapezoo import ContractError, ShapeError, TraceError, checked
from shapezoo.contracts.language.scopes import _ForTypeCheckersError
from shapezoo.contracts.matching.matching import MismatchError

PRIVATE = {MismatchError, _ForTypeCheckersError}
"""Raised and caught inside the package, and never seen by users."""


def exceptions() -> Iterator[type[Exception]]:
    """Return all exceptions that the package defines."""
    seen: set[object] = set()
    for module in pkgutil.walk_packages(shapezoo.__path__, "shapezoo."):
        if module.name != "shapezoo.__main__":
            for found in vars(importlib.import_module(module.name)).values():
                is_exception = isinstance(found, type) and issubclass(found, Exception)
                if is_exception and found.__module__.startswith("shapezoo") and found not in seen:
                    seen.add(found)
                    yield found


@pytest.mark.parametrize("kind", [found for found in exceptions() if found not in PRIVATE])
def test_an_exception_survives(kind: type[Exception]) -> None:
    error = kind("a message\nof two lines")
    error.add_note("a note")
    error.detail = 3  # type: ignore[attr-defined]  # any attribute
    rebuilt = kind(str(error))
    assert str(rebuilt) == str(error)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert type(other) is kind
        assert str(other) == "a message\nof two lines"
        assert vars(other) == vars(error)


API = Path(__file__).parents[2] / "docs/api"


def documented() -> dict[type[Exception], set[str]]:
    """Return the exceptions in the API reference, with the modules that document each."""
    found: dict[type[Exception], set[str]] = {}
    for page in API.glob("*.md"):
        for module, name in re.findall(r"^::: ([\w.]+)\.(\w+)$", page.read_text(), re.MULTILINE):
            value = getattr(importlib.import_module(module), name)
            if isinstance(value, type) and issubclass(value, Exception):
                found.setdefault(value, set()).add(module)
    return found


def exported() -> Iterator[type[Exception]]:
    """Return the exceptions in the ``__all__`` of any module."""
    for module in pkgutil.walk_packages(shapezoo.__path__, "shapezoo."):
        if module.name != "shapezoo.__main__":
            imported = importlib.import_module(module.name)
            for name in getattr(imported, "__all__", ()):
                value = getattr(imported, name)
                if isinstance(value, type) and issubclass(value, Exception):
                    yield value


@pytest.mark.parametrize("kind", documented())
def test_a_traceback_shows_where_an_exception_is_imported_from(kind: type[Exception]) -> None:
    assert kind.__module__ in documented()[kind]
    assert getattr(importlib.import_module(kind.__module__), kind.__name__) is kind


def test_every_exported_exception_is_documented() -> None:
    assert {*exported()} <= documented().keys()


def test_what_a_shape_error_tells_survives() -> None:
    error = ShapeError("wrong", argument="x[1]", axis=2)
    for other in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):
        assert (str(other), other.argument, other.axis) == ("wrong", "x[1]", 2)
    rebuilt = ShapeError("wrong")
    assert (rebuilt.argument, rebuilt.axis) == ("", None)


def test_the_exceptions_are_found() -> None:
    assert {ShapeError, ContractError, TraceError, MismatchError} <= {*exceptions()}


@checked
def flattened(x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
    return x


class Wrong(Dataset[Tensor]):
    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> Tensor:
        return flattened(torch.zeros(3))


@pytest.mark.slow
def test_a_worker_of_a_data_loader_hands_it_on() -> None:
    with pytest.raises(ShapeError, match=r"axes      expected 2 \(batch, width\), got 1"):
        next(iter(DataLoader(Wrong(), num_workers=1)))


def test_a_data_loader_rebuilds_it_as_its_workers_do() -> None:
    wrapper_class: Any = ExceptionWrapper  # has no types
    try:
        flattened(torch.zeros(3))
    except ShapeError:
        wrapper = wrapper_class(where="in a worker")
    with pytest.raises(ShapeError, match="in a worker"):
        wrapper.reraise()
