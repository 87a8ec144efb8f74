"""Fitting weights to a model with other channels or labels."""

from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from shapezoo.weights.resizing import CHANNELS, CLASSES, SIZED_AXES, other_size

_COLOURS = 3  # red, green and blue


@runtime_checkable
class Adaptable(Protocol):
    """A model that takes weights of other names or sizes than its own."""

    def adapted(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The weights with the names and sizes of this model."""
        ...


def fitted(
    tensors: Mapping[str, Tensor],
    model: nn.Module,
    *,
    inputs: Collection[str],
    heads: Collection[str],
) -> dict[str, Tensor]:
    """Fit weights that were made for other channels or labels to a model.

    Weights that already have the sizes of the model, or that differ in more than these sizes, stay
    as they are.

    Args:
        tensors: The weights.
        model: The model.
        inputs: The names of the convolutions that read red, green and blue; they are adapted to the
            channels of the model.
        heads: The names of the layers that score the classes. If the weights are for another
            number of classes, the model keeps its own, random ones in all of them.
    """
    own = model.state_dict()
    result = dict(tensors)
    if other_size(tensors, own, heads, SIZED_AXES[CLASSES]) is not None:
        result |= {name: own[name] for name in heads}
    can_be_summed = all(name in tensors and _is_summable(tensors[name]) for name in inputs)
    if can_be_summed and other_size(tensors, own, inputs, SIZED_AXES[CHANNELS]) == _COLOURS:
        result |= {name: with_channels(tensors[name], own[name].shape[1]) for name in inputs}
    return result


def _is_summable(weight: Tensor) -> bool:
    """Whether a weight has numbers that can be added up; others do not fit the model anyway."""
    is_plain = weight.layout is torch.strided and not weight.is_quantized
    return is_plain and weight.dtype.is_floating_point and weight.dtype.itemsize > 1


def with_channels(weight: Tensor, channels: int) -> Tensor:
    """The weight of a convolution that reads this many channels instead of red, green and blue.

    One or two channels share the sum of the three evenly. Of more, the first has the weight for
    red, the next for green, then blue, then red again; those of one colour share its weight evenly.
    So what is the same in all channels has the same effect as before.

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
