"""Read the contract of a module, class or function from its annotations."""

import inspect
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from torch import nn

from shapezoo.contracts.language.annotations import Context, parse_type
from shapezoo.contracts.language.axes import Axis, free_names
from shapezoo.contracts.language.errors import ContractError, UnresolvedError, listed
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

    For a module, parts in braces are shown as numbers: ``channels=3`` instead of
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
        return _resolved(_method_signature(type(obj).forward, type(obj)), obj)
    class_ = typing.get_origin(obj) or obj  # a generic class may have type arguments
    if isinstance(class_, type) and issubclass(class_, nn.Module):
        return _method_signature(class_.forward, class_)
    if isinstance(obj, types.MethodType):
        return _resolved(_method_signature(obj.__func__, type(obj.__self__)), obj.__self__)
    return function_signature(obj)


class Origin(NamedTuple):
    """Where a function was defined.

    Attributes:
        names: The names in its class.
        enclosing: The variables of enclosing functions that its annotations refer to; None while
            these functions are running.
        types: The annotations that are parsed already, by the names of parameters.
        variables: The values of the type variables of its class.
        is_method: Whether it is a method, whose first parameter may have any name.
    """

    names: Mapping[str, Any] = MappingProxyType({})
    enclosing: Mapping[str, Any] | None = None
    types: Mapping[str, Any] = MappingProxyType({})
    variables: TypeVariables = MappingProxyType({})
    is_method: bool = False


NO_CLASS = Origin()
"""The origin of a function that is not known to be a method."""


def method_of(class_: type) -> Origin:
    """Return the origin of the methods of a class."""
    names = {**vars(class_), **type_parameters(class_)}
    return Origin(names, variables=all_variables_of(class_), is_method=True)


def kept_for_later(function: types.FunctionType, origin: Origin, error: UnresolvedError) -> Origin:
    """Return the origin of a function with all that is needed to parse its annotations later.

    The enclosing functions will have ended by then, so the variables to which the remaining
    annotations refer are kept.

    Args:
        function: The function.
        origin: Where it was defined.
        error: The error for its first annotation that cannot be evaluated yet.
    """
    annotations = function.__annotations__.items()
    remaining = [annotation for name, annotation in annotations if name not in error.types]
    variables = enclosing_variables(function.__qualname__, function.__globals__)
    names = {name for annotation in remaining for name in names_in(annotation)} & variables.keys()
    return origin._replace(enclosing={name: variables[name] for name in names}, types=error.types)


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
    contract = _cached(function)
    if contract is None:
        contract = _parse(function, origin, is_final)
        setattr(function, _CACHE, (function, contract))
    return contract


def _method_signature(function: Callable[..., Any], class_: type) -> Signature:
    """Return the contract of a method; its origin is only looked for if it is not parsed yet."""
    return _cached(inspect.unwrap(function)) or function_signature(function, method_of(class_))


def _cached(function: Callable[..., Any]) -> Signature | None:
    """Return the contract of a function if it has been parsed before."""
    of, contract = getattr(function, _CACHE, (None, None))
    return contract if of is function else None  # functools.wraps copies what is cached


def _resolved(contract: Signature, owner: object) -> Signature:
    """Replace the parts in braces that depend on the object of a method alone."""
    own = [b for b in contract.braces if free_names(b[1:-1]) <= {contract.owner}]
    if not own:
        return contract
    return contract.resolved({b: read_braces(b, {contract.owner: owner}) for b in own})


# an attribute of the function, because a global cache would keep its class alive
_CACHE = "_shapezoo_signature"


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
            hint = '; state the shape, as in Float[Tensor, "batch features"]'
            if overloads:
                hint = "; overloads are for type checkers and are not read"
            raise ContractError(f"missing annotation{s}: {listed(unannotated)}{hint}")
        scope = Scope(
            function.__globals__,
            function.__qualname__,
            function.__code__.co_filename,
            {**origin.names, **type_parameters(function)},
            origin.enclosing,
            is_final,
        )
        context = Context(variables=origin.variables, is_final=is_final)
        parsed = dict(origin.types)
        unresolved: list[str] = []  # the errors themselves would hold this frame
        for key in (*(p.name for p in parameters), "return"):
            if key not in parsed:
                try:
                    parsed[key] = parse_type(scope.evaluated(key, annotations[key]), context)
                except UnresolvedError as error:
                    unresolved.append(str(error))
        if unresolved:
            raise UnresolvedError(unresolved[0], parsed)
        inputs = tuple(_argument(p, parsed[p.name]) for p in parameters)
        result = Signature(name, inputs, parsed["return"], owner)
        _require_bound(result, frozenset(inspect.signature(function).parameters))
    except UnresolvedError as error:
        raise UnresolvedError(f"{name}: {error}", error.types) from error.__cause__
    except ContractError as error:
        raise ContractError(f"{name}: {error}") from error.__cause__
    return result


