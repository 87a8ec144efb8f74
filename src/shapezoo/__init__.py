"""A PyTorch model zoo whose shapes are types.

docs/internals/index.md in the repository explains how it works inside.
"""

import importlib
import typing

from shapezoo import data, layers, models, proving, tracing, train, weights
from shapezoo.contracts import (
    ContractError,
    Module,
    ShapeError,
    Signature,
    assert_shape,
    checked,
    signature,
    unchecked,
)
from shapezoo.creating import UnknownModelError, create_model
from shapezoo.layers import scan
from shapezoo.proving import Proof, Proved, ProvedInPart, Refuted, Unknown, prove
from shapezoo.tracing import Trace, TraceError, trace
from shapezoo.zoo import ModelInfo, list_models, model_info

if typing.TYPE_CHECKING:
    from shapezoo import testing as testing

__version__ = "0.1.0"

__all__ = [
    "ContractError",
    "ModelInfo",
    "Module",
    "Proof",
    "Proved",
    "ProvedInPart",
    "Refuted",
    "ShapeError",
    "Signature",
    "Trace",
    "TraceError",
    "Unknown",
    "UnknownModelError",
    "assert_shape",
    "checked",
    "create_model",
    "data",
    "layers",
    "list_models",
    "model_info",
    "models",
    "prove",
    "proving",
    "scan",
    "signature",
    "trace",
    "tracing",
    "train",
    "unchecked",
    "weights",
]


def __getattr__(name: str) -> object:
    if name == "testing":  # needs hypothesis
        return importlib.import_module("shapezoo.testing")
    raise AttributeError(f"module 'shapezoo' has no attribute {name!r}")
