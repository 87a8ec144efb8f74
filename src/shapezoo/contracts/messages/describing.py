"""Describe values in a few words, for errors."""

import dataclasses
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.language.walking import Missing
from shapezoo.contracts.matching.matching import Opaque
from shapezoo.contracts.matching.proof_mode import hint_of, is_proving

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def describe(value: object, depth: int = 2) -> str:
    """Describe a value in a few words: ``Tensor float32 (8, 1, 28, 28)``."""
    name = class_name(value)
    try:
        if isinstance(value, Tensor):
            return f"Tensor {dtype_name(value)} {concrete_shape(value)}"
        if value is None:
            return "None"
        if isinstance(value, Missing):
            return "key is missing"
        if isinstance(value, Opaque):
            return "an object"
        if isinstance(value, nn.Module):
            return name  # its repr can fill pages
        if isinstance(value, list | tuple | dict):
            count = f"{name} of {len(value)}"
            if depth == 0 or not 0 < len(value) <= 8:
                return count
            if isinstance(value, dict):
                parts = [f"{key!r}: {describe(item, depth - 1)}" for key, item in value.items()]
            else:
                parts = [describe(item, depth - 1) for item in value]
            return f"{count}: {', '.join(parts)}"
        if name == "numpy.ndarray":
            return f"{name} {getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}"
        if dataclasses.is_dataclass(value):
            return f"{name} with {', '.join(f.name for f in dataclasses.fields(value)[:8])}"
        if is_image(value):
            return f"PIL image {value.mode} {value.width}x{value.height}"
        text = _ADDRESS.sub("", " ".join(repr(value).split()))
    except Exception:  # a repr that fails must not hide the mismatch
        return name
    return f"{name} {text if len(text) <= 60 else text[:57] + '...'}"


def shown(value: object) -> str:
    """Return the repr of a value if it fits into an error message, else describe it."""
    if isinstance(value, dict) and value and all(isinstance(t, Tensor) for t in value.values()):
        return f"{type(value).__name__} of {len(value)} tensors"
    is_long = isinstance(value, list | tuple | dict) and len(value) > 8
    if is_long or isinstance(value, nn.Module):  # whose repr can fill pages
        return describe(value)
    try:
        text = repr(value)
    except Exception:  # a repr that fails must not hide the mistake
        return describe(value)
    return text if len(text) <= 100 else describe(value)


def is_image(value: object) -> TypeGuard[Any]:
    """Whether a value is a PIL image; PIL is not imported for this."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def dtype_name(value: Any) -> str:
    """Return the dtype of a tensor or array, without the ``torch.`` prefix."""
    return str(value.dtype).removeprefix("torch.")


def class_name(value: object) -> str:
    """Return the name of a value's class, with its module unless it is a builtin."""
    class_ = type(value)
    is_builtin = class_.__module__ == "builtins"
    return class_.__name__ if is_builtin else f"{class_.__module__}.{class_.__name__}"


def qualified_name(function: Callable[..., Any]) -> str:
    """Return the dotted name of a function; one made by `exec` may have no module."""
    return ".".join(filter(None, (function.__module__, function.__qualname__)))


def concrete_shape(value: Tensor) -> tuple[Any, ...]:
    """Return the shape of a tensor in numbers; while tracing, those of the example inputs."""
    return tuple(map(concrete, value.shape))


def readable(braces: Mapping[str, object]) -> dict[str, object]:
    """Return the concrete values of the parts in braces, without those that cannot be read."""
    values = braces.items()
    return {text: concrete(v) for text, v in values if not isinstance(v, ContractError)}


def concrete(size: Any) -> Any:
    """Return a concrete size, or the name of an unbacked symbol."""
    if isinstance(size, tuple):
        return type(size)(map(concrete, size))  # `Open` stays open
    if not isinstance(size, torch.SymInt | torch.SymFloat):
        return size
    try:
        if isinstance(size, torch.SymFloat):
            return float(size)
        return hint_of(size) if is_proving() else int(size)
    except Exception:  # an unbacked symbol: its size depends on data
        return str(size)
