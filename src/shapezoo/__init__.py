"""A PyTorch model zoo whose shapes are types."""

from shapezoo import data, layers, models, tracing, train, weights
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
from shapezoo.tracing import Trace, TraceError, trace
from shapezoo.zoo import ModelInfo, UnknownModelError, create_model, list_models, model_info

__version__ = "0.1.0"

__all__ = [
    "ContractError",
    "ModelInfo",
    "Module",
    "ShapeError",
    "Signature",
    "Trace",
    "TraceError",
    "UnknownModelError",
    "checked",
    "create_model",
    "data",
    "layers",
    "list_models",
    "model_info",
    "models",
    "scan",
    "signature",
    "trace",
    "tracing",
    "train",
    "unchecked",
    "weights",
]
