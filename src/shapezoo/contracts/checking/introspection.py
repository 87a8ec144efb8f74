"""Read the contract of a module, class or function from its annotations."""

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import nn

from shapezoo.contracts.language.annotations import Context, parse_type
from shapezoo.contracts.language.axes import Axis, free_names
from shapezoo.contracts.language.errors import ContractError, UnresolvedError
from shapezoo.contracts.language.expressions import read_braces
from shapezoo.contracts.language.generics import TypeVariables, all_variables_of
from shapezoo.contracts.language.scopes import Scope, enclosing_variables, names_in, type_parameters
from shapezoo.contracts.language.signatures import Argument, ArgumentKind, Signature
from shapezoo.contracts.language.types import (
    RecordType,
    TensorType,
    TreeType,
    Type,
    TypedDictType,
    UnionType,
    bindable_names,
    walk,
)
from shapezoo.contracts.matching.bindings import NOTHING_BOUND, frame
from shapezoo.contracts.matching.matching import MismatchError, check_value
from shapezoo.contracts.messages.describing import describe, qualified_name


def signature(obj: nn.Module | type[nn.Module] | Callable[..., Any]) -> Signature:
    """Return the contract of a module, a module class, or a function.

    For a module, the sizes that it knows are shown as numbers: ``channels=3`` instead of
    ``channels={self.in_channels}``.

    Args:
        obj: A module, class or function. It need not be checked; its annotations are enough.

    Raises:
        ContractError: An annotation is missing or cannot be used.

    Example:
        ```pycon
        >>> from shapezoo import signature
        >>> from shapezoo.models import lenet
        >>> print(signature(lenet(num_classes=26)).output)
        Float[Tensor, "batch classes=26"]

        ```
    """
    if isinstance(obj, nn.Module):
        return _resolved(function_signature(type(obj).forward, method_of(type(obj))), obj)
    class_ = typing.get_origin(obj) or obj  # a generic class may have type arguments
    if isinstance(class_, type) and issubclass(class_, nn.Module):
        return function_signature(class_.forward, method_of(class_))
    if isinstance(obj, types.MethodType):
        return _resolved(
            function_signature(obj.__func__, method_of(type(obj.__self__))), obj.__self__
        )
    return function_signature(obj)


class Origin(NamedTuple):
    """Where a function was defined.

    Attributes:
        names: The names in its class.
        enclosing: The variables of enclosing functions that its annotations name; None while
            these are running.
        types: The types of its annotations that are known already, by the names of parameters.
        variables: What the type variables of its class stand for.
        is_method: Whether it is a method, whose first parameter may have any name.
    """

    names: Mapping[str, Any] = MappingProxyType({})
    enclosing: Mapping[str, Any] | None = None
    types: Mapping[str, Any] = MappingProxyType({})
    variables: TypeVariables = MappingProxyType({})
    is_method: bool = False


NO_CLASS = Origin()
"""Where a function was defined that is not known to be a method."""


def method_of(class_: type) -> Origin:
    """What is known of the methods of a class."""
    names = {**vars(class_), **type_parameters(class_)}
    return Origin(names, variables=all_variables_of(class_), is_method=True)


def kept_for_later(function: types.FunctionType, origin: Origin, error: UnresolvedError) -> Origin:
    """Keep what is known of the annotations of a function, some of which are evaluated later.

    By then the enclosing functions have ended, so those of their variables are kept that the
    remaining annotations name.
    """
    annotations = function.__annotations__.items()
    remaining = [part for name, part in annotations if name not in error.types]
    found = enclosing_variables(function.__qualname__, function.__globals__)
    named = {name for part in remaining for name in names_in(part)} & found.keys()
    return origin._replace(enclosing={name: found[name] for name in named}, types=error.types)


