"""Finding the target of a command: a model of the zoo, or an object in the user's own code."""

import ast
import functools
import importlib
import importlib.util
import operator
import sys
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from shapezoo._names import did_you_mean
from shapezoo.contracts import ContractError, signature
from shapezoo.creating import UnknownModelError, create_model
from shapezoo.zoo import list_models

MOST_NAMES = 8
"""How many of the objects in a module are listed in an error."""


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
    init = parse_arguments(arguments)
    if ":" not in target:
        if target not in list_models():
            _refuse_modules(target)
        return _build(functools.partial(create_model, target), target, init, train), None
    found = _import(target)
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
    raise TargetError(
        f"{target} is not an nn.Module, a class of one, or a function, but {type(found).__name__}"
    )


def find_model(target: str, arguments: Sequence[str]) -> nn.Module:
    """Return the module that a target names or builds, in eval mode.

    Args:
        target: The name of a model of the zoo, or ``package.module:Name``.
        arguments: Arguments to build it with, as in `find_target`.

    Raises:
        TargetError: There is no such object, or it is not a module and does not build one.
        UnknownModelError: The zoo has no such model.
    """
    found, init = find_target(target, arguments)
    if isinstance(found, type):
        return _build(found, target, init or {}, train=False)
    if not isinstance(found, nn.Module):
        raise TargetError(f"{target} is a function; name a module, or what builds one")
    return found


def _import_from_working_directory() -> None:
    """Make imports find modules in the working directory, as `python -m` does."""
    if "" not in sys.path:
        sys.path.insert(0, "")


def parse_arguments(texts: Sequence[str]) -> dict[str, Any]:
    """Parse the values of ``--init``.

    Raises:
        TargetError: One of them is not written as ``name=value``.
    """
    return dict(map(_parse_argument, texts))


def _parse_argument(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise TargetError(f"--init {text}: write it as name=value, as in --init channels=3")
    try:
        return name, ast.literal_eval(value)
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return name, value


def _refuse_modules(target: str) -> None:
    """Raise a TargetError with the right spelling if a target is a file, or lacks its colon."""
    path = Path(target)
    if path.suffix == ".py":
        if not path.is_file():
            raise TargetError(f"there is no file {target!r}")
        raise TargetError(f"name an object in {target}: {_choices(_module_of(path))}")
    if _is_module(target):
        raise TargetError(f"{target} is a module; name an object in it: {_choices(target)}")
    module, _, name = target.rpartition(".")
    if module and _is_module(module):
        raise TargetError(f"write a colon in front of the name: {module}:{name}")


def _module_of(file: Path) -> str:
    """Return the name of the module in a file, which is imported from the working directory."""
    if file.is_absolute() or ".." in file.parts:
        raise TargetError(f"change to the folder {str(file.parent)!r}, and write {file.stem}:Name")
    return ".".join(file.with_suffix("").parts)


def _is_module(name: str) -> bool:
    """Whether there is a module of this name; importing the packages above it must succeed."""
    _import_from_working_directory()
    try:
        return importlib.util.find_spec(name) is not None
    except (Exception, SystemExit):  # the code of a package above it can raise anything
        return False


def _choices(module: str) -> str:
    """Return the targets in a module of the user's: ``nets:Up, nets:Down``."""
    names = list(_names(_import_module(module))) or ["NAME"]
    more = ", ..." if len(names) > MOST_NAMES else ""
    return ", ".join(f"{module}:{name}" for name in names[:MOST_NAMES]) + more


def _names(module: types.ModuleType) -> Iterator[str]:
    """Yield the names of the modules, module classes and functions that a module defines."""
    for name, value in vars(module).items():
        is_class = isinstance(value, type) and issubclass(value, nn.Module)
        is_own = getattr(value, "__module__", "") == module.__name__
        if name.startswith("_"):
            continue
        if isinstance(value, nn.Module) or (
            is_own and (is_class or isinstance(value, types.FunctionType))
        ):
            yield name


def _import_module(name: str) -> types.ModuleType:
    _import_from_working_directory()
    try:
        return importlib.import_module(name)
    except (Exception, SystemExit) as error:
        raise TargetError(f"cannot import {name}: {type(error).__name__}: {error}") from error


def _import(target: str) -> Any:
    """Return the object that ``package.module:Name`` names."""
    package, _, name = target.partition(":")
    if not package or not name:
        raise TargetError(f"{target!r} is incomplete; write module:Name, as in nets:UNet")
    if package.endswith(".py"):
        package = _module_of(Path(package))
        raise TargetError(f"{target} names a file; write its module: {package}:{name}")
    module = _import_module(package)
    try:
        found = operator.attrgetter(name)(module)
        owner = operator.attrgetter(name.rpartition(".")[0] or name)(module)
        if isinstance(owner, type) and isinstance(found, types.FunctionType):
            raise TargetError(f"{target} is a method; name its class: {target.rpartition('.')[0]}")
        return found
    except TargetError:
        raise
    except AttributeError as error:
        names = [name for name in vars(module) if not name.startswith("_")]
        hint = did_you_mean(name, names)
        if not hint and any(_names(module)):
            hint = f"name one of {_choices(package)}"
        raise TargetError(f"{package} has no {name}; {hint}".removesuffix("; ")) from error
    except (Exception, SystemExit) as error:  # a property or a __getattr__ can raise anything
        raise TargetError(f"cannot get {target}: {type(error).__name__}: {error}") from error


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
    except (Exception, SystemExit) as error:
        hint = ""
        if isinstance(error, TypeError) and "required" in str(error):
            hint = "; pass arguments as in --init channels=3"
        raise TargetError(
            f"cannot build {target}: {type(error).__name__}: {error}{hint}"
        ) from error
    if not isinstance(model, nn.Module):
        raise TargetError(f"{target} does not return a module, but {model!r}")
    return model.train(train)
