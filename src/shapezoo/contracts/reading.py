"""Reading the contract of a module, class or function from its annotations."""

import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any

from torch import nn

from shapezoo.contracts.axes import Axis, free_names
from shapezoo.contracts.braces import read_braces
from shapezoo.contracts.errors import ContractError, UnresolvedError
from shapezoo.contracts.parsing import parse_type
from shapezoo.contracts.signatures import Argument, ArgumentKind, Signature
from shapezoo.contracts.types import (
    RecordType,
    TensorType,
    Type,
    TypedDictType,
    UnionType,
    bound_names,
)


def signature(obj: nn.Module | type[nn.Module] | Callable[..., Any]) -> Signature:
    """The contract of a module, a module class, or a function.

    For a module, sizes that it knows stand as numbers: ``channels=3`` where the class says
    ``channels={self.in_channels}``.

    Args:
        obj: What to read. It need not be checked; its annotations are enough.

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
        return _resolved(function_signature(type(obj).forward), obj)
    if isinstance(obj, type) and issubclass(obj, nn.Module):
        return function_signature(obj.forward)
    if isinstance(obj, types.MethodType):
        return _resolved(function_signature(obj.__func__), obj.__self__)
    return function_signature(obj)


def function_signature(function: Callable[..., Any]) -> Signature:
    """The contract of a function, with axes in braces as they stand.

    Raises:
        UnresolvedError: An annotation refers to a name that does not exist (yet).
        ContractError: An annotation is missing or cannot be used.
    """
    function = inspect.unwrap(function)
    parsed: tuple[object, Signature] | None = vars(function).get(_CACHE)
    if parsed is None or parsed[0] is not function:  # functools.wraps copies what is cached
        parsed = function, _parse(function)
        setattr(function, _CACHE, parsed)
    return parsed[1]


def _resolved(contract: Signature, self: object) -> Signature:
    """The contract of a method of this object."""
    known = (braces for braces in contract.braces if free_names(braces[1:-1]) <= {"self"})
    return contract.resolved({braces: read_braces(braces, {"self": self}) for braces in known})


_CACHE = "_shapezoo_signature"  # on the function: its types may refer to the function's class


def _parse(function: Callable[..., Any]) -> Signature:
    name = f"{function.__module__}.{function.__qualname__}"
    try:
        hints = typing.get_type_hints(function, include_extras=True)
        parameters = _value_parameters(function)
        missing = [repr(p.name) for p in parameters if p.name not in hints]
        if "return" not in hints:
            missing.append("the result")
        if missing:
            raise ContractError(f"no annotation for {', '.join(missing)}")
        inputs = tuple(_argument(p, parse_type(hints[p.name])) for p in parameters)
        result = Signature(name, inputs, parse_type(hints["return"]))
        _require_bound(result, frozenset(inspect.signature(function).parameters))
    except NameError as error:
        raise UnresolvedError(f"{name}: an annotation cannot be read: {error}") from error
    except ContractError as error:
        raise ContractError(f"{name}: {error}") from error
    return result


def _value_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that carry a contract: all but a leading ``self`` or ``cls``."""
    parameters = list(inspect.signature(function).parameters.values())
    if parameters and parameters[0].name in ("self", "cls"):
        return parameters[parameters[0].annotation is inspect.Parameter.empty :]
    return parameters


def _argument(parameter: inspect.Parameter, kind: Type) -> Argument:
    default = None if parameter.default is parameter.empty else repr(parameter.default)
    return Argument(parameter.name, kind, ArgumentKind[parameter.kind.name], default)


def _require_bound(contract: Signature, parameters: frozenset[str]) -> None:
    """Reject an axis that refers to something which no argument before it provides."""
    bound: frozenset[str] = frozenset()
    for argument in contract.inputs:
        _require_known(argument.type, bound, parameters)
        bound |= bound_names(argument.type)
    for axis in result_axes(contract.output):
        if axis.key and axis.key not in bound:
            raise ContractError(
                f"axis {str(axis)!r} of the result is bound by no argument\n"
                f"  it would match any size; name an axis of an argument, or a size that the\n"
                f'  module knows: "{axis.name}={{self.{axis.name}}}"'
            )
    _require_known(contract.output, bound, parameters)


def result_axes(kind: Type) -> Iterator[Axis]:
    """The axes of a result whose names an argument must bind: all but those in records."""
    if isinstance(kind, TensorType):
        yield from kind.axes
    for part in () if isinstance(kind, RecordType | TypedDictType) else kind.parts:
        yield from result_axes(part)


def _require_known(
    kind: Type, before: frozenset[str], parameters: frozenset[str]
) -> frozenset[str]:
    """The names bound after a value of this type, if all that its axes refer to is known."""
    bound = before
    for part in kind.parts:
        bound = _require_known(part, before if isinstance(kind, UnionType) else bound, parameters)
    for axis in kind.axes if isinstance(kind, TensorType) else ():
        if unknown := axis.needs - bound:
            raise ContractError(
                f"axis {str(axis)!r} refers to {', '.join(sorted(unknown))}, which no argument "
                f"before it binds"
            )
        for braces in axis.braces:
            if unknown := free_names(braces[1:-1]) - parameters:
                raise ContractError(
                    f"axis {str(axis)!r} refers to {', '.join(sorted(unknown))}, which is no "
                    f"argument"
                )
        bound |= {axis.binds} if axis.binds else frozenset()
    return before | bound_names(kind)
