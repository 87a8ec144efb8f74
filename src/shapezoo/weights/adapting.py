"""Fitting published weights to a model with other channels or labels."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn


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
    inputs: Mapping[str, torch.Size],
    heads: Mapping[str, torch.Size],
) -> dict[str, Tensor]:
    """Fit weights that were made for other channels or labels to a model.

    What already has the sizes of the model stays as it is.

    Args:
        tensors: The weights.
        model: The model.
        inputs: The convolutions that read the channels of images, if the model has another number
            of channels than by default: their names, with the shapes that they have by default.
        heads: The same for the layers that score the classes. The model keeps its own, random
            weights in them.
    """
    own = model.state_dict()
    result = dict(tensors)
    if _have(tensors, heads):
        result |= {name: own[name] for name in heads}
    if _have(tensors, inputs):
        result |= {name: with_channels(tensors[name], own[name].shape[1]) for name in inputs}
    return result


def _have(tensors: Mapping[str, Tensor], shapes: Mapping[str, torch.Size]) -> bool:
    """Whether all tensors of these names are there in these shapes."""
    return all(name in tensors and tensors[name].shape == shapes[name] for name in shapes)


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
