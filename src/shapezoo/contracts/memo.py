"""Remembering what passed a check, by all that the check can see."""

import dataclasses
from collections.abc import Hashable, MutableMapping
from types import NoneType
from typing import Any, Literal, TypeVar, get_origin

import torch
from torch import Tensor

from shapezoo.contracts.types import (
    PlainType,
    TensorType,
    TreeType,
    Type,
    is_decided_by_class,
    is_plain_class,
)

MOST_ITEMS = 1000
V = TypeVar("V")

_CONSTANTS = frozenset(
    {NoneType, bool, int, float, complex, str, bytes, torch.dtype, torch.device, torch.layout}
)


def key_code(name: str, kind: Type, key_of_name: str) -> str | None:
    """The code of a key for the value of a variable: two values with one key pass the same check.

    Args:
        name: The variable.
        kind: What the value is checked against.
        key_of_name: The name that `key_of` has in the code.

    Returns:
        The code, or None where the check can see more than any key, as a validator can.
    """
    if not _can_be_remembered(kind):
        return None
    if isinstance(kind, TensorType):
        return f"{name}.shape, {name}.dtype, {name}.__class__"
    if is_decided_by_class(kind):
        return f"{name}.__class__"
    return f"{key_of_name}({name})"


def key_of(value: Any) -> Hashable:
    """A value by its class and, as far as a check looks into it, by what it holds.

    Raises:
        TypeError: It is, or holds, an object of a class unknown here, or too much.
    """
    kind = type(value)
    if isinstance(value, Tensor):
        return value.shape, value.dtype, kind
    if isinstance(value, str | bytes | tuple | list | dict) and len(value) > MOST_ITEMS:
        raise TypeError(f"too much to remember: {kind} of {len(value)}")
    if kind in _CONSTANTS:
        return kind, value  # 1 == True == 1.0
    is_record = dataclasses.is_dataclass(value)
    fields = dataclasses.fields(value) if is_record else ()
    key: tuple[Any, ...] = kind, *(key_of(getattr(value, field.name)) for field in fields)
    if isinstance(value, tuple | list):  # a dataclass can be one as well
        return *key, *map(key_of, value)
    if isinstance(value, dict):
        return *key, *((key_of(name), key_of(part)) for name, part in value.items())
    if not is_record:
        raise TypeError(f"nothing is known of {kind}")
    return key


def remember(memo: MutableMapping[Hashable, V], key: Hashable, value: V, most: int) -> None:
    """Keep a value under its key, in a memo of at most so many.

    A full memo is emptied; keys that are still in use are soon back.

    Raises:
        TypeError: The key is not hashable; a symbolic size is not.
    """
    if len(memo) >= most:
        memo.clear()
    memo[key] = value


def _can_be_remembered(kind: Type) -> bool:
    if isinstance(kind, TensorType):
        return is_plain_class(kind.annotation.array_type)
    if isinstance(kind, PlainType):
        return is_plain_class(kind.annotation) or get_origin(kind.annotation) is Literal
    if isinstance(kind, TreeType):
        return False  # jaxtyping may look into more than `key_of` does
    return all(map(_can_be_remembered, kind.parts))
