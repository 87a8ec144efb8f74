"""What an annotation says of a value: a tensor with axes, or a container of such."""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from jaxtyping import AbstractArray

from shapezoo.contracts.axes import Axis
from shapezoo.contracts.bindings import enforceable


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

    parts = ()

    def __str__(self) -> str:
        array = self.annotation.array_type
        axes = " ".join(map(str, self.axes))
        return f'{self.dtype}[{getattr(array, "__name__", array)}, "{axes}"]'

    @functools.cached_property
    def braces(self) -> tuple[str, ...]:
        """The parts of its axes that are read from the arguments, braces included."""
        return tuple(text for axis in self.axes for text in axis.braces)

    @functools.cached_property
    def enforceable(self) -> type[AbstractArray]:
        """The annotation in the form that jaxtyping is asked to check."""
        return enforceable(self.annotation)

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"dtype": self.dtype, "axes": [axis.to_dict() for axis in self.axes]}


@dataclass(frozen=True)
class TupleType:
    """A tuple with a type for each item.

    Attributes:
        parts: The types of the items.
    """

    parts: tuple["Type", ...]

    def __str__(self) -> str:
        return f"tuple[{', '.join(map(str, self.parts)) or '()'}]"

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"tuple": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True)
class SequenceType:
    """A sequence of any length, whose items share one type.

    Attributes:
        parts: The type of the items.
        container: The class of the container, such as ``tuple`` or ``list``.
    """

    parts: tuple["Type"]
    container: type

    def __str__(self) -> str:
        ellipsis = ", ..." if self.container is tuple else ""
        return f"{self.container.__name__}[{self.parts[0]}{ellipsis}]"

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"container": self.container.__name__, "item": self.parts[0].to_dict()}


@dataclass(frozen=True)
class DictType:
    """A mapping of any length, whose keys share one type and whose values share one.

    Attributes:
        parts: The type of the keys and that of the values.
        container: The class of the container, such as ``dict``.
    """

    parts: tuple["Type", "Type"]
    container: type

    def __str__(self) -> str:
        return f"{self.container.__name__}[{self.parts[0]}, {self.parts[1]}]"

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"key": self.parts[0].to_dict(), "value": self.parts[1].to_dict()}


@dataclass(frozen=True)
class RecordType:
    """A dataclass or NamedTuple, with a type for each field.

    In a result its fields may name axes that no argument binds; they are checked against one
    another.

    Attributes:
        parts: The types of the fields.
        fields: The names of the fields.
        record: The class.
    """

    parts: tuple["Type", ...]
    fields: tuple[str, ...]
    record: type

    def __str__(self) -> str:
        return self.record.__name__

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        fields = zip(self.fields, self.parts, strict=True)
        return {"record": str(self), "fields": {name: part.to_dict() for name, part in fields}}


@dataclass(frozen=True)
class UnionType:
    """One of several types.

    Attributes:
        parts: The types.
    """

    parts: tuple["Type", ...]

    def __str__(self) -> str:
        return " | ".join(map(str, self.parts))

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"any_of": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True)
class PlainType:
    """What holds no tensors that shapezoo looks into: ``int``, ``None``, any other class.

    Attributes:
        name: The annotation as text.
        annotation: The annotation.
    """

    name: str
    annotation: Any = field(repr=False, compare=False)

    parts = ()

    def __str__(self) -> str:
        return self.name

    def to_dict(self) -> dict[str, object]:
        """The type as JSON-ready data."""
        return {"type": self.name}


Type = TensorType | TupleType | SequenceType | DictType | RecordType | UnionType | PlainType
"""What an annotation says of a value."""


def tensors(kind: Type) -> Iterator[TensorType]:
    """Every tensor type inside a type, in order."""
    if isinstance(kind, TensorType):
        yield kind
    for part in kind.parts:
        yield from tensors(part)


def resolve(kind: Type, value_of: Callable[[str], object]) -> Type:
    """A type with the axes in braces replaced by their sizes, where known.

    Args:
        kind: The type.
        value_of: Gives the value of one part in braces; raises NameError where it is not
            known yet.
    """
    if isinstance(kind, TensorType):
        return replace(kind, axes=tuple(axis.resolved(value_of) for axis in kind.axes))
    if isinstance(kind, PlainType):
        return kind
    parts: Any = tuple(resolve(part, value_of) for part in kind.parts)  # as many as before
    return replace(kind, parts=parts)


def bound_names(kind: Type) -> frozenset[str]:
    """The axis names that a value of this type binds, whichever option of a union it takes.

    An empty list or dictionary binds nothing all the same; that shows in the call.
    """
    if isinstance(kind, TensorType):
        return frozenset(axis.binds for axis in kind.axes if axis.binds)
    names = [bound_names(part) for part in kind.parts]
    return (
        frozenset.intersection(*names) if isinstance(kind, UnionType) else frozenset().union(*names)
    )
