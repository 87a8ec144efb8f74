"""Saving and loading the weights of a module: safetensors files, and files of `torch.save`."""

import os
import re
from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor, nn

from shapezoo._files import replacing
from shapezoo.contracts.messages.describing import shown
from shapezoo.weights.adapting import size_hint
from shapezoo.weights.state_dict_search import find_weights
from shapezoo.weights.strict_loading import WeightsError, load_strictly, require_values
from shapezoo.weights.weights_reading import read_weights
from shapezoo.weights.wrappers import plain_state_dict, unwrapped

STORABLE = {
    torch.bool,
    *(torch.uint8, torch.uint16, torch.uint32, torch.uint64),
    *(torch.int8, torch.int16, torch.int32, torch.int64),
    *(torch.float8_e4m3fn, torch.float8_e4m3fnuz, torch.float8_e5m2, torch.float8_e5m2fnuz),
    *(torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64),
}
"""The dtypes of the safetensors format."""


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
        WeightsError: A parameter or buffer has no values, as on the meta device, or the format
            cannot hold it: it is sparse, quantized, of a subclass of Tensor, or of a complex dtype
            other than complex64.
    """
    _require_model_and_path("save", model, path)
    require_values(model)
    state = plain_state_dict(model)
    _require_storable(unwrapped(model), state)
    tensors = {
        # copies: the format has no views, and tied weights must not share memory
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in state.items()
    }
    write_safetensors(tensors, path)


def write_safetensors(
    tensors: dict[str, Tensor],
    path: str | os.PathLike[str],
    metadata: dict[str, str] | None = None,
) -> None:
    """Write a safetensors file, which appears under its name only when it is whole.

    Raises:
        OSError: The file cannot be written; the error names it.
    """
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # how the library reports a full disk
            number = re.search(r"\(os error (\d+)\)", str(error))
            if number is None:
                raise OSError(f"{os.fspath(path)!r} cannot be written: {error}") from error
            code = int(number[1])
            raise OSError(code, os.strerror(code), os.fspath(path)) from error


def load(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Read a model's parameters and buffers from a file.

    Either all of them are loaded, or the model stays as it was. The file may be one of `save`, or
    of `torch.save` with a state dict in it; its content decides, not its name. No code in it is
    run.

    The weights may be one entry of what was saved (``{"state_dict": ..., "epoch": 3}``), and all
    keys may start with a prefix (``module.``, ``_orig_mod.``). If several entries have keys that
    fit, as with an average of the weights, the error shows how to pick one.

    Args:
        model: The module to load into; its device and dtype stay. It may be wrapped by
            `torch.compile`, `nn.DataParallel` or DistributedDataParallel.
        path: The file.

    Raises:
        TypeError: The model is not an ``nn.Module``, or the path is not a path.
        WeightsError: The file is missing or damaged, or holds other objects than tensors; a key or
            shape is in only one of the file and the model; or the model has no values.
    """
    _require_model_and_path("load", model, path)
    require_values(model)
    found = find_weights(read_weights(path), plain_state_dict(model), path)
    hint = size_hint(model, found.tensors)
    load_strictly(model, found.tensors, repr(os.fspath(path)), *found.notes, hint)


def _require_model_and_path(function: str, model: object, path: object) -> None:
    """Raise TypeError unless the arguments are a model and a path, in this order."""
    if isinstance(path, nn.Module) and isinstance(model, str | os.PathLike):
        raise TypeError(
            f"{function}: the model comes first, then the path; write {function}(model, "
            f"{os.fspath(model)!r})"
        )
    if not isinstance(model, nn.Module):
        state = "; for a state dict use safetensors.torch.save_file(state, path)"
        hint = state if function == "save" and isinstance(model, Mapping) else ""
        raise TypeError(f"model must be a torch.nn.Module, got {shown(model)}{hint}")
    if not isinstance(path, str | os.PathLike):
        state = "; use model.load_state_dict(state) for a state dict"
        hint = state if function == "load" and isinstance(path, Mapping) else ""
        raise TypeError(f"path must be a string or a path, got {shown(path)}{hint}")


def _require_storable(model: nn.Module, state: Mapping[str, Tensor]) -> None:
    for name, tensor in state.items():
        if problem := _storing_problem(tensor):
            raise WeightsError(f"{type(model).__name__}: {name} cannot be stored: {problem}")


def _storing_problem(tensor: Tensor) -> str:
    """Return why the safetensors format cannot hold a tensor; empty if it can."""
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
