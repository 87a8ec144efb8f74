"""Building a registered model with weights that somebody else trained."""

import inspect
import os
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from shapezoo.contracts import Module
from shapezoo.registry import Entry
from shapezoo.weights.adapting import CHANNELS, CLASSES, Adaptable, fit_sizes, size_hint
from shapezoo.weights.published import PublishedWeights, download
from shapezoo.weights.state_dict_search import FoundWeights, find_weights
from shapezoo.weights.strict_loading import WeightsError, load_strictly, require_values
from shapezoo.weights.weights_argument import Weights, published_or_file
from shapezoo.weights.weights_reading import read_weights


def build_pretrained(entry: Entry, weights: Weights, hyperparameters: dict[str, Any]) -> Module:
    """Build a model with published weights or those of a file, fitted to its hyper-parameters.

    Args:
        entry: The model.
        weights: As for `create_model`.
        hyperparameters: Arguments of the builder.

    Raises:
        TypeError: The weights, or an argument of the builder, have the wrong type.
        WeightsError: There are no such weights, they cannot be downloaded or read, or do not fit
            the model.
    """
    is_published = entry.published_by is not None
    chosen = published_or_file(entry.name, weights, is_published=is_published)
    if isinstance(chosen, PublishedWeights):
        file = os.fspath(chosen.file)
        if "image_size" in inspect.signature(entry.builder).parameters:
            hyperparameters = {"image_size": chosen.image_size, **hyperparameters}
    else:
        file = os.fspath(chosen)
    model = entry.builder(**hyperparameters)
    require_values(model)  # before a download that may take minutes
    content = download(chosen) if isinstance(chosen, PublishedWeights) else read_weights(file)
    found = find_weights(content, model.state_dict(), file)
    tensors = found.tensors
    if is_published:
        tensors = _adapted(model, tensors, file)
        _require_unambiguous(model, tensors, found, file)
        if not isinstance(chosen, PublishedWeights) and "image_size" not in hyperparameters:
            _require_same_shapes(found.tensors, tensors, file)
    # only the channels of published architectures are known to be red, green and blue
    adaptable = {CLASSES, CHANNELS} if is_published else {CLASSES}
    tensors = fit_sizes(tensors, model, adaptable & hyperparameters.keys())
    load_strictly(model, tensors, repr(file), *found.notes, size_hint(model, tensors))
    return model


def _require_unambiguous(
    model: Module, tensors: Mapping[str, Tensor], found: FoundWeights, file: str
) -> None:
    """Raise WeightsError if several state dicts in a file fit once they are adapted."""
    if not isinstance(model, Adaptable) or model.state_dict().keys() != tensors.keys():
        return
    for entry, other in found.others.items():
        try:
            names = _adapted(model, other, file).keys()
        except WeightsError:
            continue
        if names == tensors.keys():
            raise WeightsError(
                f"{file!r} holds weights that fit the model several times, one of them as the "
                f"entry {entry}; write the ones you want to a file of their own"
            )


def _require_same_shapes(
    tensors: Mapping[str, Tensor], adapted: Mapping[str, Tensor], file: str
) -> None:
    """Raise WeightsError if adapting the weights of a file has changed a shape."""
    for name in adapted.keys() & tensors.keys():
        if adapted[name].shape != tensors[name].shape:
            raise WeightsError(
                f"{file!r} is for images of another size: {name} is {tuple(tensors[name].shape)} "
                f"in the file, {tuple(adapted[name].shape)} in the model; pass image_size: that of "
                "the file, or another one, to which it is interpolated"
            )


def _adapted(model: Module, tensors: Mapping[str, Tensor], file: str) -> Mapping[str, Tensor]:
    """Return weights under the names of a model, and for images of its size."""
    if not isinstance(model, Adaptable):
        return tensors
    try:
        return model.adapted(tensors)
    except (IndexError, RuntimeError, ValueError) as error:  # ranks and sizes that no model has
        raise WeightsError(f"{file!r} does not fit {type(model).__name__}: {error}") from error
