"""Parse one annotation, of an argument or of a result."""

import collections
import collections.abc
import dataclasses
import functools
import inspect
import re
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from beartype.door import is_bearable
from beartype.roar import BeartypeException
from jaxtyping import AbstractArray

from shapezoo.contracts.language.axes import parse_axes
from shapezoo.contracts.language.errors import ContractError, UnresolvedError
from shapezoo.contracts.language.generics import (
    TypeVariables,
    all_variables_of,
    arguments_as,
    bound_variables,
    substituted,
    variables_of,
)
from shapezoo.contracts.language.scopes import Scope, Unchecked, type_parameters
from shapezoo.contracts.language.types import (
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    TreeType,
    TupleType,
    Type,
    TypedDictType,
    UnionType,
    tensors,
    walk,
)

MAX_DEPTH = 20
"""The maximal depth of nested records; a generic record can grow at each step."""


@dataclasses.dataclass(frozen=True)
class Context:
    """The context that an annotation is parsed in.

    Attributes:
        inside: The records that contain it, with their type arguments. They end the parsing of a
            record that contains itself.
        variables: The values of the type variables in it.
        is_final: Whether a missing name is an error, as in `Scope`.
    """

    inside: frozenset[Any] = frozenset()
    variables: TypeVariables = dataclasses.field(default_factory=dict)
    is_final: bool = True


def parse_type(annotation: Any, context: Context = Context()) -> Type:
    """Parse an annotation.

    Args:
        annotation: An evaluated annotation, as `Scope.evaluated` returns it.
        context: The context that it is parsed in.

    Raises:
        UnresolvedError: A name in a record does not exist (yet).
        ContractError: A shape in it is not valid or is inside a type that shapezoo cannot check, or
            beartype does not support the annotation.
    """
    while (target := _aliased(annotation, context)) is not None:
        annotation, context = target
    parse = functools.partial(parse_type, context=context)
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(annotation, Unchecked):
        return PlainType(annotation.text, Any)
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        type_ = TensorType(annotation.dtype.__name__, parse_axes(annotation.dim_str), annotation)
        _ = type_.enforceable  # raises if jaxtyping would misread it
        return type_
    if hasattr(annotation, "leaftype") and type(annotation).__module__ == _PYTREE:
        return _tree(annotation, parse)
    if isinstance(annotation, typing.TypeVar) and annotation.__constraints__:
        return UnionType(tuple(map(parse, annotation.__constraints__)))
    if origin in (typing.Union, types.UnionType):
        return UnionType(tuple(map(parse, arguments)))
    if origin is tuple and arguments[-1:] != (...,):
        return TupleType(tuple(map(parse, arguments)))
    if fields := _fields(annotation, context):
        record: Any = annotation if origin is None else origin
        parts, names = tuple(fields.values()), tuple(fields)
        if typing.is_typeddict(record):
            return TypedDictType(parts, names, record.__required_keys__, record)
        return RecordType(parts, names, record)
    container = _container(annotation, parse)
    return container or _plain(substituted(annotation, context.variables), context)


def _aliased(annotation: Any, context: Context) -> tuple[Any, Context] | None:
    """Return the annotation that this one is an alias of, and its context; None if it is not one.

    Raises:
        ContractError: A shape in it has a validator.
    """
    variables = context.variables
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    alias: Any = annotation if origin is None else origin
    if isinstance(annotation, typing.TypeVar):
        if annotation in variables:
            return variables[annotation], replace(context, variables={})
        return (annotation.__bound__, context) if annotation.__bound__ is not None else None
    if isinstance(annotation, typing.NewType):
        return annotation.__supertype__, context
    if type(alias).__name__ == "TypeAliasType":  # not in typing before Python 3.12
        values = tuple(substituted(argument, variables) for argument in arguments)
        own = bound_variables(alias.__type_params__, values)
        return alias.__value__, replace(context, variables={**variables, **own})
    if origin is typing.Annotated:
        if not any(type(extra).__module__.startswith("beartype.vale") for extra in arguments[1:]):
            return arguments[0], context
        if _has_shapes(arguments[0], context):
            raise ContractError(f"{annotation} has a validator on a shape; check it in the body")
    if origin in (typing.Required, typing.NotRequired):
        return arguments[0], context
    if origin is not None and getattr(annotation, "__args__", None) is None:
        return origin, context  # such as typing.List without type arguments
    return None


def _tree(annotation: Any, parse: Callable[[Any], Type]) -> TreeType:
    """Return the type of a tree; its leaves may have axes of their own, written ``?name``."""
    leaf = annotation.leaftype
    if isinstance(leaf, type) and issubclass(leaf, AbstractArray):
        leaf = leaf.dtype[leaf.array_type, re.sub(r"\?\S*", "_", leaf.dim_str)]
    leaf_type = parse(leaf)
    if any(tensor.braces for tensor in tensors(leaf_type)):
        raise ContractError(f"{annotation.__name__} has braces, which a PyTree does not support")
    structures = (annotation.structure or "").replace("...", "").split()
    return TreeType((leaf_type,), tuple(structures), annotation)


_PYTREE = "jaxtyping._pytree_type"
"""The private module that defines `PyTree`. The name is public, but importing it needs JAX."""


