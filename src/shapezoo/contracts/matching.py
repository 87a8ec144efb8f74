"""Comparing a value with its type: jaxtyping checks tensors, beartype what is no container."""

from collections.abc import Mapping
from typing import Any

from beartype import BeartypeConf
from beartype.door import is_bearable

from shapezoo.contracts.bindings import current, enforceable, restore, visible
from shapezoo.contracts.types import (
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    Type,
    UnionType,
)

_CONF = BeartypeConf(is_pep484_tower=True)  # `float` accepts an int, as in mypy


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


def match(value: Any, kind: Type, path: str) -> None:
    """Check one value, binding the axes that it names.

    Raises:
        MismatchError: It, or something inside it, is not of its type.
    """
    match kind:
        case TensorType(annotation=annotation):
            if not isinstance(value, enforceable(annotation)):
                raise MismatchError(path, kind, value)
        case UnionType(options=options):
            _match_union(value, options, path, kind)
        case SequenceType(container=container, items=items, repeated=repeated):
            right_kind = isinstance(value, container)
            expected = items * len(value) if right_kind and repeated else items
            if not right_kind or len(expected) != len(value):
                raise MismatchError(path, kind, value)
            for index, (part, item) in enumerate(zip(value, expected, strict=True)):
                match(part, item, f"{path}[{index}]")
        case DictType(key=key_type, value=value_type):
            if not isinstance(value, Mapping):
                raise MismatchError(path, kind, value)
            for key, item in value.items():
                match(key, key_type, f"{path} key")
                match(item, value_type, f"{path}[{key!r}]")
        case RecordType(fields=fields, record=record):
            if not isinstance(value, record):
                raise MismatchError(path, kind, value)
            for name, item in fields:
                match(getattr(value, name), item, f"{path}.{name}")
        case PlainType(annotation=annotation):
            if not is_bearable(value, annotation, conf=_CONF):
                raise MismatchError(path, kind, value)


def _match_union(value: Any, options: tuple[Type, ...], path: str, kind: Type) -> None:
    before = current()
    failures = []
    for option in options:
        try:
            return match(value, option, path)
        except MismatchError as mismatch:
            failures.append(mismatch)
            restore(before)
    informative = [f for f in failures if str(f.kind) != "None"]
    raise informative[0] if len(informative) == 1 else MismatchError(path, kind, value)
