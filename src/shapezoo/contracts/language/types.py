"""Parsed annotations: tensors with axes, containers of tensors, and plain types.

Each class has `parts`, the types inside it, in the order of its fields.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import NoneType
from typing import Any, TypeVar, cast

import torch
from jaxtyping import AbstractArray

from shapezoo.contracts.language.axes import BRACES, Axis
from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.language.expressions import reserved_name


@dataclass(frozen=True)
class TensorType:
    """A tensor with a dtype and axes.

    Attributes:
        dtype: jaxtyping's name of the dtype or family of dtypes, such as ``Float`` or ``Int64``.
        axes: The axes, in order.
        annotation: The jaxtyping annotation that this was parsed from.
    """

    dtype: str
    axes: tuple[Axis, ...]
    annotation: Any = field(repr=False, compare=False)

    parts = ()

    def __str__(self) -> str:
        axes = " ".join(map(str, self.axes))
        return f'{self.dtype}[{self.array}, "{axes}"]'

    @property
    def array(self) -> str:
        """The name of the class of the tensor, such as ``Tensor``."""
        array = self.annotation.array_type
        return str(getattr(array, "__name__", array))

    @functools.cached_property
    def braces(self) -> tuple[str, ...]:
        """The parts of its axes in braces, braces included."""
        return tuple(text for axis in self.axes for text in axis.braces)

    @functools.cached_property
    def broadcast_names(self) -> tuple[str, ...]:
        """The names of single axes that may also have size 1."""
        return tuple(a.name for a in self.axes if a.name and a.broadcast and not a.variadic)

    @functools.cached_property
    def enforceable(self) -> type[AbstractArray]:
        """The annotation in the form that jaxtyping checks."""
        return enforceable(self.annotation)

    def is_array(self, value: object) -> bool:
        """Whether a value is an array of the right class, whatever its dtype and shape."""
        array = self.annotation.array_type
        if array is Any:
            return hasattr(value, "shape") and hasattr(value, "dtype")
        return isinstance(value, array)

    def allows(self, dtype: torch.dtype) -> bool:
        """Whether a tensor may have this dtype."""
        allowed = self.annotation.dtypes
        is_any = not isinstance(allowed, list | tuple)
        return is_any or str(dtype).removeprefix("torch.") in allowed

    def to_dict(self) -> dict[str, object]:
        """Return the type as JSON-ready data."""
        axes = [axis.to_dict() for axis in self.axes]
        return {"kind": "tensor", "array": self.array, "dtype": self.dtype, "axes": axes}


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
        """Return the type as JSON-ready data."""
        return {"kind": "tuple", "items": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True)
class SequenceType:
    """A collection of any length, whose items share one type: a list, a tuple, a set, a deque.

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
        """Return the type as JSON-ready data."""
        item, container = self.parts[0].to_dict(), self.container.__name__
        return {"kind": "sequence", "container": container, "item": item}


@dataclass(frozen=True)
class DictType:
    """A mapping of any length, with one type for all keys and one for all values.

    Attributes:
        parts: The types of the keys and of the values.
        container: The class of the container, such as ``dict``.
    """

    parts: tuple["Type", "Type"]
    container: type

    def __str__(self) -> str:
        return f"{self.container.__name__}[{self.parts[0]}, {self.parts[1]}]"

    def to_dict(self) -> dict[str, object]:
        """Return the type as JSON-ready data."""
        key, value = (part.to_dict() for part in self.parts)
        container = self.container.__name__
        return {"kind": "dict", "container": container, "key": key, "value": value}


@dataclass(frozen=True)
class RecordType:
    """A dataclass or NamedTuple, with a type for each field.

    In a result, its fields may use axes that no argument binds; they are checked against each
    other.

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
        """Return the type as JSON-ready data."""
        fields = {name: p.to_dict() for name, p in zip(self.fields, self.parts, strict=True)}
        return {"kind": "record", "class": str(self), "fields": fields}


@dataclass(frozen=True)
class TypedDictType:
    """A dictionary with a type for each key. Other keys are ignored.

    In a result, its items may use axes that no argument binds, like the fields of a record.

    Attributes:
        parts: The types of the items.
        keys: The keys.
        required: The keys that must be present.
        record: The class.
    """

    parts: tuple["Type", ...]
    keys: tuple[str, ...]
    required: frozenset[str]
    record: type

    def __str__(self) -> str:
        return self.record.__name__

    def to_dict(self) -> dict[str, object]:
        """Return the type as JSON-ready data."""
        items = {key: part.to_dict() for key, part in zip(self.keys, self.parts, strict=True)}
        required = sorted(self.required)
        return {"kind": "typed_dict", "class": str(self), "items": items, "required": required}


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
        """Return the type as JSON-ready data."""
        return {"kind": "union", "options": [part.to_dict() for part in self.parts]}


@dataclass(frozen=True)
class TreeType:
    """A jaxtyping ``PyTree``, whose leaves jaxtyping checks.

    Attributes:
        parts: The type of the leaves.
        structures: The names in its structure.
        annotation: The annotation.
    """

    parts: tuple["Type"]
    structures: tuple[str, ...]
    annotation: Any = field(repr=False, compare=False)

    def __str__(self) -> str:
        structure = self.annotation.structure
        return f"PyTree[{self.parts[0]}{f', {structure!r}' if structure else ''}]"

    def to_dict(self) -> dict[str, object]:
        """Return the type as JSON-ready data."""
        leaves, structure = self.parts[0].to_dict(), self.annotation.structure
        return {"kind": "tree", "leaves": leaves, "structure": structure}


@dataclass(frozen=True)
class PlainType:
    """A type without shapes, such as ``int``, ``None`` or any other class.

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
        """Return the type as JSON-ready data."""
        return {"kind": "plain", "type": self.name}


