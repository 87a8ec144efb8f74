"""Building a registered model with weights that somebody else trained."""

import inspect
import os
from collections.abc import Mapping, Set
from typing import Any

from torch import Tensor

from shapezoo.contracts import Module
from shapezoo.registry import Entry
from shapezoo.weights.adapting import Adaptable, fitted
from shapezoo.weights.weights_argument import Weights, choose
from shapezoo.weights.weights_reading import read
from shapezoo.weights.published import PublishedWeights, download
from shapezoo.weights.resizing import CHANNELS, CLASSES, hint, sized_by
from shapezoo.weights.strict_loading import WeightsError, require_values, take
from shapezoo.weights.state_dict_search import Found, unwrap


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
        tensors = _adapted(model, tensors, file)
        _require_unambiguous(model, tensors, found, file)
        if not isinstance(chosen, PublishedWeights) and "image_size" not in hyperparameters:
            _require_same_shapes(found.tensors, tensors, file)
    tensors = fitted(
        tensors,
        model,
        # only weights for images are known to read red, green and blue
        inputs=_given(entry, hyperparameters, CHANNELS) if entry.published_by else (),
        heads=_given(entry, hyperparameters, CLASSES),
    )
    take(model, tensors, repr(file), "\n  ".join(filter(None, (found.note, hint(model, tensors)))))
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


def _require_same_shapes(
    tensors: Mapping[str, Tensor], adapted: Mapping[str, Tensor], file: str
) -> None:
    """Refuse to fit the weights of a file to images of another size, unless asked to."""
    for name in adapted.keys() & tensors.keys():
        if adapted[name].shape != tensors[name].shape:
            raise WeightsError(
                f"{file!r} is for images of another size: {name} is {tuple(tensors[name].shape)} "
                f"in the file, {tuple(adapted[name].shape)} in the model; pass image_size: that of "
                "the file, or another one, to which it is interpolated"
            )


def _adapted(model: Module, tensors: Mapping[str, Tensor], file: str) -> Mapping[str, Tensor]:
    """Weights under the names of a model, and for images of its size."""
    if not isinstance(model, Adaptable):
        return tensors
    try:
        return model.adapted(tensors)
    except (IndexError, RuntimeError, ValueError) as error:  # ranks and sizes that no model has
        raise WeightsError(f"{file!r} does not fit {type(model).__name__}: {error}") from error


def _given(entry: Entry, hyperparameters: dict[str, Any], keyword: str) -> set[str]:
    """The names of the weights that an argument sizes, if it was given: then it may differ."""
    return sized_by(entry, hyperparameters, keyword) if keyword in hyperparameters else set()
