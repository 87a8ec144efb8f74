"""The parts of a container beside the parts of its type.

Checks, traces and tests all go into containers through this one walker, so that they agree on
what a container holds and on the path under which an error names it.
"""

import collections.abc
import reprlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from shapezoo.contracts.types import (
    DictType,
    RecordType,
    SequenceType,
    TensorType,
    TupleType,
    Type,
    TypedDictType,
    UnionType,
    is_none,
)


class Missing:
    """Stands for a key that is not there."""


class Part(NamedTuple):
    """A part of a container.

    Attributes:
        step: What an error adds to the path of the container: ``[1]``, ``.images``, ``['mask']``.
        keys: The index, key or name of the field; empty for what has none, such as a dictionary's
            keys and the items of a set.
        type: The type of the part.
        value: The part.
    """

    step: str
    keys: tuple[Any, ...]
    type: Type
    value: Any


def is_container(value: Any, type_: Type) -> bool:
    """Whether a value is a container of the class that a type asks for, whatever it holds."""
    match type_:
        case TupleType(parts=parts):
            return isinstance(value, tuple) and len(value) == len(parts)
        case SequenceType(container=container) | DictType(container=container):
            return isinstance(value, container)
        case TypedDictType():
            return isinstance(value, dict)
        case RecordType(record=record):
            return isinstance(value, record)
    return False


def options_meant(value: Any, union: UnionType) -> list[Type]:
    """The options of a union that a value must be meant for, whatever is wrong inside it.

    All of them but ``None``, unless the class of the value tells: a tensor is meant for the options
    that are tensors, a record for those of its class.
    """
    options = [option for option in union.parts if not is_none(option)]
    alike = [option for option in options if _is_alike(value, option)]
    return alike or options


def _is_alike(value: Any, type_: Type) -> bool:
    """Whether a value is an array or a container of the class that a type asks for."""
    if isinstance(type_, TensorType):
        return type_.is_array(value)
    return is_container(value, type_)


def parts_of(value: Any, type_: Type) -> Iterator[Part]:
    """The parts of a container, in the order in which they are checked.

    Args:
        value: A value for which `is_container` holds.
        type_: Its type.
    """
    match type_:
        case TupleType(parts=types):
            for index, (part, item) in enumerate(zip(types, value, strict=True)):
                yield Part(f"[{index}]", (index,), part, item)
        case SequenceType(parts=(part,)):
            is_ordered = isinstance(value, collections.abc.Sequence)
            for index, item in enumerate(value):
                if is_ordered:
                    yield Part(f"[{index}]", (index,), part, item)
                else:
                    yield Part(f" item {index}", (), part, item)
        case DictType(parts=(of_key, part)):
            for key, item in value.items():
                name = reprlib.repr(key)
                yield Part(f" key {name}", (), of_key, key)
                yield Part(f"[{name}]", (key,), part, item)
        case TypedDictType(parts=types, keys=keys, required=required):
            for key, part in zip(keys, types, strict=True):
                if key in value or key in required:
                    yield Part(f"[{key!r}]", (key,), part, value.get(key, Missing()))
        case RecordType(parts=types, fields=fields):
            for name, part in zip(fields, types, strict=True):
                yield Part(f".{name}", (name,), part, getattr(value, name, None))
