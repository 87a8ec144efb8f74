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
    UnionType,
    tensors,
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
    if origin is typing.Annotated and _has_shapes(arguments[0]):
        return parse(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return UnionType(tuple(map(parse, arguments)))
    if origin is tuple and arguments[-1:] != (...,):
        return TupleType(tuple(map(parse, arguments)))
    if origin in (tuple, list, collections.abc.Sequence):
        return SequenceType((parse(arguments[0]),), origin)
    if isinstance(origin, type) and issubclass(origin, collections.abc.Mapping):
        return DictType((parse(arguments[0]), parse(arguments[1])), origin)
    if fields := _fields(origin or annotation, inside):
        return RecordType(tuple(fields.values()), tuple(fields), origin or annotation)
    return _plain(annotation)


def _plain(annotation: Any) -> PlainType:
    """An annotation that beartype checks as a whole."""
    if annotation is types.NoneType:
        return PlainType("None", annotation)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if _has_shapes(annotation):
        raise ContractError(f"{name} holds tensors, but shapezoo does not look into it")
    try:
        is_bearable(None, annotation)
    except BeartypeException as error:
        raise ContractError(f"{name} cannot be checked: {error}") from error
    return PlainType(name, annotation)


def _fields(record: Any, inside: frozenset[type]) -> dict[str, Type]:
    """The fields of a dataclass or NamedTuple, if there is a tensor among them."""
    if not isinstance(record, type) or record in inside:
        return {}
    if dataclasses.is_dataclass(record):
        names = [field.name for field in dataclasses.fields(record)]
    elif issubclass(record, tuple) and "_fields" in vars(record):
        names = list(vars(record)["_fields"])
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


def _has_shapes(annotation: Any) -> bool:
    """Whether a shape stands anywhere inside; a callable keeps its own contract."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    if typing.get_origin(annotation) is collections.abc.Callable:
        return False
    is_dict = typing.is_typeddict(annotation)
    parts = typing.get_type_hints(annotation).values() if is_dict else typing.get_args(annotation)
    return any(map(_has_shapes, parts))


def _holds_tensors(kind: Type) -> bool:
    return next(tensors(kind), None) is not None


def _mentions(kind: Type, record: type) -> bool:
    is_it = isinstance(kind, PlainType) and kind.annotation is record
    return is_it or any(_mentions(part, record) for part in kind.parts)
