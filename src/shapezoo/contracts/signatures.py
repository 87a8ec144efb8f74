"""The contract of a module, class or function as data."""

import inspect
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from torch import nn

from shapezoo.contracts.axes import align, free_names
from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.types import (
    DictType,
    PlainType,
    SequenceType,
    TensorType,
    Type,
    bound_names,
    parse_type,
    resolve,
    tensors,
)


@dataclass(frozen=True)
class Argument:
    """One argument of a contract.

    Attributes:
        name: The name of the parameter.
        type: What a value must be; for ``*args`` a tuple, for ``**kwargs`` a dict.
        default: The default as text, or None where the argument is required.
    """

    name: str
    type: Type
    default: str | None = None

    def __str__(self) -> str:
        default = "" if self.default is None else f" = {self.default}"
        return f"{self.name}: {self.type}{default}"

    def to_dict(self) -> dict[str, object]:
        """The argument as JSON-ready data."""
        return {"name": self.name, "type": self.type.to_dict(), "default": self.default}


@dataclass(frozen=True)
class Signature:
    """The contract of one function, as its annotations state it.

    Attributes:
        name: The dotted name of the function.
        inputs: The arguments, in order.
        output: What it returns.
    """

    name: str
    inputs: tuple[Argument, ...]
    output: Type

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.inputs))}) -> {self.output}"

    @property
    def tensors(self) -> tuple[TensorType, ...]:
        """Every tensor among the arguments and in the result, in order."""
        kinds = (*(argument.type for argument in self.inputs), self.output)
        return tuple(tensor for kind in kinds for tensor in tensors(kind))

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes, in order of first use."""
        named = (axis.name for tensor in self.tensors for axis in tensor.axes)
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes in jaxtyping's names, in order of first use."""
        return tuple(dict.fromkeys(tensor.dtype for tensor in self.tensors))

    def accepts(self, *shapes: tuple[int | None, ...]) -> bool:
        """Whether the tensors among the arguments may have these shapes.

        Args:
            *shapes: The shapes of the first arguments; None stands for any size. Arguments
                for which no shape is given must have a default.
        """
        given, rest = self.inputs[: len(shapes)], self.inputs[len(shapes) :]
        if len(given) < len(shapes) or any(argument.default is None for argument in rest):
            return False
        possible: list[dict[str, int]] = [{}]  # the sizes bound, for each way to read the types
        for argument, shape in zip(given, shapes, strict=True):
            options = list(tensors(argument.type))
            fits = (_fit(tensor, shape, sizes) for tensor in options for sizes in possible)
            possible = [sizes for sizes in fits if sizes is not None]
        return bool(possible)

    def resolved(self, value_of: Callable[[str], object]) -> "Signature":
        """This contract with the axes in braces replaced by their sizes, where known.

        Args:
            value_of: Gives the value of one part in braces; raises NameError where it is not
                known yet.
        """
        inputs = tuple(replace(a, type=resolve(a.type, value_of)) for a in self.inputs)
        return replace(self, inputs=inputs, output=resolve(self.output, value_of))

    def to_dict(self) -> dict[str, object]:
        """The contract as JSON-ready data."""
        inputs = [argument.to_dict() for argument in self.inputs]
        return {"name": self.name, "inputs": inputs, "output": self.output.to_dict()}


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
        return function_signature(type(obj).forward).resolved(values_in({"self": obj}))
    if isinstance(obj, type) and issubclass(obj, nn.Module):
        return function_signature(obj.forward)
    return function_signature(obj)


def function_signature(function: Callable[..., Any]) -> Signature:
    """The contract of a function, with axes in braces as they stand.

    Raises:
        ContractError: An annotation is missing or cannot be used.
        NameError: An annotation refers to a name that does not exist (yet).
    """
    function = inspect.unwrap(function)
    name = f"{function.__module__}.{function.__qualname__}"
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = _value_parameters(function)
    missing = [p.name for p in parameters if p.name not in hints]
    if missing or "return" not in hints:
        places = [repr(p) for p in missing] + ["the result"] * ("return" not in hints)
        raise ContractError(f"{name}: no annotation for {', '.join(places)}")
    try:
        inputs = tuple(_argument(p, parse_type(hints[p.name])) for p in parameters)
        result = Signature(name, inputs, parse_type(hints["return"]))
        _require_bound(result, frozenset(inspect.signature(function).parameters))
    except ContractError as error:
        raise ContractError(f"{name}: {error}") from error
    return result


def values_in(scope: Mapping[str, object]) -> Callable[[str], object]:
    """A function that gives the value of a part in braces.

    Args:
        scope: The arguments by name, or those that are known.
    """

    def value_of(braces: str) -> object:
        try:
            return eval(braces[1:-1], {}, dict(scope))
        except NameError:
            raise
        except Exception as error:
            raise ContractError(f"cannot read {braces} in a shape: {error}") from error

    return value_of


def _value_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters that carry a contract: all but a leading ``self`` or ``cls``."""
    parameters = list(inspect.signature(function).parameters.values())
    is_method = bool(parameters) and parameters[0].name in ("self", "cls")
    return parameters[1:] if is_method else parameters


def _argument(parameter: inspect.Parameter, kind: Type) -> Argument:
    if parameter.kind is parameter.VAR_POSITIONAL:
        return Argument(parameter.name, SequenceType(tuple, (kind,), repeated=True), "()")
    if parameter.kind is parameter.VAR_KEYWORD:
        return Argument(parameter.name, DictType(PlainType("str", str), kind), "{}")
    default = None if parameter.default is parameter.empty else repr(parameter.default)
    return Argument(parameter.name, kind, default)


def _require_bound(contract: Signature, parameters: frozenset[str]) -> None:
    """Reject an axis that refers to something which no argument before it provides."""
    bound: frozenset[str] = frozenset()
    for argument in contract.inputs:
        inside = bound
        for tensor in tensors(argument.type):
            inside |= _require_known(tensor, inside, parameters)
        bound |= bound_names(argument.type)
    for tensor in tensors(contract.output, in_records=False):
        for axis in tensor.axes:
            if axis.binds and axis.binds not in bound:
                raise ContractError(
                    f"axis {str(axis)!r} of the result is bound by no argument\n"
                    f"  it would match any size; name an axis of an argument, or a size that the\n"
                    f'  module knows: "{axis.name}={{self.{axis.name}}}"'
                )
    for tensor in tensors(contract.output):
        bound |= _require_known(tensor, bound, parameters)


def _require_known(
    tensor: TensorType, bound: frozenset[str], parameters: frozenset[str]
) -> frozenset[str]:
    """The names bound after this tensor, if all that its axes refer to is known."""
    for axis in tensor.axes:
        if unknown := axis.refers_to - bound:
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
        if axis.binds:
            bound |= {axis.binds}
    return bound


def _fit(
    tensor: TensorType, shape: tuple[int | None, ...], sizes: dict[str, int]
) -> dict[str, int] | None:
    """The sizes bound after a tensor of this shape, or None if it does not fit."""
    bound = dict(sizes)
    pairs = align(tensor.axes, shape)
    for _, axis, size in pairs or ():
        if not isinstance(size, int) or (axis.broadcast and size == 1):
            continue
        expected = axis.size if axis.binds is None else bound.setdefault(axis.binds, size)
        if expected not in (None, size):
            return None
    return None if pairs is None else bound
