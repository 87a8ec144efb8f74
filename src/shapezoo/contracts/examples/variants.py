"""The ways in which a contract can be met: which options are given, and of how many axes."""

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import NoneType
from typing import Any, Literal, get_args, get_origin

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
)

MOST_AXES = 3
"""How many axes ``*batch`` stands for at most."""

MOST = 24
"""How many ways of one contract are proved."""


@dataclass(frozen=True)
class Variant:
    """One way of meeting a contract.

    Attributes:
        label: What tells it from the others: ``state=None``.
        contract: The contract, whose inputs are all given and leave no choice but sizes.
        sampled: What stands for more than is tried, such as the items of a list.
    """

    label: str
    contract: Signature
    sampled: tuple[str, ...] = ()


def variants(contract: Signature) -> tuple[list[Variant], bool]:
    """The ways of meeting a contract, and whether these are all."""
    choices = [list(ways(argument)) for argument in contract.inputs]
    found = (variant for inputs in itertools.product(*choices) for variant in met(contract, inputs))
    several = list(itertools.islice(found, MOST + 1))
    return several[:MOST], len(several) <= MOST


Way = tuple[str, Argument | None]
"""A label, and an argument that leaves no choice but sizes; None where it is left out."""


def met(contract: Signature, inputs: Sequence[Way]) -> Iterator[Variant]:
    """The ways of meeting a contract with these arguments, which differ in numbers of axes.

    None if these arguments leave an axis of the result unbound: such a call is refused.
    """
    labels = [label for label, _ in inputs if label]
    given = _given(inputs)
    if contract.unbound(given) - _broadcast_names(contract, given):
        return
    for label, ranked in _ranked(labels, replace(contract, inputs=given)):
        yield Variant(label, ranked, _sampled(ranked))


def _broadcast_names(contract: Signature, given: Sequence[Argument]) -> set[str]:
    """The names of axes in some arguments that may be 1 as well, and are bound to 1 then."""
    names = {argument.name for argument in given}
    kinds = (tensors(a.type) for a in contract.inputs if a.name in names)
    return {name for kind in kinds for tensor in kind for name in tensor.broadcast_names}


def ways(argument: Argument) -> Iterator[Way]:
    """The ways of giving an argument, or of leaving it out."""
    if argument.kind is ArgumentKind.VAR_KEYWORD:
        yield "", None
        return
    if argument.default is not None:
        yield f"{argument.name}={argument.default}", None
        if not any(map(_is_choice, walk(argument.type))):
            return  # a number, a name: only the default is known
    for label, kind in _options(argument.type, argument.name):
        if str(kind) != argument.default:
            label = label or ("" if argument.default is None else f"{argument.name} given")
            yield label, replace(argument, type=kind, default=None)


def _is_choice(kind: Type) -> bool:
    """Whether examples of this type can be made."""
    return isinstance(kind, TensorType) or (isinstance(kind, PlainType) and bool(_values(kind)))


def _values(kind: PlainType) -> list[object]:
    """All values of a type, if they are few and known."""
    if kind.annotation is NoneType:
        return [None]
    if kind.annotation is bool:
        return [False, True]
    return list(get_args(kind.annotation)) if get_origin(kind.annotation) is Literal else []


