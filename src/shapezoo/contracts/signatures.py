"""The contract of a module, class or function as data."""

import enum
import inspect
import operator
import typing
import weakref
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from shapezoo.contracts.axes import Axis, Extent, differences, free_names
from shapezoo.contracts.errors import ContractError, UnresolvedError
from shapezoo.contracts.parsing import parse_type
from shapezoo.contracts.types import (
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    Type,
    UnionType,
    bound_names,
    resolve,
    tensors,
)


class ArgumentKind(enum.Enum):
    """How an argument is passed, as in `inspect.Parameter.kind`."""

    POSITIONAL_ONLY = "positional_only"
    POSITIONAL_OR_KEYWORD = "positional_or_keyword"
    VAR_POSITIONAL = "var_positional"
    KEYWORD_ONLY = "keyword_only"
    VAR_KEYWORD = "var_keyword"


@dataclass(frozen=True)
class Argument:
    """One argument of a contract.

    Attributes:
        name: The name of the parameter.
        type: What a value must be; for ``*args`` and ``**kwargs``, what each must be.
        kind: How it is passed.
        default: The default as text, or None where there is none.
    """

    name: str
    type: Type
    kind: ArgumentKind = ArgumentKind.POSITIONAL_OR_KEYWORD
    default: str | None = None

    def __str__(self) -> str:
        stars = {ArgumentKind.VAR_POSITIONAL: "*", ArgumentKind.VAR_KEYWORD: "**"}
        default = "" if self.default is None else f" = {self.default}"
        return f"{stars.get(self.kind, '')}{self.name}: {self.type}{default}"

    @property
    def is_required(self) -> bool:
        """Whether a call must give it."""
        is_starred = self.kind in (ArgumentKind.VAR_POSITIONAL, ArgumentKind.VAR_KEYWORD)
        return self.default is None and not is_starred

    @property
    def collected(self) -> Type:
        """The type of what the function gets: a tuple for ``*args``, a dict for ``**kwargs``."""
        match self.kind:
            case ArgumentKind.VAR_POSITIONAL:
                return SequenceType((self.type,), tuple)
            case ArgumentKind.VAR_KEYWORD:
                return DictType((PlainType("str", str), self.type), dict)
        return self.type

    def to_dict(self) -> dict[str, object]:
        """The argument as JSON-ready data."""
        return {
            "name": self.name,
            "type": self.type.to_dict(),
            "kind": self.kind.value,
            "default": self.default,
        }


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
        inputs = [str(argument) for argument in self.inputs]
        kinds = [argument.kind for argument in self.inputs]
        if ArgumentKind.KEYWORD_ONLY in kinds and ArgumentKind.VAR_POSITIONAL not in kinds:
            inputs.insert(kinds.index(ArgumentKind.KEYWORD_ONLY), "*")
        if ArgumentKind.POSITIONAL_ONLY in kinds:
            inputs.insert(kinds.count(ArgumentKind.POSITIONAL_ONLY), "/")
        return f"({', '.join(inputs)}) -> {self.output}"

    @property
    def tensors(self) -> tuple[TensorType, ...]:
        """Every tensor among the arguments and in the result, in order."""
        kinds = (*(argument.type for argument in self.inputs), self.output)
        return tuple(tensor for kind in kinds for tensor in tensors(kind))

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes, in order of first use."""
        named = (axis.label or axis.name for tensor in self.tensors for axis in tensor.axes)
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes in jaxtyping's names, in order of first use."""
        return tuple(dict.fromkeys(tensor.dtype for tensor in self.tensors))

    def accepts(self, *shapes: tuple[int | None, ...]) -> bool:
        """Whether the first arguments may be tensors of these shapes.

        Args:
            *shapes: The shapes of the first arguments; None stands for any size. Arguments
                for which no shape is given must have a default.
        """
        given, rest = self.inputs[: len(shapes)], self.inputs[len(shapes) :]
        if len(given) < len(shapes) or any(argument.is_required for argument in rest):
            return False
        possible: list[dict[str, Extent]] = [{}]  # the sizes bound, by the options taken so far
        for argument, shape in zip(given, shapes, strict=True):
            options = argument.type.parts if isinstance(argument.type, UnionType) else ()
            kinds = [k for k in (argument.type, *options) if isinstance(k, TensorType)]
            before = [(kind, dict(sizes)) for kind in kinds for sizes in possible]
            possible = [
                sizes for kind, sizes in before if differences(kind.axes, shape, sizes) == []
            ]
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
        UnresolvedError: An annotation refers to a name that does not exist (yet).
        ContractError: An annotation is missing or cannot be used.
    """
    function = inspect.unwrap(function)
    if function not in _parsed:
        _parsed[function] = _parse(function)
    return _parsed[function]


def values_in(scope: Mapping[str, object]) -> Callable[[str], object]:
    """A function that gives the value of a part in braces.

    Args:
        scope: The arguments by name, or those that are known.
    """

    def value_of(braces: str) -> object:
        try:
            value = eval(braces[1:-1], {}, dict(scope))
            is_number = isinstance(value, int | float | torch.SymInt)
            return value if is_number else operator.index(value)
        except NameError:
            raise
        except Exception as error:
            raise ContractError(f"cannot read {braces} as a size: {error}") from error

    return value_of


_parsed: MutableMapping[Callable[..., Any], Signature] = weakref.WeakKeyDictionary()


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
        if axis.name and "*" * axis.variadic + axis.name not in bound:
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
    for part in () if isinstance(kind, RecordType) else kind.parts:
        yield from result_axes(part)


def _require_known(kind: Type, bound: frozenset[str], parameters: frozenset[str]) -> frozenset[str]:
    """The names bound after a value of this type, if all that its axes refer to is known."""
    if isinstance(kind, UnionType):
        for part in kind.parts:
            _require_known(part, bound, parameters)
        return bound | bound_names(kind)
    for part in kind.parts:
        bound = _require_known(part, bound, parameters)
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
    return bound
