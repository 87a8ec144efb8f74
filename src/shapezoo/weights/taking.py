"""Putting tensors into a model, strictly."""

from collections.abc import Mapping

from torch import Tensor, nn


class WeightsError(ValueError):
    """Weights cannot be read or downloaded, or do not fit the model."""


def take(model: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Put tensors into a model: all of them, or the model stays as it was.

    Args:
        model: The module that takes them; its device and dtype stay.
        tensors: What stands for its ``state_dict``.
        source: Where they come from, for the error.

    Raises:
        WeightsError: There is a key or shape that the model does not have, or the other way
            round; or the model has no values.
    """
    require_values(model)
    if differences := _differences(model.state_dict(), tensors):
        title = f"{source} does not fit {type(model).__name__}:"
        raise WeightsError("\n  ".join([title, *differences]))
    model.load_state_dict(tensors)


def require_values(model: nn.Module) -> None:
    """Refuse a model on the meta device.

    Raises:
        WeightsError: It has no values.
    """
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
