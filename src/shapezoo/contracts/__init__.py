"""What a shape contract is, and how it is enforced."""

from shapezoo.contracts.axes import AXES, Axis
from shapezoo.contracts.check import checked, is_checked, unchecked
from shapezoo.contracts.errors import ContractError, ShapeError
from shapezoo.contracts.module import Module
from shapezoo.contracts.signatures import Argument, Signature, signature
from shapezoo.contracts.types import (
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    Type,
    UnionType,
)

__all__ = [
    "AXES",
    "Argument",
    "Axis",
    "ContractError",
    "DictType",
    "Module",
    "PlainType",
    "RecordType",
    "SequenceType",
    "ShapeError",
    "Signature",
    "TensorType",
    "Type",
    "UnionType",
    "checked",
    "is_checked",
    "signature",
    "unchecked",
]
