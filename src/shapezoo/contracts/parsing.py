"""Reading one annotation, of an argument or of a result."""

import collections.abc
import dataclasses
import functools
import inspect
import types
import typing
from typing import Any

from beartype.door import is_bearable
from beartype.roar import BeartypeException
from jaxtyping import AbstractArray

from shapezoo.contracts.axes import parse_axes
from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.types import (
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    TupleType,
    Type,
    TypedDictType,
    UnionType,
    tensors,
    walk,
)


def parse_type(annotation: Any, inside: frozenset[type] = frozenset()) -> Type:
    """Read an annotation.

    Args:
        annotation: An evaluated annotation, as `typing.get_type_hints` gives it.
        inside: The records around it, so that one that contains itself comes to an end.

    Raises:
        ContractError: A shape in it cannot be read, or stands where shapezoo does not look, or
            beartype cannot check it.
    """
    parse = functools.partial(parse_type, inside=inside)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        kind = TensorType(annotation.dtype.__name__, parse_axes(annotation.dim_str), annotation)
        _ = kind.enforceable  # refuses what jaxtyping would misread
        return kind
    if isinstance(annotation, typing.NewType):
        return parse(annotation.__supertype__)
    if isinstance(annotation, typing.TypeVar) and annotation.__bound__ is not None:
        return parse(annotation.__bound__)
    if type(annotation).__name__ == "TypeAliasType":
        return parse(annotation.__value__)
    if origin is typing.Annotated and _has_shapes(arguments[0], inside):
        if any(type(extra).__module__.startswith("beartype.vale") for extra in arguments[1:]):
            raise ContractError(f"{annotation} has a validator; check what it says in the body")
        return parse(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return UnionType(tuple(map(parse, arguments)))
    if origin is not None and getattr(annotation, "__args__", None) is None:
        return parse(origin)  # as typing.List without brackets
    if origin is tuple and arguments[-1:] != (...,):
        return TupleType(tuple(map(parse, arguments)))
    if origin in (tuple, list, collections.abc.Sequence):
        return SequenceType((parse(arguments[0]),), origin)
    is_mapping = isinstance(origin, type) and issubclass(origin, collections.abc.Mapping)
    if is_mapping and len(arguments) == 2:
        return DictType((parse(arguments[0]), parse(arguments[1])), origin)
    if origin in (typing.Required, typing.NotRequired):
        return parse(arguments[0])
    record = origin or annotation
    if fields := _fields(record, inside):
        parts, names = tuple(fields.values()), tuple(fields)
        if typing.is_typeddict(record):
            return TypedDictType(parts, names, record.__required_keys__, record)
        return RecordType(parts, names, record)
    return _plain(annotation, inside)


def _plain(annotation: Any, inside: frozenset[type]) -> PlainType:
    """An annotation that beartype checks as a whole."""
    if annotation is types.NoneType:
        return PlainType("None", annotation)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if _has_shapes(annotation, inside):
        raise ContractError(f"{name} holds tensors, but shapezoo does not look into it")
    try:
        is_bearable(None, annotation)
    except BeartypeException as error:
        raise ContractError(f"{name} cannot be checked: {error}") from error
    return PlainType(name, annotation)


def _fields(record: Any, inside: frozenset[type]) -> dict[str, Type]:
    """The fields of a dataclass, NamedTuple or TypedDict, if there is a tensor among them."""
    if not isinstance(record, type) or record in inside:
        return {}
    if dataclasses.is_dataclass(record):
        names = [field.name for field in dataclasses.fields(record)]
    elif typing.is_typeddict(record):
        names = list(record.__annotations__)
    elif issubclass(record, tuple):
        names = list(getattr(record, "_fields", ()))
    else:
        return {}
    try:
        hints = typing.get_type_hints(record, include_extras=True)
    except NameError:  # names that only type checkers see, in a record without tensors
        if any("Tensor" in str(hint) for hint in inspect.get_annotations(record).values()):
            raise
        return {}
    fields = {name: parse_type(hints.get(name, Any), inside | {record}) for name in names}
    if not any(map(_holds_tensors, fields.values())):
        return {}
    if any(_mentions(kind, record) for kind in fields.values()):
        raise ContractError(f"{record.__name__} contains itself; shapezoo does not look into it")
    return fields


def _has_shapes(annotation: Any, inside: frozenset[type]) -> bool:
    """Whether a shape stands anywhere inside; a callable keeps its own contract."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    if typing.get_origin(annotation) is collections.abc.Callable:
        return False
    if _fields(annotation, inside):
        return True
    return any(_has_shapes(part, inside) for part in typing.get_args(annotation))


def _holds_tensors(kind: Type) -> bool:
    return next(tensors(kind), None) is not None


def _mentions(kind: Type, record: type) -> bool:
    return any(isinstance(part, PlainType) and part.annotation is record for part in walk(kind))