def _options(kind: Type, path: str) -> Iterator[tuple[str, Any]]:
    """The types without a choice that a type stands for, with a label for each."""
    match kind:
        case UnionType(parts=parts):
            given = [part for part in parts if str(part) != "None"]
            for part in parts:
                name = f"{path} given" if given == [part] else f"{path}: {part}"
                for label, option in _options(part, path):
                    yield label or name, option
        case PlainType():
            values = _values(kind)
            for value in values:
                only = NoneType if value is None else Literal[value]
                literal = PlainType(repr(value), only)
                yield (f"{path}={value!r}" if len(values) > 1 else ""), literal
            if not values:
                yield "", kind
        case TensorType(axes=axes):
            for choice in itertools.product(*map(_broadcasts, axes)):
                pairs = zip(axes, choice, strict=True)
                ones = [
                    f"{path} with {axis.name}=1" for axis, size in pairs if size.name != axis.name
                ]
                named = (_named(axis, place, path) for place, axis in enumerate(choice))
                yield ", ".join(ones), replace(kind, axes=tuple(named))
        case _:
            ways = [list(_options(part, f"{path}[{i}]")) for i, part in enumerate(kind.parts)]
            for chosen in itertools.product(*ways):
                labels = [label for label, _ in chosen if label]
                inside: Any = tuple(part for _, part in chosen)  # as many as before
                changed = replace(kind, parts=inside)
                yield ", ".join(labels), changed


def _broadcasts(axis: Axis) -> list[Axis]:
    """An axis without the mark that lets it be 1 as well, and with size 1."""
    if not axis.broadcast:
        return [axis]
    exact = replace(axis, broadcast=False)
    return [exact] if axis.variadic else [exact, Axis(fixed=1)]


def _named(axis: Axis, place: int, path: str) -> Axis:
    """An axis with a name of its own, if any size will do for it."""
    if axis.name or axis.fixed is not None or axis.expression:
        return axis
    owner = "".join(letter if letter.isalnum() else "_" for letter in path)
    return replace(axis, name=f"{owner}_{place}")


def _given(inputs: Iterable[Way]) -> tuple[Argument, ...]:
    """The arguments that are given; by name after one that is not, or else not at all."""
    given: list[Argument] = []
    has_gap = False
    for _, argument in inputs:
        if argument is None:
            has_gap = True
        elif has_gap and argument.kind is ArgumentKind.POSITIONAL_OR_KEYWORD:
            given.append(replace(argument, kind=ArgumentKind.KEYWORD_ONLY))
        elif not has_gap or argument.kind is ArgumentKind.KEYWORD_ONLY:
            given.append(argument)
    return tuple(given)


def _ranked(labels: list[str], contract: Signature) -> Iterator[tuple[str, Signature]]:
    """The contract with each number of axes that its variadic ones can stand for."""
    kinds = [tensor for argument in contract.inputs for tensor in tensors(argument.type)]
    names = dict.fromkeys(a.name for kind in kinds for a in kind.axes if a.variadic and a.name)
    taken = {a.name for kind in kinds for a in kind.axes if not a.variadic}
    for ranks in itertools.product(range(MOST_AXES + 1), repeat=len(names)):
        stands_for = {
            name: tuple(_unlike(taken, name if rank == 1 else f"{name}_{i}") for i in range(rank))
            for name, rank in zip(names, ranks, strict=True)
        }
        counts = [f"*{name} of {rank}" for name, rank in zip(names, ranks, strict=True)]
        inputs = tuple(
            replace(argument, type=_expanded(argument.type, stands_for))
            for argument in contract.inputs
        )
        yield ", ".join([*labels, *counts]), replace(contract, inputs=inputs)


def _unlike(taken: Collection[str | None], name: str) -> Axis:
    """An axis of this name, or of a similar one if another has it."""
    while name in taken:
        name += "_"
    return Axis(name=name)


def _expanded(kind: Any, stands_for: dict[str, tuple[Axis, ...]]) -> Any:
    if isinstance(kind, TensorType):
        axes = [stands_for[a.name] if a.variadic and a.name else (a,) for a in kind.axes]
        return replace(kind, axes=tuple(itertools.chain.from_iterable(axes)))
    if not kind.parts:
        return kind
    return replace(kind, parts=tuple(_expanded(part, stands_for) for part in kind.parts))


def _sampled(contract: Signature) -> tuple[str, ...]:
    """What of a variant stands for more than it shows."""
    kinds = SequenceType, DictType
    return tuple(
        f"the number of items of {argument.name}"
        for argument in contract.inputs
        if any(isinstance(part, kinds) for part in walk(argument.collected))
    )