def function_signature(
    function: Callable[..., Any], origin: Origin = NO_CLASS, *, is_final: bool = True
) -> Signature:
    """Return the contract of a function, with axes in braces as written.

    Args:
        function: The function.
        origin: Where it was defined.
        is_final: Whether a missing name is an error, as in `Scope`.

    Raises:
        UnresolvedError: An annotation refers to a name that does not exist (yet).
        ContractError: An annotation is missing or cannot be used.
    """
    function = inspect.unwrap(function)
    if not isinstance(function, types.FunctionType):
        raise ContractError(f"signature takes a function or a module, got {function!r}")
    parsed: tuple[object, Signature] | None = vars(function).get(_CACHE)
    if parsed is None or parsed[0] is not function:  # functools.wraps copies what is cached
        parsed = function, _parse(function, origin, is_final)
        setattr(function, _CACHE, parsed)
    return parsed[1]


def _resolved(contract: Signature, owner: object) -> Signature:
    """Fill in the sizes that the object of a method knows."""
    known = (b for b in contract.braces if free_names(b[1:-1]) <= {contract.owner})
    return contract.resolved({b: read_braces(b, {contract.owner: owner}) for b in known})


@dataclass
class _Made:
    value: list[int] = field(default_factory=list)


FILLED_BY_FACTORY = inspect.signature(_Made).parameters["value"].default
"""The default in the ``__init__`` of a dataclass of a field with a ``default_factory``."""

_CACHE = "_shapezoo_signature"  # on the function: its types may refer to the function's class


def _parse(function: types.FunctionType, origin: Origin, is_final: bool) -> Signature:
    name = qualified_name(function)
    try:
        if getattr(function, "__no_type_check__", False):
            raise ContractError("it is decorated with typing.no_type_check")
        owner, parameters = _parameters(function, is_method=origin.is_method)
        annotations = inspect.get_annotations(function)
        unannotated = [repr(p.name) for p in parameters if p.name not in annotations]
        if "return" not in annotations:
            unannotated.append("the return value")
        if unannotated:
            overloads = typing.get_overloads(function)
            s = "s" if len(unannotated) > 1 else ""
            hint = "; overloads are for type checkers and are not read" if overloads else ""
            raise ContractError(f"missing annotation{s}: {_listed(unannotated)}{hint}")
        scope = Scope(
            function.__globals__,
            function.__qualname__,
            function.__code__.co_filename,
            {**origin.names, **type_parameters(function)},
            origin.enclosing,
            is_final,
        )
        context = Context(variables=origin.variables, is_final=is_final)
        remaining = [k for k in (*(p.name for p in parameters), "return") if k not in origin.types]
        types_ = dict(origin.types)
        unresolved: list[str] = []  # the errors themselves would hold this frame
        for key in remaining:
            try:
                types_[key] = parse_type(scope.evaluated({key: annotations[key]})[key], context)
            except UnresolvedError as error:
                unresolved.append(str(error))
        if unresolved:
            raise UnresolvedError(unresolved[0], types_)
        inputs = tuple(_argument(p, types_[p.name]) for p in parameters)
        result = Signature(name, inputs, types_["return"], owner)
        _require_bound(result, frozenset(inspect.signature(function).parameters))
    except UnresolvedError as error:
        raise UnresolvedError(f"{name}: {error}", error.types) from error.__cause__
    except ContractError as error:
        raise ContractError(f"{name}: {error}") from error.__cause__
    return result


def _parameters(
    function: Callable[..., Any], *, is_method: bool
) -> tuple[str, list[inspect.Parameter]]:
    """Return the name of the ``self`` parameter, and the parameters that carry a contract."""
    parameters = list(inspect.signature(function).parameters.values())
    first = parameters[0] if parameters else None
    if first is None or first.annotation is not first.empty:
        return "self", parameters
    is_owner = first.name in ("self", "cls") or (
        is_method and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)
    )
    return (first.name, parameters[1:]) if is_owner else ("self", parameters)


