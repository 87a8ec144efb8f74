"""Putting tensors into a model, strictly."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from shapezoo.weights.wrappers import plain_state, unwrapped, wrapped_names

_MOST_LINES = 5
"""How many differences of each kind an error shows."""


class WeightsError(ValueError):
    """Weights cannot be read or downloaded, or do not fit the model."""

    __module__ = "shapezoo.weights"


def take(model: nn.Module, tensors: Mapping[str, Tensor], source: str, note: str = "") -> None:
    """Put tensors into a model: all of them, or the model stays as it was.

    Args:
        model: The module that takes them; its device and dtype stay.
        tensors: A ``state_dict`` without the names that wrappers add. Counters of batch norm that
            are missing, as in old files, stay as they are. Of the names of a shared parameter, one
            is enough.
        source: Where the tensors come from, for the error.
        note: What else the error should say.

    Raises:
        WeightsError: There is a name or shape that the model does not have, or the other way
            round; or the model has no values.
    """
    require_values(model)
    own = plain_state(model)
    counters = {name: own[name] for name in own if name.endswith("num_batches_tracked")}
    shared = shared_names(own)
    tensors = {**counters, **_of_shared(tensors, shared), **tensors}
    if differences := [*_differences(own, tensors), *_conflicts(tensors, shared)]:
        title = f"{source} does not fit {type(unwrapped(model)).__name__}:"
        raise WeightsError("\n  ".join([title, *differences, *filter(None, [note])]))
    model.load_state_dict(wrapped_names(model, tensors))


def shared_names(own: Mapping[str, Tensor]) -> list[list[str]]:
    """The names of parameters and buffers that have several, such as tied weights."""
    names: dict[tuple[Any, ...], list[str]] = {}
    for name, tensor in own.items():
        if tensor.numel():
            key = tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype
            names.setdefault(key, []).append(name)
    return [group for group in names.values() if len(group) > 1]


def _of_shared(tensors: Mapping[str, Tensor], shared: list[list[str]]) -> dict[str, Tensor]:
    """Shared tensors of a file under all their names."""
    found: dict[str, Tensor] = {}
    for group in shared:
        if present := [name for name in group if name in tensors]:
            found |= dict.fromkeys(group, tensors[present[0]])
    return found


def _conflicts(tensors: Mapping[str, Tensor], shared: list[list[str]]) -> list[str]:
    """A line for each shared tensor of a model that has several values in a file."""
    return [
        f"{_printable(other)}: the same tensor as {_printable(first)} in the model, another one in "
        "the file"
        for first, *others in shared
        for other in others
        if first in tensors and other in tensors and not _are_equal(tensors[first], tensors[other])
    ]


def _are_equal(one: Tensor, other: Tensor) -> bool:
    if one is other or not (_is_plain(one) and _is_plain(other)):
        return True  # what is not plain is refused anyway
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    left, right = (tensor.contiguous().flatten().view(torch.uint8) for tensor in (one, other))
    return torch.equal(left, right)  # of bytes, where NaN is itself


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
    """A line for each name that differs between a model and a file, some of each kind."""
    both = [name for name in model if name in file]
    reasons = {name: _difference(model[name], file[name]) for name in both}
    return [
        *_some({name: "in the model, not in the file" for name in model if name not in file}),
        *_some({name: "in the file, not in the model" for name in file if name not in model}),
        *_some({name: reason for name, reason in reasons.items() if reason}),
    ]


def _some(reasons: Mapping[str, str]) -> list[str]:
    """Lines for the first of many names."""
    lines = [f"{_printable(name)}: {reason}" for name, reason in reasons.items()]
    if len(lines) <= _MOST_LINES + 1:
        return lines
    alike = {*reasons.values()}
    what = f" {alike.pop()}" if len(alike) == 1 else ""
    return [*lines[:_MOST_LINES], f"and {len(lines) - _MOST_LINES} more{what}"]


def _printable(name: str) -> str:
    """A name that a forged file cannot use to write to a terminal."""
    return name if name.isprintable() else repr(name)


def _difference(model: Tensor, file: Tensor) -> str:
    """Why a tensor in a file cannot take the place of one in a model; empty if it can."""
    if not isinstance(file, Tensor):
        return f"a {type(file).__name__} in the file"
    if file.is_nested:
        return "a nested tensor in the file; only plain tensors are loaded"
    if _overlaps(model):
        return "an expanded tensor in the model, which cannot be written to; register a .clone()"
    if file.is_meta:
        return "without values in the file (it was saved on the meta device)"
    if file.is_quantized or file.layout is not torch.strided:
        kind = "quantized" if file.is_quantized else str(file.layout).removeprefix("torch.")
        return f"{kind} in the file; only plain tensors are loaded"
    if model.shape != file.shape:
        return f"{tuple(model.shape)} in the model, {tuple(file.shape)} in the file"
    if _family(model) != _family(file):
        return f"{model.dtype} in the model, {file.dtype} in the file"
    if not _has_room(model.dtype, file):
        return f"{model.dtype} in the model, which cannot hold the {file.dtype} values in the file"
    return ""


def _overlaps(tensor: Tensor) -> bool:
    """Whether elements of a tensor share memory, as those of an expanded one."""
    return any(
        stride == 0 and size > 1 for size, stride in zip(tensor.shape, tensor.stride(), strict=True)
    )


def _has_room(dtype: torch.dtype, tensor: Tensor) -> bool:
    """Whether values stay what they are in another dtype, but for rounding."""
    if dtype == tensor.dtype:
        return True
    cast = tensor.to(dtype)
    if dtype.is_floating_point or dtype.is_complex:
        return torch.equal(_finite(tensor), _finite(cast))
    return torch.equal(cast.to(tensor.dtype), tensor)


def _finite(tensor: Tensor) -> Tensor:
    """Where numbers are finite; 8-bit floats do not know it themselves."""
    return (tensor.float() if tensor.dtype.itemsize == 1 else tensor).isfinite()


def _family(tensor: Tensor) -> tuple[bool, bool]:
    """Floats are cast to other floats, but never to whole numbers or back."""
    return tensor.is_floating_point(), tensor.is_complex()
