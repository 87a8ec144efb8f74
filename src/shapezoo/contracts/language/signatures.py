"""The contract of a function as data."""

import enum
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from shapezoo.contracts.language.axes import Extent, differences
from shapezoo.contracts.language.types import (
    DictType,
    PlainType,
    SequenceType,
    TensorType,
    Type,
    UnionType,
    bindable_names,
    needed_names,
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


_STARS = {ArgumentKind.VAR_POSITIONAL: "*", ArgumentKind.VAR_KEYWORD: "**"}


@dataclass(frozen=True)
class Argument:
    """A parameter of a function and its type.

    Attributes:
        name: The name of the parameter.
        type: The type of the value; for ``*args`` and ``**kwargs``, of each value.
        kind: How it is passed.
        default: The repr of the default; None if there is none.
    """

    name: str
    type: Type
    kind: ArgumentKind = ArgumentKind.POSITIONAL_OR_KEYWORD
    default: str | None = None

    def __str__(self) -> str:
        default = "" if self.default is None else f" = {self.default}"
        return f"{_STARS.get(self.kind, '')}{self.name}: {self.type}{default}"

    @property
    def is_required(self) -> bool:
        """Whether a call must pass it."""
        return self.default is None and self.kind not in _STARS

    @functools.cached_property
    def collected(self) -> Type:
        """The type that the function receives: a tuple for ``*args``, a dict for ``**kwargs``."""
        match self.kind:
            case ArgumentKind.VAR_POSITIONAL:
                return SequenceType((self.type,), tuple)
            case ArgumentKind.VAR_KEYWORD:
                return DictType((PlainType("str", str), self.type), dict)
        return self.type

    def to_dict(self) -> dict[str, object]:
        """Return the argument as JSON-ready data."""
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
        output: The type of the result.
        owner: The name of the first parameter of a method, which parts in braces use to refer to
            the object.
    """

    name: str
    inputs: tuple[Argument, ...]
    output: Type
    owner: str = "self"

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
        types = (*(argument.type for argument in self.inputs), self.output)
        return tuple(tensor for type_ in types for tensor in tensors(type_))

    @property
    def axes(self) -> tuple[str, ...]:
        """The names of the axes, in order of first use."""
        named = (axis.label or axis.name for tensor in self.tensors for axis in tensor.axes)
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def braces(self) -> tuple[str, ...]:
        """The parts of axes in braces, braces included."""
        return tuple(dict.fromkeys(text for tensor in self.tensors for text in tensor.braces))

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes in jaxtyping's names, in order of first use."""
        return tuple(dict.fromkeys(tensor.dtype for tensor in self.tensors))

    def accepts(self, *shapes: tuple[int | None, ...]) -> bool:
        """Whether the first arguments may be tensors of these shapes.

        Args:
            *shapes: The shapes of the first arguments; None means any size. Arguments without a
                shape must have a default.
        """
        passed, rest = self.inputs[: len(shapes)], self.inputs[len(shapes) :]
        if len(passed) < len(shapes) or any(argument.is_required for argument in rest):
            return False
        if self.unbound(passed):
            return False
        possible: list[dict[str, Extent]] = [{}]  # the bound sizes, one entry per choice of options
        for argument, shape in zip(passed, shapes, strict=True):
            options = argument.type.parts if isinstance(argument.type, UnionType) else ()
            types = [t for t in (argument.type, *options) if isinstance(t, TensorType)]
            tried = [(type_, dict(sizes)) for type_ in types for sizes in possible]
            possible = [s for type_, s in tried if differences(type_.axes, shape, s) == []]
        return bool(possible)

    def unbound(self, given: Iterable[Argument]) -> frozenset[str]:
        """Return the axes of the result that a call with these arguments does not bind.

        Args:
            given: The arguments of the call; their types may be narrower than in the contract.
        """
        bound: frozenset[str] = frozenset().union(*(bindable_names(a.type) for a in given))
        return needed_names(self.output) - bound

    def resolved(self, values: Mapping[str, object]) -> "Signature":
        """Replace the parts in braces that have a value.

        Args:
            values: The values of parts in braces.
        """
        inputs = tuple(replace(a, type=resolve(a.type, values)) for a in self.inputs)
        return replace(self, inputs=inputs, output=resolve(self.output, values))

    def to_dict(self) -> dict[str, object]:
        """Return the contract as JSON-ready data."""
        inputs = [argument.to_dict() for argument in self.inputs]
        return {"name": self.name, "inputs": inputs, "output": self.output.to_dict()}
