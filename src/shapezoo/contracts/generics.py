"""What the type variables of generic classes and aliases stand for.

``Box[Float[Tensor, "batch"]]`` says what ``T`` is in the annotations of ``Box``, and through
``class Box(Base[T])`` what the variables of its base classes are. Each class has variables of its
own, so they are kept by class: two classes may use one ``T`` for different things.
"""

import itertools
import typing
from collections.abc import Mapping
from typing import Any

TypeVariables = Mapping[Any, Any]
"""What type variables stand for."""


def variables_of(alias: Any) -> dict[type, TypeVariables]:
    """What the type variables of a class, and of its base classes, stand for.

    Args:
        alias: A class, or one with arguments in brackets.
    """
    found: dict[type, TypeVariables] = {}
    _collect(alias, found)
    return found


def all_variables_of(alias: Any) -> TypeVariables:
    """What the type variables of a class and of its base classes stand for, all in one.

    Where two classes use one variable for different things, that of the derived one counts.
    """
    found: dict[Any, Any] = {}
    for variables in reversed(variables_of(alias).values()):
        found |= variables
    return found


def arguments_as(alias: Any, base: type) -> tuple[Any, ...]:
    """The arguments in brackets of the base of a class: those of ``list`` in ``Names(list[str])``.

    Args:
        alias: A class, or one with arguments in brackets.
        base: What it derives from.
    """
    origin = typing.get_origin(alias) or alias
    if origin is base:
        return typing.get_args(alias)
    variables = variables_of(alias)
    for class_, values in variables.items():
        for parent in vars(class_).get("__orig_bases__", ()):
            if typing.get_origin(parent) is base:
                return tuple(substituted(part, values) for part in typing.get_args(parent))
    return ()


def bound_variables(parameters: tuple[Any, ...], arguments: tuple[Any, ...]) -> TypeVariables:
    """What parameters stand for, where each has one argument."""
    if len(parameters) != len(arguments):  # a TypeVarTuple stands for several
        return {}
    return dict(zip(parameters, arguments, strict=True))


def substituted(annotation: Any, variables: TypeVariables) -> Any:
    """An annotation with what its type variables stand for in their places."""
    if isinstance(annotation, typing.TypeVar):
        return variables.get(annotation, annotation)
    parameters = getattr(annotation, "__parameters__", ())
    if not parameters or isinstance(annotation, type):
        return annotation
    return annotation[tuple(variables.get(parameter, parameter) for parameter in parameters)]


def _collect(alias: Any, found: dict[type, TypeVariables]) -> None:
    class_ = typing.get_origin(alias) or alias
    if not isinstance(class_, type) or class_ in found:
        return
    found[class_] = bound_variables(_parameters(class_), typing.get_args(alias))
    for parent in vars(class_).get("__orig_bases__", class_.__bases__):
        if typing.get_origin(parent) not in (typing.Generic, typing.Protocol):
            _collect(substituted(parent, found[class_]), found)


def _parameters(class_: type) -> tuple[Any, ...]:
    """The type variables of a class; ``class Names(list[T])`` keeps them in its bases only."""
    if hasattr(class_, "__parameters__"):
        return tuple(class_.__parameters__)
    parents = vars(class_).get("__orig_bases__", ())
    names = (getattr(parent, "__parameters__", ()) for parent in parents)
    return tuple(dict.fromkeys(itertools.chain.from_iterable(names)))
