"""A PyTorch model zoo whose shapes are types.

docs/internals/index.md in the repository explains how it works inside.

Everything here is imported when it is first used, so that the command line can show its help, and
report a mistyped option, without the seconds that it takes to import torch.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from shapezoo import data, layers, models, proving, tracing, train, weights
    from shapezoo import testing as testing
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

_EXPORTS = {
    "contracts": (
        *("ContractError", "Module", "ShapeError", "Signature"),
        *("assert_shape", "checked", "signature", "unchecked"),
    ),
    "creating": ("UnknownModelError", "create_model"),
    "layers": ("scan",),
    "proving": ("Proof", "Proved", "ProvedInPart", "Refuted", "Unknown", "prove"),
    "tracing": ("Trace", "TraceError", "trace"),
    "zoo": ("ModelInfo", "list_models", "model_info"),
}
_MODULES = {name: module for module, names in _EXPORTS.items() for name in names}
_SUBMODULES = {*_EXPORTS, "data", "models", "registry", "testing", "train", "verdicts", "weights"}

if not TYPE_CHECKING:  # type checkers would take any name for one that exists

    def __getattr__(name: str) -> object:
        if name in _SUBMODULES:
            return importlib.import_module(f"shapezoo.{name}")
        if name not in _MODULES:
            raise AttributeError(f"module 'shapezoo' has no attribute {name!r}")
        value = getattr(importlib.import_module(f"shapezoo.{_MODULES[name]}"), name)
        globals()[name] = value  # the next access is a plain one
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
