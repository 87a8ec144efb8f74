"""Building a registered model with weights that somebody else trained."""

import inspect
import os
from collections.abc import Mapping, Set
from typing import Any

import torch
from torch import Tensor

from shapezoo.contracts import Module
from shapezoo.registry import Entry, without_values
from shapezoo.weights.adapting import Adaptable, fitted
from shapezoo.weights.choosing import Weights, choose
from shapezoo.weights.published import PublishedWeights, download
from shapezoo.weights.reading import read
from shapezoo.weights.taking import WeightsError, require_values, take
from shapezoo.weights.unwrapping import Found, unwrap


def build_with(entry: Entry, weights: Weights, hyperparameters: dict[str, Any]) -> Module:
    """Build a model with published weights or those of a file, fitted to its hyper-parameters.

    Args:
        entry: The model.
        weights: What `create_model` takes.
        hyperparameters: Arguments of the builder.

    Raises:
        TypeError: The weights, or an argument of the builder, are of the wrong type.
        WeightsError: There are no such weights, they cannot be downloaded or read, or do not fit
            the model.
    """
    chosen = choose(entry.name, weights, is_published=entry.published_by is not None)
    if isinstance(chosen, PublishedWeights):
        if "image_size" in inspect.signature(entry.builder).parameters:
            hyperparameters = {"image_size": chosen.image_size, **hyperparameters}
        file = os.fspath(chosen.file)
    else:
        file = os.fspath(chosen)
    model = entry.builder(**hyperparameters)
    require_values(model)  # before a download that may take minutes
    content = download(chosen) if isinstance(chosen, PublishedWeights) else read(file)
    found = unwrap(content, model.state_dict(), file)
    tensors = found.tensors
    if entry.published_by is not None:
        tensors = _adapted(entry, model, tensors, hyperparameters, file)
        _require_unambiguous(model, tensors, found, file)
    take(model, tensors, repr(file), found.note)
    return model


def _require_unambiguous(
    model: Module, tensors: Mapping[str, Tensor], found: Found, file: str
) -> None:
    """Refuse to choose between state dicts that all fit once they are adapted."""
    if not isinstance(model, Adaptable) or model.state_dict().keys() != tensors.keys():
        return
    for entry, other in found.others.items():
        if _names_after(model, other) == tensors.keys():
            raise WeightsError(
                f"{file!r} holds weights that fit the model several times, one of them as the "
                f"entry {entry}; write the ones you want to a file of their own"
            )


def _names_after(model: Adaptable, tensors: Mapping[str, Tensor]) -> Set[str]:
    try:
        return model.adapted(tensors).keys()
    except (IndexError, RuntimeError, ValueError):
        return set()


def _adapted(
    entry: Entry,
    model: Module,
    tensors: Mapping[str, Tensor],
    hyperparameters: dict[str, Any],
    file: str,
) -> Mapping[str, Tensor]:
    """Weights made for the default hyper-parameters, fitted to those of a model."""
    try:
        if isinstance(model, Adaptable):
            tensors = model.adapted(tensors)
    except (IndexError, RuntimeError, ValueError) as error:  # ranks and sizes that no model has
        raise WeightsError(f"{file!r} does not fit {type(model).__name__}: {error}") from error
    inputs, heads = (
        _sized_by(entry, hyperparameters, keyword) for keyword in ("in_channels", "num_classes")
    )
    return fitted(tensors, model, inputs=inputs, heads=heads)


def _sized_by(entry: Entry, hyperparameters: dict[str, Any], keyword: str) -> dict[str, torch.Size]:
    """The names whose shapes the value of a keyword changes, with their shapes by default."""
    if keyword not in hyperparameters:
        return {}
    default = {key: value for key, value in hyperparameters.items() if key != keyword}
    with without_values():
        other = entry.builder(**default).state_dict()
        return {
            key: other[key].shape
            for key, tensor in entry.builder(**hyperparameters).state_dict().items()
            if tensor.shape != other[key].shape
        }