Type = (
    TensorType
    | TupleType
    | SequenceType
    | DictType
    | TypedDictType
    | RecordType
    | UnionType
    | TreeType
    | PlainType
)
"""A parsed annotation."""


def is_none(type_: Type) -> bool:
    """Whether this is the type of None."""
    return isinstance(type_, PlainType) and type_.annotation is NoneType


def is_decided_by_class(type_: Type) -> bool:
    """Whether only the class of a value decides if it matches this type."""
    if isinstance(type_, UnionType):
        return all(map(is_decided_by_class, type_.parts))
    return isinstance(type_, PlainType) and is_plain_class(type_.annotation)


def is_plain_class(annotation: Any) -> bool:
    """Whether an annotation is a class without an ``isinstance`` of its own, or ``Any``."""
    metaclass: Any = type(annotation)
    has_own_check = metaclass.__instancecheck__ is not type.__instancecheck__
    return annotation is Any or (isinstance(annotation, type) and not has_own_check)


def walk(type_: Type) -> Iterator[Type]:
    """Yield a type and all the types inside it, in order."""
    yield type_
    for part in type_.parts:
        yield from walk(part)


def tensors(type_: Type) -> Iterator[TensorType]:
    """Return every tensor type inside a type, in order."""
    return (part for part in walk(type_) if isinstance(part, TensorType))


T = TypeVar("T", bound=Type)


def with_tensors(type_: T, change: Callable[[TensorType], TensorType]) -> T:
    """Return a copy of a type in which each tensor type is replaced by change(tensor type)."""
    if isinstance(type_, TensorType):
        return cast(T, change(type_))
    if not type_.parts:
        return type_
    parts: Any = tuple(with_tensors(part, change) for part in type_.parts)
    return replace(type_, parts=parts)


def resolve(type_: Type, values: Mapping[str, object]) -> Type:
    """Replace the parts in braces in a type that have a value.

    Args:
        type_: The type.
        values: The values of parts in braces.
    """
    return with_tensors(
        type_, lambda t: replace(t, axes=tuple(axis.resolved(values) for axis in t.axes))
    )


def bindable_names(type_: Type) -> frozenset[str]:
    """Return the axis names that a value of this type may bind."""
    return frozenset(axis.key for tensor in tensors(type_) for axis in tensor.axes if axis.key)


def needed_names(type_: Type) -> frozenset[str]:
    """Return the axis names in every result of this type that arguments must bind.

    The axes in records are checked against each other and do not need an argument.
    """
    if isinstance(type_, TensorType):
        return bindable_names(type_) | _union(axis.needs for axis in type_.axes)
    if isinstance(type_, RecordType | TypedDictType | SequenceType | DictType | TreeType):
        return frozenset()  # a collection may be empty
    if isinstance(type_, UnionType):
        return frozenset.intersection(*map(needed_names, type_.parts))
    return _union(map(needed_names, type_.parts))


def _union(names: Iterable[frozenset[str]]) -> frozenset[str]:
    return frozenset().union(*names)


def enforceable(annotation: type[AbstractArray]) -> type[AbstractArray]:
    """Replace each part in braces by an axis name, as `reserved_name` returns it.

    jaxtyping would evaluate the braces again at each check, which is slow and fails for symbolic
    sizes.

    Raises:
        ContractError: It nests an annotation with another dtype.
    """
    if annotation.dtypes != annotation.dtype.dtypes:
        raise ContractError(
            f"{annotation.__name__} nests two different dtypes; write a single annotation such as "
            f'Float32[Tensor, "batch n"]'
        )
    if "{" not in annotation.dim_str:
        return annotation
    text = BRACES.sub(lambda part: reserved_name(part[0]), annotation.dim_str)
    return with_shape(annotation, text)


def with_shape(annotation: type[AbstractArray], text: str) -> type[AbstractArray]:
    """Return an annotation with the same dtype and array class, and another shape."""
    dtype = cast(Any, annotation.dtype)  # mypy and pyright do not know that it can be subscripted
    return cast("type[AbstractArray]", dtype[annotation.array_type, text])
