"""A PyTorch model zoo whose shapes are types."""

from shapezoo import data, models, train, weights
from shapezoo.contracts import (
    ContractError,
    Module,
    ShapeError,
    Signature,
    checked,
    signature,
    unchecked,
)
from shapezoo.zoo import ModelInfo, UnknownModelError, create_model, list_models, model_info

__version__ = "0.1.0"

__all__ = [
    "ContractError",
    "ModelInfo",
    "Module",
    "ShapeError",
    "Signature",
    "UnknownModelError",
    "checked",
    "create_model",
    "data",
    "list_models",
    "model_info",
    "models",
    "signature",
    "train",
    "unchecked",
    "weights",
]
