"""The parts of axes that are read from the arguments at each call: ``{self.in_channels}``."""

import functools
import operator
from collections.abc import Callable, Mapping
from types import CodeType
from typing import Any

import torch

from shapezoo.contracts.errors import ContractError


def read_braces(braces: str, scope: Mapping[str, object]) -> object:
    """The value of a part in braces.

    Args:
        braces: The part, braces included.
        scope: The arguments by name.

    Raises:
        ContractError: It cannot be computed, or is no number.
    """
    try:
        return number(eval(_code(braces), {}, dict(scope)))
    except Exception as error:
        raise ContractError(f"cannot read {braces} as a size: {error}") from error


def number(value: Any) -> object:
    """A value as a number, which a size is compared with.

    Raises:
        TypeError: It is none.
    """
    is_number = isinstance(value, int | float | torch.SymInt | torch.SymFloat)
    return value if is_number else operator.index(value)


def value_or_none(read: Callable[[], object]) -> object:
    """What a function gives, or None where it fails. Dynamo traces this."""
    try:
        return read()
    except Exception:
        return None


@functools.cache
def _code(braces: str) -> CodeType:
    return compile(braces[1:-1], braces, "eval")
