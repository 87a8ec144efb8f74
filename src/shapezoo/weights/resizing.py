"""Weights whose shapes depend on a hyper-parameter, and what a file was made with instead."""

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from torch import Tensor, nn

from shapezoo._modules import without_values
from shapezoo.registry import Entry, entries, origin_of
from shapezoo.weights.wrappers import plain_state, unwrapped
from shapezoo.weights.state_dict_search import COUNTER

CLASSES, CHANNELS = "num_classes", "in_channels"

SIZED_AXES = {CLASSES: 0, CHANNELS: 1}
"""The axis whose size a hyper-parameter is: outputs of the last layers, inputs of the first."""

_NOUNS = {CLASSES: ("class", "classes"), CHANNELS: ("input channel", "input channels")}


def sized_by(entry: Entry, hyperparameters: Mapping[str, Any], keyword: str) -> set[str]:
    """Return the names of the weights that have a hyper-parameter as the size of one axis.

    Args:
        entry: The model.
        hyperparameters: Arguments of its builder.
        keyword: A key of `SIZED_AXES`.

    Returns:
        The names; empty if the hyper-parameter changes other axes too. The number of classes does
        so where a recurrent layer scores the classes itself: its weights are then not a head.
    """
    parameters = inspect.signature(entry.builder).parameters
    if keyword not in parameters:
        return set()
    value = hyperparameters.get(keyword, parameters[keyword].default)
    with without_values():
        own = entry.builder(**hyperparameters).state_dict()
        larger = entry.builder(**{**hyperparameters, keyword: value + 1}).state_dict()
    changed = {name for name in own if own[name].shape != larger[name].shape}
    axis = SIZED_AXES[keyword]
    for name in changed:
        expected = [*own[name].shape]
        if expected[axis : axis + 1] != [value]:
            return set()
        expected[axis] += 1
        if expected != [*larger[name].shape]:
            return set()
    return changed


def other_size(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], names: Collection[str], axis: int
) -> int | None:
    """Return the size that weights have along an axis, where a model has another one.

    Args:
        tensors: The weights.
        own: Those of the model.
        names: Which of them to compare.
        axis: The axis.

    Returns:
        The size; None if it is that of the model, if the weights do not agree on one, or if
        another axis differs too.
    """
    if not all(name in tensors and tensors[name].dim() > axis for name in names):
        return None
    sizes = {tensors[name].shape[axis] for name in names}
    for name in names:
        expected = [*own[name].shape]
        expected[axis] = tensors[name].shape[axis]
        if [*tensors[name].shape] != expected or own[name].shape[axis] in sizes:
            return None
    return sizes.pop() if len(sizes) == 1 else None


def hint(model: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Return which hyper-parameters to pass for weights of other sizes; empty if none would do.

    Args:
        model: A model; there are only hints for models of the zoo.
        tensors: The weights of a file.
    """
    origin, own = origin_of(unwrapped(model)), plain_state(model)
    if origin is None:
        return ""
    (entry,) = (entry for entry in entries() if entry.name == origin.name)
    hyperparameters = origin.hyperparameters
    if any(not name.endswith(COUNTER) for name in own.keys() ^ tensors.keys()):
        return ""
    if not _differ(own, tensors):  # do not build models for nothing
        return ""
    sizes: dict[str, int] = {}
    for keyword, axis in SIZED_AXES.items():
        names = sized_by(entry, hyperparameters, keyword)
        size = other_size(tensors, own, names, axis)
        if size is not None:
            sizes[keyword] = size
    try:
        with without_values():
            other = entry.builder(**{**hyperparameters, **sizes}).state_dict()
    except (RuntimeError, TypeError, ValueError):  # sizes that no model has
        return ""
    if not sizes or _differ(other, tensors):
        return ""
    found = " and ".join(f"{size} {_NOUNS[key][size != 1]}" for key, size in sizes.items())
    keywords = ", ".join(f"{keyword}={size}" for keyword, size in sizes.items())
    return f"the file has {found}; pass {keywords} when you build the model"


def _differ(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> bool:
    return any(own[name].shape != tensors[name].shape for name in own.keys() & tensors.keys())
