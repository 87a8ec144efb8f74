"""The overloads of `create_model` are those of the registry."""

import importlib.util
import inspect
import typing
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import get_args, get_overloads, get_type_hints

import pytest

from shapezoo import Module, create_model, list_models, models
from shapezoo.registry import entries


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    path = Path(__file__).parents[1] / "tools/overloads.py"
    spec = importlib.util.spec_from_file_location("overloads_tool", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_overloads_are_current(tool: ModuleType) -> None:
    """If not, `python tools/overloads.py` writes them anew."""
    source = tool.PATH.read_text("utf-8")
    assert tool.updated(source, entries()) == source


def test_another_model_changes_the_overloads(tool: ModuleType) -> None:
    source = tool.PATH.read_text("utf-8")
    first, *others = entries()
    renamed = replace(first, name="alexnet_renamed")
    assert tool.updated(source, others) != source
    assert tool.updated(source, [first, *others]) == source
    assert 'Literal["alexnet_renamed", "alexnet_micro"]' in tool.updated(source, [renamed, *others])


def test_each_name_has_one_overload_with_the_class_of_its_builder() -> None:
    *named, last = [get_type_hints(overload) for overload in get_overloads(create_model)]
    assert last["name"] is str
    assert last["return"] is Module
    found = [(name, hints["return"]) for hints in named for name in get_args(hints["name"])]
    assert sorted(name for name, _ in found) == list_models()
    for name, result in found:
        assert result == typing.get_type_hints(getattr(models, name))["return"]


def test_all_overloads_take_what_the_function_takes() -> None:
    taken = inspect.signature(create_model)
    for overload in get_overloads(create_model):
        parameters = inspect.signature(overload).parameters
        assert parameters.keys() == taken.parameters.keys()
        for key in parameters.keys() - {"name"}:
            assert parameters[key].kind is taken.parameters[key].kind
            assert parameters[key].default == taken.parameters[key].default
            assert parameters[key].annotation == taken.parameters[key].annotation
