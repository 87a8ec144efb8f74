"""Weights of a module in a safetensors file, loaded strictly."""

import os
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from shapezoo._files import replacing
from shapezoo.weights.taking import WeightsError, require_values, take


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
    require_values(model)
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
    require_values(model)
    try:
        tensors = load_file(Path(path))
    except FileNotFoundError as error:
        raise WeightsError(f"no weights file at {os.fspath(path)!r}") from error
    except (SafetensorError, OSError) as error:
        raise WeightsError(
            f"{os.fspath(path)!r} is no readable safetensors file: {error}"
        ) from error
    take(model, tensors, repr(os.fspath(path)))
