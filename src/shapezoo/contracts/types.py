"""What an annotation says of a value: a tensor with axes, or a container of such."""

import collections.abc
import dataclasses
import functools
import types
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import AbstractArray

from shapezoo.contracts.axes import Axis, parse_axes
from shapezoo.contracts.errors import ContractError


@dataclass(frozen=True)
class TensorType:
    """A tensor with a dtype and axes.

    Attributes:
        dtype: jaxtyping's name of the family of dtypes, such as ``Float`` or ``Int64``.
        axes: The axes, in order.
        annotation: The jaxtyping annotation that this was read from.
    """

    dtype: str
    axes: tuple[Axis, ...]
    annotation: Any = field(repr=False, compare=False)

    def __str__(self) -> str:
        array = self.annotation.array_type
        axes = " ".join(map(str, self.axes))
        return f'{self.dtype}[{getattr(array, "__name__", array)}, "{axes}"]'

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"dtype": self.dtype, "axes": [axis.to_dict() for axis in self.axes]}


@dataclass(frozen=True)
class SequenceType:
    """A tuple with a type for each item, or a sequence of any length whose items share one.

    Attributes:
        container: The class of the container, such as ``tuple`` or ``list``.
        items: The types of the items.
        repeated: Whether the single item type stands for any number of items.
    """

    container: type
    items: tuple["Type", ...]
    repeated: bool = False

    def __str__(self) -> str:
        items = ", ".join(map(str, self.items))
        ellipsis = ", ..." if self.repeated and self.container is tuple else ""
        return f"{self.container.__name__}[{items}{ellipsis}]"

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        items = [item.to_dict() for item in self.items]
        return {"container": self.container.__name__, "items": items, "repeated": self.repeated}


@dataclass(frozen=True)
class DictType:
    """A mapping whose values share a type.

    Attributes:
        key: The type of the keys.
        value: The type of the values.
    """

    key: "Type"
    value: "Type"

    def __str__(self) -> str:
        return f"dict[{self.key}, {self.value}]"

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"container": "dict", "key": self.key.to_dict(), "value": self.value.to_dict()}


@dataclass(frozen=True)
class RecordType:
    """A dataclass or NamedTuple, with a type for each field.

    In a result its fields may name axes that no argument binds; they are checked against one
    another.

    Attributes:
        name: The name of the class.
        fields: The name and type of each field.
        record: The class.
    """

    name: str
    fields: tuple[tuple[str, "Type"], ...]
    record: type = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.name

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"record": self.name, "fields": {name: item.to_dict() for name, item in self.fields}}


@dataclass(frozen=True)
class UnionType:
    """One of several types.

    Attributes:
        options: The types.
    """

    options: tuple["Type", ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.options))

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"any_of": [option.to_dict() for option in self.options]}


@dataclass(frozen=True)
class PlainType:
    """Anything without tensors that shapezoo looks into: ``int``, ``bool``, ``None``, a class.

    Attributes:
        name: The annotation as text.
        annotation: The annotation.
    """

    name: str
    annotation: Any = field(repr=False, compare=False)

    def __str__(self) -> str:
        return self.name

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"type": self.name}


Type = TensorType | SequenceType | DictType | RecordType | UnionType | PlainType
"""What an annotation says of a value."""


def parse_type(annotation: Any, inside: frozenset[type] = frozenset()) -> Type:
    """Read an annotation.

    Args:
        annotation: An evaluated annotation, as `typing.get_type_hints` gives it.
        inside: The records around it, so that one that contains itself comes to an end.

    Raises:
        ContractError: A shape in it cannot be read, or stands in a container that shapezoo
            does not look into.
    """
    parse = functools.partial(parse_type, inside=inside)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        axes = parse_axes(annotation.dim_str)
        return TensorType(annotation.dtype.__name__, axes, annotation)
    if origin is typing.Annotated:
        return parse(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return UnionType(tuple(map(parse, arguments)))
    if origin is tuple and arguments[-1:] != (...,):
        return SequenceType(tuple, tuple(map(parse, arguments)))
    if origin in (tuple, list, collections.abc.Sequence):
        return SequenceType(origin, (parse(arguments[0]),), repeated=True)
    if origin in (dict, collections.abc.Mapping):
        return DictType(*map(parse, arguments))
    if isinstance(annotation, type) and annotation not in inside and _is_record(annotation):
        hints = typing.get_type_hints(annotation, include_extras=True)
        parse = functools.partial(parse_type, inside=inside | {annotation})
        fields = tuple((name, parse(hint)) for name, hint in hints.items())
        if any(next(tensors(kind), None) for _, kind in fields):
            return RecordType(annotation.__name__, fields, annotation)
    if annotation is None or annotation is types.NoneType:
        return PlainType("None", types.NoneType)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    inner = typing.get_type_hints(annotation) if typing.is_typeddict(annotation) else {}
    if any(next(tensors(parse(part)), None) for part in (*arguments, *inner.values())):
        raise ContractError(f"{name} holds tensors, but shapezoo does not look into it")
    return PlainType(name, annotation)


def resolve(kind: Type, value_of: Callable[[str], object]) -> Type:
    """A type with the axes in braces replaced by their sizes, where known.

    Args:
        kind: The type.
        value_of: Gives the value of one part in braces; raises NameError where it is not
            known yet.
    """
    known = functools.partial(resolve, value_of=value_of)
    match kind:
        case TensorType(axes=axes):
            return replace(kind, axes=tuple(axis.resolved(value_of) for axis in axes))
        case SequenceType(items=items):
            return replace(kind, items=tuple(map(known, items)))
        case DictType(value=value):
            return replace(kind, value=known(value))
        case RecordType(fields=fields):
            return replace(kind, fields=tuple((name, known(item)) for name, item in fields))
        case UnionType(options=options):
            return replace(kind, options=tuple(map(known, options)))
    return kind


def tensors(kind: Type, *, in_records: bool = True) -> Iterator[TensorType]:
    """Every tensor type inside a type, in order.

    Args:
        kind: The type.
        in_records: Whether those in the fields of records count.
    """
    parts: tuple[Type, ...] = ()
    match kind:
        case TensorType():
            yield kind
        case SequenceType(items=items) | UnionType(options=items):
            parts = items
        case DictType(value=value):
            parts = (value,)
        case RecordType(fields=fields) if in_records:
            parts = tuple(item for _, item in fields)
    for part in parts:
        yield from tensors(part, in_records=in_records)


def bound_names(kind: Type) -> frozenset[str]:
    """The axis names that every value of this type binds.

    An option of a union or an empty list may bind nothing.
    """
    match kind:
        case TensorType(axes=axes):
            return frozenset(axis.binds for axis in axes if axis.binds)
        case SequenceType(items=items, repeated=False):
            return frozenset().union(*map(bound_names, items))
        case RecordType(fields=fields):
            return frozenset().union(*(bound_names(item) for _, item in fields))
        case UnionType(options=options):
            return frozenset.intersection(*map(bound_names, options))
    return frozenset()


def _is_record(kind: type) -> bool:
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    return dataclasses.is_dataclass(kind) or is_named_tuple
