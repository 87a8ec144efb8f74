"""The variants of a contract: which options of it are used, and how many axes it has.

A variant leaves no choice but the sizes of its axes. A contract with an optional mask and a
variadic axis, for example, has a variant for each combination of a mask or None and 0, 1, 2 or 3
axes. A proof of a contract proves each of its variants.
"""

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, Literal

from shapezoo.contracts.examples.arguments import plain_values
from shapezoo.contracts.language.axes import Axis
from shapezoo.contracts.language.signatures import Argument, ArgumentKind, Signature
from shapezoo.contracts.language.types import (
    DictType,
    PlainType,
    SequenceType,
    TensorType,
    Type,
    UnionType,
    tensors,
    walk,
    with_tensors,
)

MOST_AXES = 3
"""The maximal number of axes that ``*batch`` stands for."""

MOST = 24
"""The maximal number of variants of one contract that are proved."""


@dataclass(frozen=True)
class Variant:
    """One variant of a contract.

    Attributes:
        label: What distinguishes it from the others: ``state=None``.
        contract: The contract, whose inputs are all passed and leave no choice but sizes.
        sampled: What is tried only in one way, such as the number of items of a list.
    """

    label: str
    contract: Signature
    sampled: tuple[str, ...] = ()


def variants(contract: Signature) -> tuple[list[Variant], bool]:
    """Return the variants of a contract, and whether these are all."""
    choices = [list(ways(argument)) for argument in contract.inputs]
    combinations = itertools.product(*choices)
    every = (variant for inputs in combinations for variant in variants_with(contract, inputs))
    first = list(itertools.islice(every, MOST + 1))
    return first[:MOST], len(first) <= MOST


Way = tuple[str, Argument | None]
"""A label, and an argument that leaves no choice but sizes; None if it is left out."""


def variants_with(contract: Signature, inputs: Sequence[Way]) -> Iterator[Variant]:
    """Yield the variants of a contract with these arguments, which differ in numbers of axes.

    There are none if these arguments leave an axis of the result unbound: such a call raises.
    """
    labels = [label for label, _ in inputs if label]
    passed = _passed(inputs)
    if contract.unbound(passed) - _broadcast_names(contract, passed):
        return
    for label, ranked in _ranked(labels, replace(contract, inputs=passed)):
        yield Variant(label, ranked, _sampled(ranked))


def _broadcast_names(contract: Signature, passed: Sequence[Argument]) -> set[str]:
    """Return the names of axes ``#name`` in these arguments; such an axis may be bound to 1."""
    names = {argument.name for argument in passed}
    types = [argument.type for argument in contract.inputs if argument.name in names]
    return {name for t in types for tensor in tensors(t) for name in tensor.broadcast_names}


def ways(argument: Argument) -> Iterator[Way]:
    """Yield the ways of passing an argument, or of leaving it out."""
    if argument.kind is ArgumentKind.VAR_KEYWORD:
        yield "", None
        return
    if argument.default is not None:
        yield f"{argument.name}={argument.default}", None
        if not any(isinstance(t, TensorType) or plain_values(t) for t in walk(argument.type)):
            return  # such as a number or a name, of which only the default is known
    for label, type_ in _options(argument.type, argument.name):
        if str(type_) != argument.default:
            label = label or ("" if argument.default is None else f"{argument.name} given")
            yield label, replace(argument, type=type_, default=None)


