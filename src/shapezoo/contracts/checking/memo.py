"""Cache of passed checks, keyed by everything a check depends on."""

import dataclasses
from collections.abc import Hashable, MutableMapping
from types import NoneType
from typing import Any, Literal, TypeVar, get_origin

import torch
from torch import Tensor

from shapezoo.contracts.language.types import (
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
    """Return code for the key of a variable: values with equal keys have the same check outcome.

    Args:
        name: The variable.
        kind: The type that the value is checked against.
        key_of_name: The name of `key_of` in the code.

    Returns:
        The code, or None if the check depends on more than a hashable key can capture, as with a
        validator.
    """
    if not _can_be_remembered(kind):
        return None
    if isinstance(kind, TensorType):
        return f"{name}.shape, {name}.dtype, {name}.__class__"
    if is_decided_by_class(kind):
        return f"{name}.__class__"
    return f"{key_of_name}({name})"


def key_of(value: Any) -> Hashable:
    """Return a key of a value: its class, and the contents that a check depends on.

    Raises:
        TypeError: It is, or contains, an object of an unknown class, or it is too large.
    """
    kind = type(value)
    if isinstance(value, Tensor):
        return value.shape, value.dtype, kind
    if isinstance(value, str | bytes | tuple | list | dict) and len(value) > MOST_ITEMS:
        raise TypeError(f"too large to cache: {kind} of {len(value)}")
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
        raise TypeError(f"cannot build a key for {kind}")
    return key


def remember(memo: MutableMapping[Hashable, V], key: Hashable, value: V, most: int) -> None:
    """Store a value under its key, in a cache of limited size.

    A full cache is cleared; keys that are still in use soon return.

    Raises:
        TypeError: The key is not hashable, such as a symbolic size.
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
