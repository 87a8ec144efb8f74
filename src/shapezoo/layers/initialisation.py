"""Initialisation of weights."""

from torch import nn


def init_truncated_normal(module: nn.Module, *, std: float) -> None:
    """Initialise the weights of all convolutions and linear layers from a truncated normal.

    The mean is 0, and the distribution is truncated at two standard deviations, as in the code of
    the Inception authors; the papers do not specify it. (torchvision truncates at a value of 2
    instead, which no weight comes near.) Biases are left unchanged, as in torchvision.

    Args:
        module: A module with these layers, or one of them.
        std: The standard deviation before truncation.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