def _argument(parameter: inspect.Parameter, kind: Type) -> Argument:
    default = parameter.default
    if default is parameter.empty:
        return Argument(parameter.name, kind, ArgumentKind[parameter.kind.name])
    if not _may_be(default, kind):
        optional = " | None" if default is None else ""
        raise ContractError(
            f"the default of {parameter.name!r} is {describe(default)}, which does not match its "
            f"annotation {kind}" + (f"; write {kind}{optional}" if optional else "")
        )
    return Argument(parameter.name, kind, ArgumentKind[parameter.kind.name], repr(default))


def _may_be(default: object, kind: Type) -> bool:
    """Whether a default may match its type, as far as is known without a call."""
    if default is FILLED_BY_FACTORY:
        return True
    try:
        with frame(NOTHING_BOUND):
            check_value(default, kind, "")
    except MismatchError:
        return False
    except Exception:  # a size that is known only in a call
        return True
    return True


def _require_bound(contract: Signature, parameters: frozenset[str]) -> None:
    """Reject an axis that uses a name which no earlier argument binds."""
    bindable: frozenset[str] = frozenset()
    for argument in contract.inputs:
        _require_known(argument.type, bindable, parameters)
        bindable |= bindable_names(argument.type)
    for axis in result_axes(contract.output):
        if axis.key and axis.key not in bindable:
            is_method = contract.owner in parameters
            raise ContractError(
                f"no argument defines an axis {str(axis)!r}, so the result could have any size "
                f"there\n"
                f"{_ways_to_bind(axis, contract.owner if is_method else '')}"
            )
    _require_known(contract.output, bindable, parameters)
    structures = {name for a in contract.inputs for name in _structures(a.type)}
    if unknown := [name for name in _structures(contract.output) if name not in structures]:
        raise ContractError(f"no argument defines the tree structure {unknown[0]!r} of the result")


def _ways_to_bind(axis: Axis, owner: str) -> str:
    """Describe how an axis of the result can get a size, in a method if there is an owner."""
    if axis.variadic:
        return '  write the axes of an argument, or "..." for any number of axes of any size'
    if not owner:
        return "  write an expression of argument axes, such as past+seq, or _ for any size"
    return (
        f"  write an expression of argument axes, such as past+seq, a size that the module\n"
        f'  knows, "{axis.name}={{{owner}.{axis.name}}}", or _ for any size'
    )


def _listed(words: Sequence[str]) -> str:
    """Join words with commas and ``and``."""
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _structures(kind: Type) -> list[str]:
    """Return the names of the tree structures in a type."""
    trees = (part for part in walk(kind) if isinstance(part, TreeType))
    return [name for tree in trees for name in tree.structures]


def result_axes(kind: Type) -> Iterator[Axis]:
    """Yield the axes of a result that an argument must bind: all but those in records."""
    if isinstance(kind, TensorType):
        yield from kind.axes
    for part in () if isinstance(kind, RecordType | TypedDictType) else kind.parts:
        yield from result_axes(part)


def _require_known(
    kind: Type, before: frozenset[str], parameters: frozenset[str]
) -> frozenset[str]:
    """Reject an axis that uses an unknown name; return the names that may be bound afterwards."""
    bound = before
    for part in kind.parts:
        bound = _require_known(part, before if isinstance(kind, UnionType) else bound, parameters)
    for axis in kind.axes if isinstance(kind, TensorType) else ():
        if unknown := axis.needs - bound:
            is_hyphenated = unknown == axis.needs and re.fullmatch(
                r"[^\W\d]\w*(-[^\W\d]\w*)+", axis.expression or ""
            )
            name = (axis.expression or "").replace("-", "_")
            hint = f"; did you mean {name!r}?" if is_hyphenated else ""
            raise ContractError(
                f"axis {str(axis)!r} uses {_listed(sorted(unknown))}, which no earlier argument "
                f"defines{hint}"
            )
        for braces in axis.braces:
            if unknown := free_names(braces[1:-1]) - parameters:
                raise ContractError(
                    f"axis {str(axis)!r} uses {_listed(sorted(unknown))}, which is not an argument"
                )
        bound |= {axis.key} if axis.key else frozenset()
    return before | bindable_names(kind)