def _options(type_: Type, path: str) -> Iterator[tuple[str, Any]]:
    """Yield the types without a choice that a type stands for, with a label for each."""
    match type_:
        case UnionType(parts=parts):
            without_none = [part for part in parts if str(part) != "None"]
            for part in parts:
                name = f"{path} given" if without_none == [part] else f"{path}: {part}"
                for label, option in _options(part, path):
                    yield label or name, option
        case PlainType():
            values = plain_values(type_)
            for value in values:
                annotation = NoneType if value is None else Literal[value]
                literal = PlainType(repr(value), annotation)
                yield (f"{path}={value!r}" if len(values) > 1 else ""), literal
            if not values:
                yield "", type_
        case TensorType(axes=axes):
            for choice in itertools.product(*map(_broadcasts, axes)):
                pairs = zip(axes, choice, strict=True)
                ones = [f"{path} with {a.name}=1" for a, size in pairs if size.name != a.name]
                named = (_named(axis, position, path) for position, axis in enumerate(choice))
                yield ", ".join(ones), replace(type_, axes=tuple(named))
        case _:
            options = [list(_options(p, f"{path}[{i}]")) for i, p in enumerate(type_.parts)]
            for chosen in itertools.product(*options):
                labels = [label for label, _ in chosen if label]
                inside: Any = tuple(part for _, part in chosen)  # as many as before
                yield ", ".join(labels), replace(type_, parts=inside)


def _broadcasts(axis: Axis) -> list[Axis]:
    """Return the choices for an axis: of its size, and for ``#name`` of size 1."""
    if not axis.broadcast:
        return [axis]
    exact = replace(axis, broadcast=False)
    return [exact] if axis.variadic else [exact, Axis(fixed=1)]


def _named(axis: Axis, position: int, path: str) -> Axis:
    """Give an axis a name of its own if any size will do for it."""
    if axis.name or axis.fixed is not None or axis.expression:
        return axis
    prefix = "".join(letter if letter.isalnum() else "_" for letter in path)
    return replace(axis, name=f"{prefix}_{position}")


def _passed(inputs: Iterable[Way]) -> tuple[Argument, ...]:
    """Return the arguments that are passed; after one that is left out, those passed by name."""
    passed: list[Argument] = []
    has_gap = False
    for _, argument in inputs:
        if argument is None:
            has_gap = True
        elif has_gap and argument.kind is ArgumentKind.POSITIONAL_OR_KEYWORD:
            passed.append(replace(argument, kind=ArgumentKind.KEYWORD_ONLY))
        elif not has_gap or argument.kind is ArgumentKind.KEYWORD_ONLY:
            passed.append(argument)
    return tuple(passed)


def _ranked(labels: list[str], contract: Signature) -> Iterator[tuple[str, Signature]]:
    """Yield the contract with each number of axes that its variadic axes can stand for."""
    axes = [a for i in contract.inputs for tensor in tensors(i.type) for a in tensor.axes]
    names = dict.fromkeys(axis.name for axis in axes if axis.variadic and axis.name)
    taken = {axis.name for axis in axes if not axis.variadic}
    for ranks in itertools.product(range(MOST_AXES + 1), repeat=len(names)):
        ranked = dict(zip(names, ranks, strict=True))
        expansions = {
            name: tuple(_unlike(taken, name if rank == 1 else f"{name}_{i}") for i in range(rank))
            for name, rank in ranked.items()
        }
        counts = [f"*{name} of {rank}" for name, rank in ranked.items()]
        inputs = tuple(replace(i, type=_expanded(i.type, expansions)) for i in contract.inputs)
        yield ", ".join([*labels, *counts]), replace(contract, inputs=inputs)


def _unlike(taken: Collection[str | None], name: str) -> Axis:
    """Return an axis of this name, or of a similar name if it is taken."""
    while name in taken:
        name += "_"
    return Axis(name=name)


def _expanded(type_: Type, expansions: dict[str, tuple[Axis, ...]]) -> Type:
    """Replace each named variadic axis in a type by single axes."""

    def expanded(tensor: TensorType) -> TensorType:
        axes = [expansions[a.name] if a.variadic and a.name else (a,) for a in tensor.axes]
        return replace(tensor, axes=tuple(itertools.chain.from_iterable(axes)))

    return with_tensors(type_, expanded)


def _sampled(contract: Signature) -> tuple[str, ...]:
    """Describe what is tried only in one way."""
    containers = SequenceType, DictType
    return tuple(
        f"the number of items of {argument.name}"
        for argument in contract.inputs
        if any(isinstance(part, containers) for part in walk(argument.collected))
    )
