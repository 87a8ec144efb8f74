"""Shape contracts: reading them from annotations, and enforcing them."""

from shapezoo.contracts.axes import AXES, Axis
from shapezoo.contracts.bodies import assert_shape
from shapezoo.contracts.check import checked, is_checked
from shapezoo.contracts.conditions import Condition
from shapezoo.contracts.errors import ContractError, ShapeError
from shapezoo.contracts.module import Module
from shapezoo.contracts.reading import signature
from shapezoo.contracts.signatures import Argument, ArgumentKind, Signature
from shapezoo.contracts.switch import unchecked
from shapezoo.contracts.types import (
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    TreeType,
    TupleType,
    Type,
    TypedDictType,
    UnionType,
)

__all__ = [
    "AXES",
    "Argument",
    "ArgumentKind",
    "Axis",
    "Condition",
    "ContractError",
    "DictType",
    "Module",
    "PlainType",
    "RecordType",
    "SequenceType",
    "ShapeError",
    "Signature",
    "TensorType",
    "TreeType",
    "TupleType",
    "Type",
    "TypedDictType",
    "UnionType",
    "assert_shape",
    "checked",
    "is_checked",
    "signature",
    "unchecked",
]
