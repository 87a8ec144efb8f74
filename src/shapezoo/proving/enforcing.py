"""Check every contract inside a module, even where forward is not decorated with `checked`."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from shapezoo.contracts import ContractError, checked, is_checked
from shapezoo.contracts.checking.introspection import function_signature

Record = Callable[[str, Exception | None], None]
"""Receives the path of a module, and the error of its call or None."""


def enforce(model: nn.Module, record: Record) -> None:
    """Check every contract inside a module from now on.

    The checks are instance attributes named ``forward``, which `undisturbed` removes.

    Args:
        model: The module.
        record: Called after every call of a module with a contract.
    """
    for module_path, module in model.named_modules():
        if _can_be_enforced(module):
            forward = checked(type(module).forward).__get__(module)
            module.forward = _recorded(forward, module_path, record)


@contextlib.contextmanager
def enforced(model: nn.Module) -> Iterator[None]:
    """Check every contract inside a module in a ``with`` block.

    Args:
        model: The module. Annotations are enough: neither it nor the modules inside it need to be
            checked modules.
    """
    modules = [module for module in model.modules() if _can_be_enforced(module)]
    try:
        enforce(model, lambda module_path, error: None)
        yield
    finally:
        for module in modules:
            vars(module).pop("forward", None)


def is_enforced(model: nn.Module) -> bool:
    """Whether every contract inside a module is checked at every call anyway."""
    return all(is_checked(type(m).forward) for m in model.modules() if has_contract(m))


def _can_be_enforced(module: nn.Module) -> bool:
    return "forward" not in vars(module) and has_contract(module)


def has_contract(module: nn.Module) -> bool:
    """Whether the forward of a module has annotations that can be checked."""
    try:
        return bool(function_signature(type(module).forward).tensors)
    except (AttributeError, ContractError):
        return False


def _recorded(forward: Callable[..., Any], module_path: str, record: Record) -> Callable[..., Any]:
    @functools.wraps(forward)
    def recorded(*args: Any, **kwargs: Any) -> Any:
        try:
            result = forward(*args, **kwargs)
        except Exception as error:
            record(module_path, error)
            raise
        record(module_path, None)
        return result

    return recorded
