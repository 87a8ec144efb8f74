"""Fitting published weights to a model with other channels or labels."""

from collections.abc import Collection, Mapping
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
    inputs: Collection[str],
    heads: Collection[str],
) -> dict[str, Tensor]:
    """Published weights as a model needs them.

    Args:
        tensors: The weights.
        model: The model.
        inputs: The keys of what reads the channels of images, where their number is another.
        heads: The keys of what scores the classes, where their number is another. The model's
            own weights stay there.
    """
    own = model.state_dict()
    counters = {key: own[key] for key in own if key.endswith(".num_batches_tracked")}
    result = {**counters, **tensors}  # which old files have not
    result |= {key: own[key] for key in heads if key in result}
    for key in inputs:
        if key in result:
            result[key] = with_channels(result[key], own[key].shape[1])
    return result


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
