"""A PyTorch model zoo whose shapes are types."""

from shapezoo import data, layers, models, proving, testing, tracing, train, weights
from shapezoo.contracts import (
    ContractError,
    Module,
    ShapeError,
    Signature,
    checked,
    signature,
    unchecked,
)
from shapezoo.layers import scan
from shapezoo.proving import Proof, Proved, ProvedInPart, Refuted, Unknown, prove
from shapezoo.tracing import Trace, TraceError, trace
from shapezoo.zoo import ModelInfo, UnknownModelError, create_model, list_models, model_info

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
    "testing",
    "trace",
    "tracing",
    "train",
    "unchecked",
    "weights",
]
