"""Weights of a module in a safetensors file, loaded strictly."""

import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from shapezoo._files import replacing


class WeightsError(ValueError):
    """A weights file cannot be read, or does not fit the model."""


def save(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Write a model's parameters and buffers to a safetensors file.

    The file appears under its name only when it is whole.

    Args:
        model: The module whose ``state_dict`` is written.
        path: The file; one that exists is replaced.

    Raises:
        OSError: The file cannot be written.
        WeightsError: The model has no values, as it is on the meta device.
    """
    _require_values(model)
    tensors = {
        # copies: the format has no views, and tied weights must not share memory
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in model.state_dict().items()
    }
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary)
        except SafetensorError as error:  # how the library tells of a full disk
            raise OSError(f"{os.fspath(path)!r} cannot be written: {error}") from error


def load(model: nn.Module, path: str | os.PathLike[str]) -> None:
    """Read a model's parameters and buffers from a safetensors file.

    Either all of them are taken, or the model stays as it was.

    Args:
        model: The module that takes the weights; its device and dtype stay.
        path: A file that `save` wrote.

    Raises:
        WeightsError: The file is missing, is no safetensors file, or has a key or shape that
            the model does not have, or the other way round; or the model has no values.
    """
    _require_values(model)
    try:
        tensors = load_file(Path(path))
    except FileNotFoundError as error:
        raise WeightsError(f"no weights file at {os.fspath(path)!r}") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{os.fspath(path)!r} is no readable safetensors file: {error}"
        ) from error
    if differences := _differences(model.state_dict(), tensors):
        title = f"{os.fspath(path)!r} does not fit {type(model).__name__}:"
        raise WeightsError("\n  ".join([title, *differences]))
    model.load_state_dict(tensors)


def _require_values(model: nn.Module) -> None:
    for name, tensor in model.state_dict().items():
        if tensor.is_meta:
            raise WeightsError(
                f"{type(model).__name__} is on the meta device: {name} has no values; "
                f"use model.to_empty(device='cpu') first"
            )


def _differences(model: Mapping[str, Tensor], file: Mapping[str, Tensor]) -> list[str]:
    """A line for each key that differs between a model and a file."""
    lines = [f"{key}: in the model, not in the file" for key in model if key not in file]
    lines += [f"{key}: in the file, not in the model" for key in file if key not in model]
    for key in (key for key in model if key in file):
        ours, theirs = model[key], file[key]
        if ours.shape != theirs.shape:
            shapes = f"{tuple(ours.shape)} in the model, {tuple(theirs.shape)} in the file"
            lines.append(f"{key}: {shapes}")
        elif _family(ours) != _family(theirs):
            lines.append(f"{key}: {ours.dtype} in the model, {theirs.dtype} in the file")
    return lines if len(lines) <= 10 else [*lines[:10], f"and {len(lines) - 10} more"]


def _family(tensor: Tensor) -> tuple[bool, bool]:
    """Floats are cast to other floats, but never to whole numbers or back."""
    return tensor.is_floating_point(), tensor.is_complex()
