"""Fitting weights to a model with other channels or classes than they were made for.

Which weights depend on ``in_channels`` or ``num_classes`` is not declared anywhere. It is found by
building the model twice without values, the second time with one channel or class more, and
comparing shapes.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from shapezoo._modules import without_values
from shapezoo.registry import Origin, origin_of
from shapezoo.weights.strict_loading import COUNTER
from shapezoo.weights.wrappers import plain_state_dict, unwrapped

CLASSES, CHANNELS = "num_classes", "in_channels"

_SIZED_AXES = {CLASSES: 0, CHANNELS: 1}
"""The axis whose size a hyper-parameter is: outputs of the last layers, inputs of the first."""

_NOUNS = {CLASSES: ("class", "classes"), CHANNELS: ("input channel", "input channels")}

_COLOURS = 3  # red, green and blue


@runtime_checkable
class Adaptable(Protocol):
    """A model that accepts weights with other names or sizes than its own."""

    def adapted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return the weights with the names and sizes of this model."""
        ...


def fit_sizes(
    tensors: Mapping[str, Tensor], model: nn.Module, keywords: Collection[str]
) -> dict[str, Tensor]:
    """Fit weights that were made for other channels or classes to a model of the zoo.

    If the weights are for another number of classes, the model keeps its own, random ones in all
    layers that score the classes. Convolutions that read red, green and blue are adapted to the
    channels of the model. Weights that already have the sizes of the model, or that differ in more
    than these sizes, stay as they are.

    Args:
        tensors: The weights.
        model: The model.
        keywords: Which of `CLASSES` and `CHANNELS` may differ.
    """
    own, result, origin = model.state_dict(), dict(tensors), origin_of(model)
    if CLASSES in keywords:
        heads = _names_sized_by(origin, CLASSES)
        if _other_size(tensors, own, heads, CLASSES) is not None:
            result |= {name: own[name] for name in heads}
    if CHANNELS in keywords:
        inputs = _names_sized_by(origin, CHANNELS)
        can_be_summed = all(name in tensors and _is_summable(tensors[name]) for name in inputs)
        if can_be_summed and _other_size(tensors, own, inputs, CHANNELS) == _COLOURS:
            result |= {name: with_channels(tensors[name], own[name].shape[1]) for name in inputs}
    return result


def size_hint(model: nn.Module, tensors: Mapping[str, Tensor]) -> str:
    """Return which hyper-parameters to pass for weights of other sizes; empty if none would do.

    Args:
        model: A model; there are only hints for models of the zoo.
        tensors: The weights of a file.
    """
    origin, own = origin_of(unwrapped(model)), plain_state_dict(model)
    if origin is None or any(not name.endswith(COUNTER) for name in own.keys() ^ tensors.keys()):
        return ""
    if not _shapes_differ(own, tensors):  # the usual case: spare building models
        return ""
    sizes = {
        keyword: size
        for keyword in _SIZED_AXES
        if (size := _other_size(tensors, own, _names_sized_by(origin, keyword), keyword))
        is not None
    }
    try:
        with without_values():
            other = origin.rebuild(**sizes).state_dict()
    except (RuntimeError, TypeError, ValueError):  # sizes that no model has
        return ""
    if not sizes or _shapes_differ(other, tensors):
        return ""
    counts = " and ".join(f"{size} {_NOUNS[key][size != 1]}" for key, size in sizes.items())
    keywords = ", ".join(f"{keyword}={size}" for keyword, size in sizes.items())
    return f"the file has {counts}; pass {keywords} when you build the model"


def _names_sized_by(origin: Origin | None, keyword: str) -> set[str]:
    """Return the names of the weights that have a hyper-parameter as the size of one axis.

    Returns:
        The names; empty if the hyper-parameter changes other axes too. The number of classes does
        so where a recurrent layer scores the classes itself: its weights are then not a head.
    """
    if origin is None or keyword not in origin.hyperparameters:
        return set()
    value, axis = origin.hyperparameters[keyword], _SIZED_AXES[keyword]
    with without_values():
        own = origin.rebuild().state_dict()
        larger = origin.rebuild(**{keyword: value + 1}).state_dict()
    changed = {name for name in own if own[name].shape != larger[name].shape}
    has_only_this_axis = all(
        own[name].shape[axis : axis + 1] == (value,)
        and larger[name].shape == _resized(own[name].shape, axis, value + 1)
        for name in changed
    )
    return changed if has_only_this_axis else set()


def _other_size(
    tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], names: Collection[str], keyword: str
) -> int | None:
    """Return the value of a hyper-parameter that weights were made for, if not the model's.

    Args:
        tensors: The weights.
        own: Those of the model.
        names: The weights that it sizes.
        keyword: The hyper-parameter.

    Returns:
        The value; None if it is that of the model, if the weights do not agree on one, or if
        another axis differs too.
    """
    axis = _SIZED_AXES[keyword]
    if not all(name in tensors and tensors[name].dim() > axis for name in names):
        return None
    sizes = {tensors[name].shape[axis] for name in names}
    for name in names:
        shape, own_shape = tensors[name].shape, own[name].shape
        if shape != _resized(own_shape, axis, shape[axis]) or own_shape[axis] in sizes:
            return None
    return sizes.pop() if len(sizes) == 1 else None


def _resized(shape: Sequence[int], axis: int, size: int) -> tuple[int, ...]:
    """Return a shape with another size of one axis."""
    return (*shape[:axis], size, *shape[axis + 1 :])


def _shapes_differ(own: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> bool:
    return any(own[name].shape != tensors[name].shape for name in own.keys() & tensors.keys())


def _is_summable(weight: Tensor) -> bool:
    """Whether a weight has values that can be added; others do not fit the model anyway."""
    is_plain = weight.layout is torch.strided and not weight.is_quantized
    return is_plain and weight.dtype.is_floating_point and weight.dtype.itemsize > 1


def with_channels(weight: Tensor, channels: int) -> Tensor:
    """Return the weight of a convolution that reads other channels instead of red, green and blue.

    One or two channels share the sum of the three evenly. With more, the first has the weight for
    red, the next for green, then blue, then red again; those of one colour share its weight evenly.
    So an image that is the same in all channels has the same effect as before.

    Args:
        weight: The weight, with the channels that it reads along its second axis.
        channels: Their new number.
    """
    colours = weight.shape[1]
    if channels < colours:
        return weight.sum(1, keepdim=True).expand(-1, channels, *weight.shape[2:]) / channels
    colour = torch.arange(channels) % colours
    shares = colour.bincount()[colour].view(-1, *(1,) * (weight.dim() - 2))
    return weight[:, colour] / shares
