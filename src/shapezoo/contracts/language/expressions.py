"""The parts of axes in braces, such as ``{self.in_channels}``, evaluated at each call."""

import functools
import operator
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import torch

from shapezoo.contracts.language.errors import ContractError

RESERVED = "shapezoo_braces_"
"""The prefix of the axis names that replace parts in braces in the annotations for jaxtyping."""


def reserved_name(braces: str) -> str:
    """Return the axis name that replaces a part in braces in what jaxtyping checks."""
    return RESERVED + braces.encode().hex()


def braces_of(name: str) -> str:
    """Return the part in braces that `reserved_name` made this axis name from."""
    return bytes.fromhex(name.removeprefix(RESERVED)).decode()


def read_braces(braces: str, scope: Mapping[str, object]) -> object:
    """Evaluate a part in braces.

    Args:
        braces: The part, braces included.
        scope: The arguments, by name.

    Raises:
        ContractError: It cannot be computed, or is not a number.
    """
    try:
        return number(eval(_code(braces), {}, dict(scope)))
    except Exception as error:
        raise _unreadable(braces, error) from error


def read_or_error(braces: str, scope: Mapping[str, object]) -> object:
    """Return the result of `read_braces`, or the error that it raises."""
    try:
        return read_braces(braces, scope)
    except ContractError as error:
        return ContractError(str(error))  # a copy, because a traceback would hold the arguments


def number_or_error(braces: str, value: object) -> object:
    """Return the value of a part in braces as a number, or an error if it is not one."""
    try:
        return number(value)
    except TypeError as error:
        return _unreadable(braces, error)


def number(value: Any) -> object:
    """Return a value as a number that a size can be compared with.

    Raises:
        TypeError: It is not a number.
    """
    is_number = isinstance(value, int | float | torch.SymInt | torch.SymFloat)
    return value if is_number else operator.index(value)


def value_or_none(read: Callable[[], object]) -> object:
    """Return the result of read(), or None if it raises. Dynamo traces this."""
    try:
        return read()
    except Exception:
        return None


@functools.cache
def _code(braces: str) -> CodeType:
    return compile(braces[1:-1], braces, "eval")


def _unreadable(braces: str, error: Exception) -> ContractError:
    return ContractError(f"cannot read {braces} as a size: {error}")
