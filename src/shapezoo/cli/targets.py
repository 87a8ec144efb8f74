"""Finding the target of a command: a model of the zoo, or an object in the user's own code."""

import ast
import functools
import importlib
import importlib.util
import operator
import sys
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import nn

from shapezoo.contracts import ContractError, signature
from shapezoo.creating import UnknownModelError, create_model
from shapezoo.zoo import list_models


class TargetError(LookupError):
    """A target does not exist, or cannot be built with these arguments."""


def find_target(
    target: str, arguments: Sequence[str], *, train: bool = False
) -> tuple[nn.Module | type[nn.Module] | Callable[..., Any], dict[str, Any] | None]:
    """Return the object that a target names, and the arguments for it if it is a class.

    A class is built here only in train mode; otherwise `prove` builds it, for any sizes.

    Args:
        target: The name of a model of the zoo, or ``package.module:Name``.
        arguments: Arguments as ``name=value``; a value is parsed as Python, or else is text.
        train: Whether to put a module into train mode, rather than eval mode.

    Raises:
        TargetError: There is no such object, or it does not accept such arguments.
        UnknownModelError: The zoo has no such model.
    """
    init = dict(map(_parse_argument, arguments))
    package, colon, name = target.partition(":")
    if not colon:
        if target not in list_models() and _is_package(target):
            raise TargetError(f"{target} is a package; name an object in it: {target}:Name")
        return _build(functools.partial(create_model, target), target, init, train), None
    found = _import(package, name)
    is_class = isinstance(found, type) and issubclass(found, nn.Module)
    is_function = isinstance(found, types.FunctionType)
    if is_class and not train:
        return found, init
    if is_class or (is_function and not _has_shapes(found)):
        return _build(found, target, init, train), None
    if init:
        raise TargetError(f"{target} does not accept --init: it is built already")
    if isinstance(found, nn.Module):
        return found.train(train), None
    if is_function:
        return found, None
    raise TargetError(f"{target} is not a module, a module class or a function: {found!r}")


def _is_package(name: str) -> bool:
    _import_from_working_directory()
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def _import_from_working_directory() -> None:
    """Make imports find modules in the working directory, as `python -m` does."""
    if "" not in sys.path:
        sys.path.insert(0, "")


def _parse_argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise TargetError(f"--init {text}: write it as name=value, as in --init channels=3")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError):
        return name, value


def _import(package: str, name: str) -> Any:
    _import_from_working_directory()
    try:
        module = importlib.import_module(package)
    except Exception as error:
        raise TargetError(f"cannot import {package}: {type(error).__name__}: {error}") from error
    try:
        return operator.attrgetter(name)(module)
    except AttributeError as error:
        raise TargetError(f"{package} has no {name}") from error


def _has_shapes(function: Callable[..., Any]) -> bool:
    """Whether a function has a contract itself; otherwise it is taken for a builder of modules."""
    try:
        return bool(signature(function).tensors)
    except ContractError:
        return False


def _build(
    build: Callable[..., Any], target: str, init: Mapping[str, Any], train: bool
) -> nn.Module:
    if unsized := [name for name, value in init.items() if value is ...]:
        raise TargetError(
            f"{unsized[0]}=... stands for any size only in a module class, in eval mode"
        )
    try:
        model = build(**init)
    except UnknownModelError:
        raise  # its message suggests the nearest names
    except Exception as error:
        raise TargetError(f"cannot build {target}: {type(error).__name__}: {error}") from error
    if not isinstance(model, nn.Module):
        raise TargetError(f"{target} does not return a module, but {model!r}")
    return model.train(train)
