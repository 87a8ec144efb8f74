"""Type-variable substitutions of generic classes and aliases.

``Box[Float[Tensor, "batch"]]`` sets ``T`` in the annotations of ``Box`` and, through
``class Box(Base[T])``, the type variables of its base classes. Substitutions are kept by class,
because two classes may use the same ``T`` for different types.
"""

import itertools
import typing
from collections.abc import Mapping
from typing import Any

TypeVariables = Mapping[Any, Any]
"""Type-variable substitutions."""


def variables_of(alias: Any) -> dict[type, TypeVariables]:
    """Return the type-variable substitutions of a class and of its base classes.

    Args:
        alias: A class, or one with type arguments.
    """
    found: dict[type, TypeVariables] = {}
    remaining = [alias]
    while remaining:
        alias = remaining.pop()
        class_ = typing.get_origin(alias) or alias
        if not isinstance(class_, type) or class_ in found:
            continue
        found[class_] = bound_variables(_parameters(class_), typing.get_args(alias))
        bases = reversed(vars(class_).get("__orig_bases__", class_.__bases__))
        own = [b for b in bases if typing.get_origin(b) not in (typing.Generic, typing.Protocol)]
        remaining += [substituted(base, found[class_]) for base in own]
    return found


def all_variables_of(alias: Any) -> TypeVariables:
    """Return the substitutions of a class and of its base classes, merged.

    Where two classes use the same variable, the substitution of the derived class is kept.
    """
    found: dict[Any, Any] = {}
    for variables in reversed(variables_of(alias).values()):
        found |= variables
    return found


def arguments_as(alias: Any, base: type) -> tuple[Any, ...]:
    """Return the type arguments of a base class: those of ``list`` in ``class Names(list[str])``.

    Args:
        alias: A class, or one with type arguments.
        base: The base class.
    """
    origin = typing.get_origin(alias) or alias
    if origin is base:
        return typing.get_args(alias)
    for class_, variables in variables_of(alias).items():
        for parent in vars(class_).get("__orig_bases__", ()):
            if typing.get_origin(parent) is base:
                return tuple(substituted(part, variables) for part in typing.get_args(parent))
    return ()


def bound_variables(parameters: tuple[Any, ...], arguments: tuple[Any, ...]) -> TypeVariables:
    """Pair type parameters with their arguments, if each has one."""
    if len(parameters) != len(arguments):  # a TypeVarTuple takes several
        return {}
    return dict(zip(parameters, arguments, strict=True))


def substituted(annotation: Any, variables: TypeVariables) -> Any:
    """Substitute the type variables in an annotation."""
    if isinstance(annotation, typing.TypeVar):
        return variables.get(annotation, annotation)
    parameters = getattr(annotation, "__parameters__", ())
    if not parameters or isinstance(annotation, type):
        return annotation
    return annotation[tuple(variables.get(parameter, parameter) for parameter in parameters)]


def _parameters(class_: type) -> tuple[Any, ...]:
    """Return the type variables of a class; ``class Names(list[T])`` has them in its bases only."""
    if hasattr(class_, "__parameters__"):
        return tuple(class_.__parameters__)
    parents = vars(class_).get("__orig_bases__", ())
    names = (getattr(parent, "__parameters__", ()) for parent in parents)
    return tuple(dict.fromkeys(itertools.chain.from_iterable(names)))
