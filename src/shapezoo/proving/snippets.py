"""Python code that makes values."""

import dataclasses
from typing import Any, cast

import torch
from torch import Tensor


def code_of(value: Any, imports: dict[str, None]) -> str:
    """Python that makes a value.

    Args:
        value: A tensor whose numbers are all the same, a plain value, or a container of such.
        imports: Gets the lines that the code needs before it.
    """
    match value:
        case Tensor():
            return _tensor(value)
        case tuple() if hasattr(value, "_fields"):
            fields = dict(zip(cast(Any, value)._fields, value, strict=True))
            return _record(value, fields, imports)
        case tuple():
            inside = ", ".join(code_of(item, imports) for item in value)
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        case list():
            return f"[{', '.join(code_of(item, imports) for item in value)}]"
        case dict():
            items = (f"{key!r}: {code_of(item, imports)}" for key, item in value.items())
            return f"{{{', '.join(items)}}}"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {part.name: getattr(value, part.name) for part in dataclasses.fields(value)}
        return _record(value, fields, imports)
    return repr(value)


def _record(value: object, fields: dict[str, Any], imports: dict[str, None]) -> str:
    kind = type(value)
    imports[f"from {kind.__module__} import {kind.__qualname__.partition('.')[0]}"] = None
    inside = ", ".join(f"{name}={code_of(part, imports)}" for name, part in fields.items())
    return f"{kind.__qualname__}({inside})"


def _tensor(tensor: Tensor) -> str:
    axes = range(tensor.dim())[::-1]
    usual = torch.empty(tensor.shape, device="meta").stride()  # one position may have any step
    if tensor.stride() != usual and tensor.permute(*axes).is_contiguous():
        return f"{_tensor(tensor.permute(*axes))}.permute({', '.join(map(str, axes))})"
    shape = f"({', '.join(map(str, tensor.shape))}{',' * (tensor.dim() == 1)})"
    dtype = "" if tensor.dtype == torch.get_default_dtype() else f", dtype={tensor.dtype}"
    fill = tensor.flatten()[0].item() if tensor.numel() else 0
    return f"torch.full({shape}, {fill!r}{dtype})" if fill else f"torch.zeros({shape}{dtype})"
