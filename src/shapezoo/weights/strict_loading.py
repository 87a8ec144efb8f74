"""Loading tensors into a model: every key, shape and value must fit, or nothing is loaded."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from shapezoo.weights.wrappers import plain_names, plain_state_dict, unwrapped

COUNTER = "num_batches_tracked"
"""A buffer of batch norm that files from before PyTorch 0.4.1 do not have."""

_MOST_LINES = 5
"""How many missing, unexpected and mismatched keys an error lists, each."""


class WeightsError(ValueError):
    """Weights cannot be read or downloaded, or do not fit the model."""

    __module__ = "shapezoo.weights"


def load_strictly(
    model: nn.Module, tensors: Mapping[str, Tensor], source: str, *notes: str
) -> None:
    """Load tensors into a model: all of them, or the model stays as it was.

    `nn.Module.load_state_dict` checks keys and shapes too, but it casts silently to another dtype,
    fails half-way at a tensor that cannot be written to, and wants the names of wrappers.

    Args:
        model: The module to load into; its device and dtype stay.
        tensors: A ``state_dict`` without the names that wrappers add. Counters of batch norm may
            be missing, as in old files, and stay as they are. Of the names of a shared parameter,
            one is enough.
        source: Where the tensors come from, for the error.
        *notes: Lines to add to the error; empty ones are left out.

    Raises:
        WeightsError: A key or shape is in only one of the two, a value does not fit the dtype of
            the model, or the model has no values.
    """
    require_values(model)
    own = plain_state_dict(model)
    counters = {name: tensor for name, tensor in own.items() if name.endswith(COUNTER)}
    shared = shared_names(own)
    tensors = {**counters, **_under_all_names(tensors, shared), **tensors}
    if differences := [*_differences(own, tensors), *_conflicts(tensors, shared)]:
        title = f"{source} does not fit {type(unwrapped(model)).__name__}:"
        raise WeightsError("\n  ".join([title, *differences, *filter(None, notes)]))
    model.load_state_dict({name: tensors[plain] for name, plain in plain_names(model).items()})


def shared_names(own: Mapping[str, Tensor]) -> list[list[str]]:
    """Return the names of each parameter or buffer that has several, such as tied weights."""
    names: dict[tuple[Any, ...], list[str]] = {}
    for name, tensor in own.items():
        if tensor.numel():  # all empty tensors have the address 0
            key = tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
            names.setdefault(key, []).append(name)
    return [group for group in names.values() if len(group) > 1]


def _under_all_names(tensors: Mapping[str, Tensor], shared: list[list[str]]) -> dict[str, Tensor]:
    """Return the shared tensors of a file under all their names."""
    result: dict[str, Tensor] = {}
    for group in shared:
        if present := [name for name in group if name in tensors]:
            result |= dict.fromkeys(group, tensors[present[0]])
    return result


def _conflicts(tensors: Mapping[str, Tensor], shared: list[list[str]]) -> list[str]:
    """Return a line for each shared tensor of a model that has several values in a file."""
    return [
        f"{_printable(name)}: the same tensor as {_printable(first)} in the model, but a different "
        "one in the file"
        for first, *others in shared
        for name in others
        if first in tensors and name in tensors and not _are_equal(tensors[first], tensors[name])
    ]


def _are_equal(left: Tensor, right: Tensor) -> bool:
    if left is right or not (_is_plain(left) and _is_plain(right)):
        return True  # `_mismatch` refuses tensors that are not plain
    if (left.dtype, left.shape) != (right.dtype, right.shape):
        return False
    # compare bytes: NaN is not equal to itself
    return torch.equal(*(part.contiguous().flatten().view(torch.uint8) for part in (left, right)))


def _is_plain(tensor: Tensor) -> bool:
    return tensor.layout is torch.strided and not (
        tensor.is_nested or tensor.is_meta or tensor.is_quantized
    )


def require_values(model: nn.Module) -> None:
    """Raise unless every parameter and buffer of a model is a tensor with values.

    Raises:
        WeightsError: One is on the meta device, has no shape before the first call, or is not a
            tensor.
    """
    title = type(unwrapped(model)).__name__
    for name, tensor in model.state_dict().items():
        if not isinstance(tensor, Tensor):
            raise WeightsError(
                f"{title}: {name} is a {type(tensor).__name__}, and weights files hold only tensors"
            )
        if is_lazy(tensor):
            raise WeightsError(
                f"{title}: {name} has no shape yet; call the model once before, with an input"
            )
        if tensor.is_meta:
            raise WeightsError(
                f"{title} is on the meta device: {name} has no values; "
                f"use model.to_empty(device='cpu') first"
            )


def _differences(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> list[str]:
    """Return lines about the keys that are missing, unexpected or mismatched."""
    missing = {name: "in the model, not in the file" for name in model if name not in file}
    unexpected = {name: "in the file, not in the model" for name in file if name not in model}
    mismatched = {
        name: reason
        for name in model
        if name in file and (reason := _mismatch(model[name], file[name]))
    }
    return [*_abridged(missing), *_abridged(unexpected), *_abridged(mismatched)]


def _abridged(reasons: Mapping[str, str]) -> list[str]:
    """Return a line for each of the first names, and how many more there are."""
    lines = [f"{_printable(name)}: {reason}" for name, reason in reasons.items()]
    if len(lines) <= _MOST_LINES + 1:
        return lines
    distinct = {*reasons.values()}
    reason = f" {distinct.pop()}" if len(distinct) == 1 else ""
    return [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more{reason}"]


def _printable(name: str) -> str:
    """Return a name with control characters escaped: a forged file could write to the terminal."""
    return name if name.isprintable() else repr(name)


def _mismatch(model: Tensor, file: Tensor) -> str:
    """Return why a tensor in a file cannot replace one in a model; empty if it can."""
    if not isinstance(file, Tensor):
        return f"a {type(file).__name__} in the file"
    if file.is_nested:
        return "a nested tensor in the file; only plain tensors are loaded"
    if _overlaps(model):
        return "an expanded tensor in the model, which cannot be written to; register a .clone()"
    if file.is_meta:
        return "without values in the file (it was saved on the meta device)"
    if file.is_quantized or file.layout is not torch.strided:
        layout = "quantized" if file.is_quantized else str(file.layout).removeprefix("torch.")
        return f"{layout} in the file; only plain tensors are loaded"
    if model.shape != file.shape:
        return f"{tuple(model.shape)} in the model, {tuple(file.shape)} in the file"
    # floats are cast to other floats, but never to integers or back
    if model.is_floating_point() != file.is_floating_point() or (
        model.is_complex() != file.is_complex()
    ):
        return f"{model.dtype} in the model, {file.dtype} in the file"
    if not _can_hold(model.dtype, file):
        return f"{model.dtype} in the model, which cannot hold the {file.dtype} values in the file"
    return ""


def _overlaps(tensor: Tensor) -> bool:
    """Whether elements of a tensor share memory, as those of an expanded one."""
    return any(
        stride == 0 and size > 1 for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
    )


def _can_hold(dtype: torch.dtype, tensor: Tensor) -> bool:
    """Whether a dtype can represent the values of a tensor, up to rounding."""
    if dtype == tensor.dtype:
        return True
    cast = tensor.to(dtype)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.equal(_is_finite(tensor), _is_finite(cast))
    return torch.equal(cast.to(tensor.dtype), tensor)


def _is_finite(tensor: Tensor) -> Tensor:
    """Return where a tensor is finite; `isfinite` is not implemented for 8-bit floats."""
    return (tensor.float() if tensor.dtype.itemsize == 1 else tensor).isfinite()
