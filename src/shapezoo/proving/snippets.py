"""Python code that builds values."""

import dataclasses
from typing import Any

import torch
from torch import Tensor

from shapezoo._containers import items_of


def code_of(value: Any, imports: dict[str, None]) -> str:
    """Return Python code that builds a value.

    Args:
        value: A tensor whose elements are all equal, a plain value, or a container of these.
        imports: Receives the import statements that the code needs.
    """
    match value:
        case Tensor():
            return _tensor(value)
        case tuple() if hasattr(value, "_fields"):
            return _record(value, imports)
        case tuple():
            inside = ", ".join(code_of(item, imports) for item in value)
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        case list():
            return f"[{', '.join(code_of(item, imports) for item in value)}]"
        case dict():
            items = (f"{key!r}: {code_of(item, imports)}" for key, item in value.items())
            return f"{{{', '.join(items)}}}"
    is_record = dataclasses.is_dataclass(value) and not isinstance(value, type)
    return _record(value, imports) if is_record else repr(value)


def _record(value: Any, imports: dict[str, None]) -> str:
    class_ = type(value)
    imports[f"from {class_.__module__} import {class_.__qualname__.partition('.')[0]}"] = None
    fields = items_of(value) or ()
    inside = ", ".join(f"{name}={code_of(part, imports)}" for name, part in fields)
    return f"{class_.__qualname__}({inside})"


def _tensor(tensor: Tensor) -> str:
    axes = range(tensor.dim())[::-1]
    # compared with the stride of an empty tensor, as the stride of an axis of size 1 is arbitrary
    usual = torch.empty(tensor.shape, device="meta").stride()
    if tensor.stride() != usual and tensor.permute(*axes).is_contiguous():
        return f"{_tensor(tensor.permute(*axes))}.permute({', '.join(map(str, axes))})"
    shape = f"({', '.join(map(str, tensor.shape))}{',' * (tensor.dim() == 1)})"
    dtype = "" if tensor.dtype == torch.get_default_dtype() else f", dtype={tensor.dtype}"
    fill = tensor.flatten()[0].item() if tensor.numel() else 0
    return f"torch.full({shape}, {fill!r}{dtype})" if fill else f"torch.zeros({shape}{dtype})"
