"""Comparing a value with its type: jaxtyping checks tensors, beartype what is no container."""

from collections.abc import Callable
from types import NoneType
from typing import Any

from beartype import BeartypeConf
from beartype.door import is_bearable

from shapezoo.contracts.bindings import bind_braces, current, restore, visible
from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.types import (
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    TupleType,
    Type,
    UnionType,
)

CONF = BeartypeConf(is_pep484_tower=True)
"""How beartype checks: as in mypy, a ``float`` may be an int."""


class MismatchError(Exception):
    """A value that is not of its type.

    Attributes:
        path: Where the value is, from the argument down: ``states[1]``.
        kind: What it should be.
        value: What it is.
        bound: The axes bound before it was found.
    """

    def __init__(self, path: str, kind: Type, value: object) -> None:
        super().__init__(path)
        self.path = path
        self.kind = kind
        self.value = value
        self.bound = visible(current())


def check_value(value: Any, kind: Type, path: str, value_of: Callable[[str], object]) -> None:
    """Check one value, and bind the axes that it names.

    Args:
        value: The value.
        kind: What it must be.
        path: Where it is.
        value_of: Gives the value of a part in braces.

    Raises:
        MismatchError: It, or something inside it, is not of its type.
        ContractError: A part in braces or an expression cannot be computed.
    """
    match kind:
        case TensorType(braces=braces):
            if braces:
                bind_braces({text: value_of(text) for text in braces})
            try:
                fits = isinstance(value, kind.enforceable)
            except ArithmeticError as error:
                raise ContractError(f"{kind} cannot be computed: {error}") from error
        case UnionType():
            fits = _check_union(value, kind, path, value_of)
        case TupleType(parts=parts):
            fits = isinstance(value, tuple) and len(value) == len(parts)
            if fits:
                for index, part in enumerate(parts):
                    check_value(value[index], part, f"{path}[{index}]", value_of)
        case SequenceType(parts=(part,), container=container):
            fits = isinstance(value, container)
            if fits:
                for index, item in enumerate(value):
                    check_value(item, part, f"{path}[{index}]", value_of)
        case DictType(parts=(key_kind, part), container=container):
            fits = isinstance(value, container)
            if fits:
                for key, item in value.items():
                    check_value(key, key_kind, f"{path} key {key!r}", value_of)
                    check_value(item, part, f"{path}[{key!r}]", value_of)
        case RecordType(parts=parts, fields=fields, record=record):
            fits = isinstance(value, record)
            if fits:
                for name, part in zip(fields, parts, strict=True):
                    check_value(getattr(value, name, None), part, f"{path}.{name}", value_of)
        case PlainType(annotation=annotation):
            fits = is_bearable(value, annotation, conf=CONF)
    if not fits:
        raise MismatchError(path, kind, value)


def _check_union(value: Any, kind: UnionType, path: str, value_of: Callable[[str], object]) -> bool:
    """Whether one of the options fits. Where just one could be meant, its mismatch is raised."""
    if value is None and any(map(_is_none, kind.parts)):
        return True
    before = current()
    failures = []
    for part in kind.parts:
        try:
            check_value(value, part, path, value_of)
        except MismatchError as mismatch:
            restore(before)
            failures.append(mismatch)
        else:
            return True
    meant = [failure for failure in failures if not _is_none(failure.kind)]
    if len(meant) == 1:
        raise meant[0]
    return False


def _is_none(kind: Type) -> bool:
    return isinstance(kind, PlainType) and kind.annotation is NoneType
