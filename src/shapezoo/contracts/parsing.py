"""Reading one annotation, of an argument or of a result."""

import collections
import collections.abc
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any, Literal

from beartype.door import is_bearable
from beartype.roar import BeartypeException
from jaxtyping import AbstractArray

from shapezoo.contracts.axes import parse_axes
from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.generics import (
    TypeVariables,
    arguments_as,
    bound_variables,
    substituted,
    variables_of,
)
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

NO_VARIABLES: TypeVariables = types.MappingProxyType({})


def parse_type(
    annotation: Any, inside: frozenset[type] = frozenset(), variables: TypeVariables = NO_VARIABLES
) -> Type:
    """Read an annotation.

    Args:
        annotation: An evaluated annotation, as `typing.get_type_hints` returns it.
        inside: The records around it, so that one that contains itself comes to an end.
        variables: What the type variables in it stand for.

    Raises:
        ContractError: A shape in it cannot be read, or stands where shapezoo does not look, or
            beartype cannot check it.
    """
    parse = functools.partial(parse_type, inside=inside, variables=variables)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        kind = TensorType(annotation.dtype.__name__, parse_axes(annotation.dim_str), annotation)
        _ = kind.enforceable  # refuses what jaxtyping would misread
        return kind
    if isinstance(annotation, typing.NewType):
        return parse(annotation.__supertype__)
    if isinstance(annotation, typing.TypeVar):
        if annotation in variables:
            return parse_type(variables[annotation], inside)
        if annotation.__bound__ is not None:
            return parse(annotation.__bound__)
        if annotation.__constraints__:
            return UnionType(tuple(map(parse, annotation.__constraints__)))
    alias = origin or annotation
    if type(alias).__name__ == "TypeAliasType":
        given = tuple(substituted(argument, variables) for argument in arguments)
        own = bound_variables(alias.__type_params__, given)
        return parse(alias.__value__, variables={**variables, **own})
    if origin is typing.Annotated:
        if not any(map(_is_validator, arguments[1:])):
            return parse(arguments[0])
        if _has_shapes(arguments[0], inside):
            raise ContractError(f"{annotation} has a validator; check what it says in the body")
    if origin in (typing.Union, types.UnionType):
        return UnionType(tuple(map(parse, arguments)))
    if origin is not None and getattr(annotation, "__args__", None) is None:
        return parse(origin)  # as typing.List without brackets
    if origin in (typing.Required, typing.NotRequired):
        return parse(arguments[0])
    if origin is tuple and arguments[-1:] != (...,):
        return TupleType(tuple(map(parse, arguments)))
    if fields := _fields(annotation, inside, variables):
        record = origin or annotation
        parts, names = tuple(fields.values()), tuple(fields)
        if typing.is_typeddict(record):
            return TypedDictType(parts, names, record.__required_keys__, record)
        return RecordType(parts, names, record)
    if (container := _container(annotation, parse)) is not None:
        return container
    return _plain(substituted(annotation, variables), inside)


def _container(annotation: Any, parse: Callable[[Any], Type]) -> SequenceType | DictType | None:
    """The type of a collection or mapping whose items have a type, or None for anything else."""
    class_ = typing.get_origin(annotation) or annotation
    if not isinstance(class_, type):
        return None
    for base in class_.__mro__:
        arguments = arguments_as(annotation, base) if base.__module__ in _LIBRARY else ()
        if base is collections.Counter and len(arguments) == 1:
            arguments = (*arguments, int)
        if issubclass(base, collections.abc.Mapping) and len(arguments) == 2:
            return DictType((parse(arguments[0]), parse(arguments[1])), class_)
        is_collection = issubclass(base, collections.abc.Collection)
        if is_collection and (len(arguments) == 1 or arguments[1:] == (...,)):
            return SequenceType((parse(arguments[0]),), class_)
    return None


_LIBRARY = ("builtins", "collections", "collections.abc")
"""Where the generic classes are defined whose arguments are the types of their items."""


def _is_validator(extra: object) -> bool:
    return type(extra).__module__.startswith("beartype.vale")


def _plain(annotation: Any, inside: frozenset[type]) -> PlainType:
    """An annotation that beartype checks as a whole."""
    if annotation is types.NoneType:
        return PlainType("None", annotation)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if _has_shapes(annotation, inside):
        raise ContractError(
            f"{name} contains a shape, and shapezoo does not look into it; use a tensor, a tuple, "
            f"list, dict or other collection, a dataclass, or a union of these"
        )
    if (sampled := _sampled(annotation)) is not None:
        reason = "that would consume them; use Sequence or Collection, or leave out the brackets"
        if issubclass(typing.get_origin(sampled), collections.abc.Collection):
            reason = f"it stands inside {name}; check what that says in the body"
        raise ContractError(f"the items of {sampled} cannot be checked: {reason}")
    try:
        is_bearable(None, annotation)
    except BeartypeException as error:
        raise ContractError(f"{name} cannot be checked: {error}") from error
    return PlainType(name, annotation)


def _fields(
    annotation: Any, inside: frozenset[type], variables: TypeVariables = NO_VARIABLES
) -> dict[str, Type]:
    """The fields of a dataclass, NamedTuple or TypedDict, if there is a tensor among them."""
    record = typing.get_origin(annotation) or annotation
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
    known = variables_of(substituted(annotation, variables))
    fields = {
        name: parse_type(hints.get(name, Any), inside | {record}, _of_field(name, record, known))
        for name in names
    }
    if not any(map(_holds_tensors, fields.values())):
        return {}
    if any(_mentions(kind, record) for kind in fields.values()):
        raise ContractError(f"{record.__name__} contains itself; shapezoo does not look into it")
    return fields


def _of_field(name: str, record: type, known: Mapping[type, TypeVariables]) -> TypeVariables:
    """What type variables stand for in the annotation of a field: in the class that it is from."""
    owners = (c for c in record.__mro__ if name in vars(c).get("__annotations__", ()))
    owner = next(owners, record)
    if owner in known:
        return known[owner]
    return {}


def _has_shapes(annotation: Any, inside: frozenset[type]) -> bool:
    """Whether a shape stands anywhere inside; a callable keeps its own contract."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    if typing.get_origin(annotation) is collections.abc.Callable:
        return False
    if _fields(annotation, inside):
        return True
    return any(_has_shapes(part, inside) for part in typing.get_args(annotation))


def _sampled(annotation: Any) -> Any:
    """The first collection inside an annotation of whose items beartype would check a random one.

    It would also draw from Python's global random numbers to do so.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (collections.abc.Callable, type, Literal):
        return None
    is_collection = isinstance(origin, type) and issubclass(
        origin, collections.abc.Iterable | collections.abc.Container
    )
    if is_collection and origin.__module__ in _LIBRARY and arguments[:1] not in ((Any,), (object,)):
        return annotation
    found = map(_sampled, arguments)
    return next((part for part in found if part is not None), None)


def _holds_tensors(kind: Type) -> bool:
    return next(tensors(kind), None) is not None


def _mentions(kind: Type, record: type) -> bool:
    return any(isinstance(part, PlainType) and part.annotation is record for part in walk(kind))
