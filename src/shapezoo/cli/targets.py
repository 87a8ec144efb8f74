"""Finding what a command line names: a model of the zoo, or something of the user's own."""

import ast
import importlib
import importlib.util
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from shapezoo.contracts import ContractError, signature
from shapezoo.creating import create_model
from shapezoo.zoo import list_models


class TargetError(LookupError):
    """There is nothing of this name, or it cannot be built with these arguments."""


def find(
    target: str, arguments: Sequence[str], *, train: bool = False
) -> tuple[nn.Module | type[nn.Module] | Callable[..., Any], dict[str, Any] | None]:
    """What a target names, ready for `prove`, and the arguments that are left for a class.

    Args:
        target: The name of a model of the zoo, or ``package.module:Name``.
        arguments: Arguments as ``name=value``; a value is read as Python, or else as text.
        train: Whether a module is put into train mode, rather than eval mode.

    Raises:
        TargetError: There is no such thing, or it takes no such arguments.
        UnknownModelError: The zoo has no such model.
    """
    init = dict(map(_argument, arguments))
    package, colon, name = target.partition(":")
    if not colon and target not in list_models() and _is_package(target):
        raise TargetError(f"{target} is a package; say what to prove of it: {target}:Name")
    if not colon:
        return _built(lambda: create_model(target, **init), target, init, train), None
    thing = _import(package, name)
    if isinstance(thing, type) and issubclass(thing, nn.Module):
        if not train:
            return thing, init
        return _built(lambda: thing(**init), target, init, train), None
    if isinstance(thing, types.FunctionType) and not _has_shapes(thing):
        return _built(lambda: thing(**init), target, init, train), None
    if init:
        raise TargetError(f"{target} takes no --init: it is built already")
    if isinstance(thing, nn.Module):
        return thing.train(train), None
    if isinstance(thing, types.FunctionType):
        return thing, None
    raise TargetError(f"{target} is no module, no class of modules and no function: {thing!r}")


def _is_package(name: str) -> bool:
    _look_here()
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _look_here() -> None:
    """Find modules in the folder that one is in, as `python -m` does."""
    if "" not in sys.path:
        sys.path.insert(0, "")


def _argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise TargetError(f"--init {text}: write it as name=value, as in --init channels=3")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def _import(package: str, name: str) -> Any:
    _look_here()
    try:
        thing = importlib.import_module(package)
    except Exception as error:
        raise TargetError(f"cannot import {package}: {_words(error)}") from error
    try:
        for part in name.split("."):
            thing = getattr(thing, part)
    except AttributeError as error:
        raise TargetError(f"{package} has no {name}") from error
    return thing


def _has_shapes(function: Callable[..., Any]) -> bool:
    """Whether a function has a contract of its own; otherwise it builds a module."""
    try:
        return bool(signature(function).tensors)
    except ContractError:
        return False


def _built(
    build: Callable[[], Any], target: str, init: Mapping[str, Any], train: bool
) -> nn.Module:
    if unsized := [name for name, value in init.items() if value is ...]:
        raise TargetError(
            f"{unsized[0]}=... stands for any size only in a class of modules, in eval mode"
        )
    try:
        model = build()
    except LookupError:
        raise  # of the zoo, with the nearest names
    except Exception as error:
        raise TargetError(f"cannot build {target}: {_words(error)}") from error
    if not isinstance(model, nn.Module):
        raise TargetError(f"{target} gives no module, but {model!r}")
    return model.train(train)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