def _container(annotation: Any, parse: Callable[[Any], Type]) -> Type | None:
    """Return the type of a collection or mapping with typed items, or None for anything else."""
    class_ = typing.get_origin(annotation) or annotation
    if not isinstance(class_, type):
        return None
    for base in class_.__mro__:
        arguments: Any = ()
        if base.__module__ in _LIBRARY:
            arguments = arguments_as(annotation, base)
        if base is tuple and len(arguments) > 0 and arguments[1:] != (...,):
            return TupleType(tuple(map(parse, arguments)))
        if base is collections.Counter and len(arguments) == 1:
            arguments = (*arguments, int)
        if issubclass(base, collections.abc.Mapping) and len(arguments) == 2:
            return DictType((parse(arguments[0]), parse(arguments[1])), class_)
        is_collection = issubclass(base, collections.abc.Collection)
        if is_collection and (len(arguments) == 1 or arguments[1:] == (...,)):
            return SequenceType((parse(arguments[0]),), class_)
    return None


_LIBRARY = ("builtins", "collections", "collections.abc")
"""The modules of the generic classes whose type arguments are the types of their items."""


def _plain(annotation: Any, context: Context) -> PlainType:
    """Return the type of an annotation that beartype checks as a whole."""
    if annotation is types.NoneType:
        return PlainType("None", annotation)
    name = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    if annotation is typing.Self:
        raise ContractError("typing.Self is not supported; write the name of the class, in quotes")
    if typing.get_origin(annotation) is typing.Unpack:
        raise ContractError("typing.Unpack is not supported; annotate the keywords one by one")
    if _has_shapes(annotation, context):
        raise ContractError(
            f"{name} contains a shape in a type that shapezoo cannot check; use a tensor, a tuple, "
            f"list, dict or other collection, a dataclass, or a union of these"
        )
    if (sampled := _sampled(annotation)) is not None:
        reason = " without consuming them; use Sequence or Collection, or drop the type argument"
        if issubclass(typing.get_origin(sampled), collections.abc.Collection):
            reason = f", because it is nested in {name}; check them in the body"
        raise ContractError(f"cannot check the items of {sampled}{reason}")
    try:
        is_bearable(None, annotation)
    except BeartypeException as error:
        raise ContractError(f"{name} cannot be checked: {error}") from error
    return PlainType(name, annotation)


def _fields(annotation: Any, context: Context) -> dict[str, Type]:
    """Return the fields of a dataclass, NamedTuple or TypedDict; none if no field has a tensor.

    Each class that the record inherits from has its own names and type variables, so its
    annotations are evaluated class by class. An annotation that cannot be evaluated is ignored in a
    record without tensors, unless the field may be a tensor itself.
    """
    record = typing.get_origin(annotation) or annotation
    whole = substituted(annotation, context.variables)
    if not isinstance(record, type) or whole in context.inside or len(context.inside) > MAX_DEPTH:
        return {}
    if dataclasses.is_dataclass(record):
        names = [field.name for field in dataclasses.fields(record)]
    elif typing.is_typeddict(record):
        names = list(record.__annotations__)
    elif issubclass(record, tuple):
        names = list(getattr(record, "_fields", ()))
    else:
        return {}
    variables = variables_of(whole)
    if typing.is_typeddict(record):  # its annotations include those of its bases
        variables[record] = all_variables_of(whole)
    inside = context.inside | {whole}
    fields: dict[str, Type] = {}
    unresolved: list[UnresolvedError] = []
    for class_ in reversed(record.__mro__):
        inner = Context(inside, variables.get(class_, {}), context.is_final)
        for name, annotation in inspect.get_annotations(class_).items():
            if name in names:
                try:
                    fields[name] = parse_type(_evaluated(class_, name, annotation, context), inner)
                except UnresolvedError as error:
                    unresolved.append(error)
    has_tensors = any(any(tensors(type_)) for type_ in fields.values())
    is_local = "<locals>" in record.__qualname__
    may_have_tensors = has_tensors or is_local or "Tensor" in str(unresolved)
    if unresolved and (may_have_tensors or not context.is_final):
        raise unresolved[0]
    if not has_tensors:
        return {}
    fields = {name: fields.get(name, PlainType("Any", Any)) for name in names}
    parts = (part for type_ in fields.values() for part in walk(type_))
    if any(isinstance(part, PlainType) and part.annotation == whole for part in parts):
        raise ContractError(f"{record.__name__} contains itself, which shapezoo cannot check")
    return fields


def _evaluated(class_: type, name: str, annotation: Any, context: Context) -> Any:
    """Evaluate the annotation of a field that a class defines."""
    module = sys.modules.get(class_.__module__)
    filename = getattr(module, "__file__", None) or ""
    names = vars(module) if module else {}
    own_names = {**vars(class_), **type_parameters(class_)}
    scope = Scope(names, class_.__qualname__, filename, own_names, None, context.is_final)
    return scope.evaluated(name, annotation)


def _has_shapes(annotation: Any, context: Context) -> bool:
    """Whether an annotation contains a shape; those of a callable do not count."""
    if isinstance(annotation, type) and issubclass(annotation, AbstractArray):
        return True
    if typing.get_origin(annotation) is collections.abc.Callable:
        return False
    if _fields(annotation, context):
        return True
    return any(_has_shapes(part, context) for part in typing.get_args(annotation))


def _sampled(annotation: Any) -> Any:
    """Return the first collection in an annotation of which beartype would check a random item.

    beartype would also advance Python's global random number generator for that.
    """
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (collections.abc.Callable, type, Literal):
        return None
    is_collection = isinstance(origin, type) and issubclass(
        origin, collections.abc.Iterable | collections.abc.Container
    )
    if is_collection and origin.__module__ in _LIBRARY and arguments[:1] not in ((Any,), (object,)):
        return annotation
    return next((part for part in map(_sampled, arguments) if part is not None), None)
