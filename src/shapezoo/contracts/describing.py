"""Values in words, for errors."""

import dataclasses
import re
import sys
from collections.abc import Callable
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from shapezoo.contracts.matching import Opaque
from shapezoo.contracts.symbolic_runs import hint_of, is_proving
from shapezoo.contracts.walking import Missing

_ADDRESS = re.compile(r" at 0x[0-9A-Fa-f]+")


def describe(value: object, depth: int = 2) -> str:
    """A value in a few words: ``Tensor float32 (8, 1, 28, 28)``."""
    name = class_name(value)
    try:
        if isinstance(value, Tensor):
            return f"Tensor {dtype_name(value)} {known_shape(value)}"
        if value is None:
            return "None"
        if isinstance(value, Missing):
            return "nothing, the key is missing"
        if isinstance(value, Opaque):
            return "an object"
        if isinstance(value, nn.Module):
            return name  # its text can fill pages
        if isinstance(value, list | tuple | dict) and (depth == 0 or len(value) > 8):
            return f"{name} of {len(value)}"
        if isinstance(value, list | tuple):
            parts = ", ".join(describe(item, depth - 1) for item in value)
            return f"{name} of {len(value)}" + (f": {parts}" if parts else "")
        if isinstance(value, dict):
            parts = ", ".join(f"{k!r}: {describe(part, depth - 1)}" for k, part in value.items())
            return f"{name} of {len(value)}" + (f": {parts}" if parts else "")
        if name == "numpy.ndarray":
            return f"{name} {getattr(value, 'dtype', '')} {getattr(value, 'shape', '')}"
        if dataclasses.is_dataclass(value):
            return f"{name} with {', '.join(f.name for f in dataclasses.fields(value)[:8])}"
        if is_image(value):
            return f"PIL image {value.mode} {value.width}x{value.height}"
        text = _ADDRESS.sub("", " ".join(repr(value).split()))
    except Exception:  # a value that cannot be shown must not hide what is wrong with it
        return name
    return f"{name} {text if len(text) <= 60 else text[:57] + '...'}"


def is_image(value: object) -> TypeGuard[Any]:
    """Whether a value is an image of PIL, which is not imported for that."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def dtype_name(value: Any) -> str:
    """The dtype of a tensor or array, without the library's name."""
    return str(value.dtype).removeprefix("torch.")


def class_name(value: object) -> str:
    """The name of a value's class, with its module unless it is one of Python's own."""
    return name_of(type(value))


def name_of(kind: type) -> str:
    """The name of a class, with its module unless it is one of Python's own."""
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def qualified_name(function: Callable[..., Any]) -> str:
    """The dotted name of a function; one that `exec` made may have no module."""
    return ".".join(filter(None, (function.__module__, function.__qualname__)))


def known_shape(value: Tensor) -> tuple[Any, ...]:
    """The shape of a tensor in numbers, those of the example where a graph is traced."""
    return tuple(map(known, value.shape))


def known(size: Any) -> Any:
    """A size as a number, or as text where only the data decide it."""
    if isinstance(size, tuple):
        return type(size)(map(known, size))  # `Open` stays open
    if not isinstance(size, torch.SymInt | torch.SymFloat):
        return size
    try:
        if isinstance(size, torch.SymFloat):
            return float(size)
        return hint_of(size) if is_proving() else int(size)
    except Exception:  # a size that only the data decide
        return str(size)