def _parameters(
    function: Callable[..., Any], *, is_method: bool
) -> tuple[str, list[inspect.Parameter]]:
    """Return the name of the ``self`` parameter, and the parameters that need an annotation."""
    parameters = list(inspect.signature(function).parameters.values())
    first = parameters[0] if parameters else None
    if first is None or first.annotation is not first.empty:
        return "self", parameters
    is_owner = first.name in ("self", "cls") or (
        is_method and first.kind in (first.POSITIONAL_ONLY, first.POSITIONAL_OR_KEYWORD)
    )
    return (first.name, parameters[1:]) if is_owner else ("self", parameters)


def _argument(parameter: inspect.Parameter, type_: Type) -> Argument:
    name, default, kind = parameter.name, parameter.default, ArgumentKind[parameter.kind.name]
    if default is parameter.empty:
        return Argument(name, type_, kind)
    if not _may_match(default, type_):
        optional = f"; write {type_} | None" if default is None else ""
        raise ContractError(
            f"the default of {name!r} is {describe(default)}, which does not match its annotation "
            f"{type_}{optional}"
        )
    return Argument(name, type_, kind, repr(default))


def _may_match(default: object, type_: Type) -> bool:
    """Whether a default may match its type, as far as can be decided without a call."""
    try:
        with frame(NOTHING_BOUND):
            check_value(default, type_, "")
    except MismatchError:
        return False
    except Exception:  # a size that is known only in a call
        return True
    return True


def _require_bound(contract: Signature, parameters: frozenset[str]) -> None:
    """Reject an axis or a tree structure that uses a name which no earlier argument binds."""
    bindable: frozenset[str] = frozenset()
    for argument in contract.inputs:
        bindable = _require_defined(argument.type, bindable, parameters)
    for axis in result_axes(contract.output):
        if axis.key and axis.key not in bindable:
            is_method = contract.owner in parameters
            raise ContractError(
                f"no argument defines an axis {str(axis)!r}, so the result could have any size "
                f"there\n"
                f"{_ways_to_bind(axis, contract.owner if is_method else '')}"
            )
    _require_defined(contract.output, bindable, parameters)
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


def _structures(type_: Type) -> list[str]:
    """Return the names of the tree structures in a type."""
    trees = (part for part in walk(type_) if isinstance(part, TreeType))
    return [name for tree in trees for name in tree.structures]


def result_axes(type_: Type) -> Iterator[Axis]:
    """Yield the axes of a result that an argument must bind: all but those in records."""
    if isinstance(type_, TensorType):
        yield from type_.axes
    for part in () if isinstance(type_, RecordType | TypedDictType) else type_.parts:
        yield from result_axes(part)


def _require_defined(
    type_: Type, before: frozenset[str], parameters: frozenset[str]
) -> frozenset[str]:
    """Reject an axis that uses an undefined name; return the names that may be bound afterwards.

    Args:
        type_: The type of the axis.
        before: The axis names that may be bound before.
        parameters: The names that parts in braces may use.
    """
    bound = before
    for part in type_.parts:
        # no option of a union can rely on the axes of another
        visible = before if isinstance(type_, UnionType) else bound
        bound = _require_defined(part, visible, parameters)
    for axis in type_.axes if isinstance(type_, TensorType) else ():
        if unknown := axis.needs - bound:
            is_hyphenated = unknown == axis.needs and re.fullmatch(
                r"[^\W\d]\w*(-[^\W\d]\w*)+", axis.expression or ""
            )
            name = (axis.expression or "").replace("-", "_")
            hint = f"; did you mean {name!r}?" if is_hyphenated else ""
            raise ContractError(
                f"axis {str(axis)!r} uses {listed(sorted(unknown))}, which no earlier argument "
                f"defines{hint}"
            )
        for braces in axis.braces:
            if unknown := free_names(braces[1:-1]) - parameters:
                raise ContractError(
                    f"axis {str(axis)!r} uses {listed(sorted(unknown))}, which is not an argument"
                )
        bound |= {axis.key} if axis.key else frozenset()
    return before | bindable_names(type_)
