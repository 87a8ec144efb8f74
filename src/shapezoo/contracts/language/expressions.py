"""The parts of axes that are computed from the arguments at each call: ``{self.in_channels}``."""

import functools
import operator
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import torch

from shapezoo.contracts.language.errors import ContractError

RESERVED = "shapezoo_braces_"
"""How the axis names that stand for parts in braces begin."""


def reserved_name(braces: str) -> str:
    """Return the axis name that stands for a part in braces in what jaxtyping checks."""
    return RESERVED + braces.encode().hex()


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
        raise ContractError(f"cannot read {braces} as a size: {error}") from error


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
