"""Shape contracts: reading them from annotations, and enforcing them.

docs/internals/enforcement.md explains how an annotation becomes a check.
"""

from shapezoo.contracts.checking.bodies import assert_shape
from shapezoo.contracts.checking.check import checked, is_checked
from shapezoo.contracts.checking.introspection import signature
from shapezoo.contracts.checking.module import Module
from shapezoo.contracts.checking.switch import unchecked
from shapezoo.contracts.language.axes import Axis
from shapezoo.contracts.language.axis_names import AXES
from shapezoo.contracts.language.conditions import Condition
from shapezoo.contracts.language.errors import ContractError, ShapeError
from shapezoo.contracts.language.signatures import Argument, ArgumentKind, Signature
from shapezoo.contracts.language.types import (
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
