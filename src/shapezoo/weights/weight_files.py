"""Weights of a module in a file: written as safetensors, read from that or from `torch.save`."""

import os
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from shapezoo._files import replacing
from shapezoo.contracts.messages.describing import shown
from shapezoo.weights.wrappers import plain_state, unwrapped
from shapezoo.weights.weights_reading import read
from shapezoo.weights.resizing import hint
from shapezoo.weights.strict_loading import WeightsError, require_values, take
from shapezoo.weights.state_dict_search import unwrap

STORABLE = {
    torch.bool,
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
}
"""Types of numbers that the safetensors format has."""


def save(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a model's parameters and buffers to a safetensors file.

    The names are those of the model itself: `torch.compile`, `nn.DataParallel` and
    DistributedDataParallel around it, or around modules in it, leave no trace in the file. The file
    appears under its name only when it is whole.

    Args:
        model: The module whose ``state_dict`` is written.
        path: The file; one that exists is replaced. If it is a symbolic link, the link is replaced,
            and what it points to stays as it was.

    Raises:
        TypeError: The model is not an ``nn.Module``, or the path is not a path.
        OSError: The file cannot be written; the error names it.
        WeightsError: A parameter or buffer has no values, as on the meta device, or is of a kind
            that the format does not have: sparse, quantized, a subclass of Tensor, or complex
            numbers other than complex64.
    """
    _require_model_and_path("save", model, path)
    require_values(model)
    state = plain_state(model)
    _require_storable(unwrapped(model), state)
    tensors = {
        # copies: the format has no views, and tied weights must not share memory
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary)
        except SafetensorError as error:  # how the library reports a full disk
            raise OSError(f"{os.fspath(path)!r} cannot be written: {error}") from error


def load(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Read a model's parameters and buffers from a file.

    Either all of them are taken, or the model stays as it was. The file may be one of `save`, or
    of `torch.save` with a state dict in it; its content decides, not its name. No code in it is
    run.

    The weights may be one entry of what was saved (``{"state_dict": ..., "epoch": 3}``), and all
    names may start with a prefix (``module.``, ``_orig_mod.``). If there are several entries whose
    names fit, as with an average of the weights, the error shows how to pick one.

    Args:
        model: The module that takes the weights; its device and dtype stay. It may be wrapped by
            `torch.compile`, `nn.DataParallel` or DistributedDataParallel.
        path: The file.

    Raises:
        TypeError: The model is not an ``nn.Module``, or the path is not a path.
        WeightsError: The file is missing, damaged, or holds other things than tensors; it has a
            name or shape that the model does not have, or the other way round; or the model has no
            values.
    """
    _require_model_and_path("load", model, path)
    require_values(model)
    found = unwrap(read(path), plain_state(model), path)
    note = "\n  ".join(filter(None, (found.note, hint(model, found.tensors))))
    take(model, found.tensors, repr(os.fspath(path)), note)


def _require_model_and_path(function: str, model: object, path: object) -> None:
    """Raise TypeError unless given a model and a path, in this order."""
    if isinstance(model, nn.Module) and isinstance(path, str | os.PathLike):
        return
    if isinstance(path, nn.Module) and isinstance(model, str | os.PathLike):
        raise TypeError(
            f"{function}: the model comes first, then the path; write {function}(model, "
            f"{os.fspath(model)!r})"
        )
    if not isinstance(model, nn.Module):
        state = "; for a state dict use safetensors.torch.save_file(state, path)"
        hint = state if function == "save" and isinstance(model, Mapping) else ""
        raise TypeError(f"model must be a torch.nn.Module, got {shown(model)}{hint}")
    state = "; use model.load_state_dict(state) for a state dict"
    hint = state if function == "load" and isinstance(path, Mapping) else ""
    raise TypeError(f"path must be a string or a path, got {shown(path)}{hint}")


def _require_storable(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if problem := _problem(tensor):
            raise WeightsError(f"{type(model).__name__}: {name} cannot be stored: {problem}")


def _problem(tensor: Tensor) -> str:
    """Why the safetensors format cannot hold a tensor; empty if it can."""
    if type(tensor) not in (Tensor, nn.Parameter):
        return (
            f"it is a {type(tensor).__name__}, and a file would keep its plain values at most; "
            f"make it a plain tensor first (a DTensor with full_tensor())"
        )
    if tensor.is_quantized:
        return "it is quantized; dequantize() it first"
    if tensor.layout is not torch.strided:
        return f"its layout is {tensor.layout}; make it dense first with to_dense()"
    if tensor.dtype not in STORABLE:
        other = torch.complex64 if tensor.is_complex() else "another dtype"
        return f"safetensors has no {tensor.dtype}; convert it to {other} first"
    return ""
