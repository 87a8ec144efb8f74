"""How weights begin."""

from torch import nn


def init_truncated_normal(module: nn.Module, *, std: float) -> None:
    """Draw the weights of all convolutions and linear layers anew, from a truncated normal.

    The mean is 0, and no weight is beyond two standard deviations, as in the code of the authors of
    the Inception networks, whose papers do not tell. (torchvision cuts at 2 instead, which no
    weight comes near.) Biases stay as they are, as in torchvision.

    Args:
        module: The module with these layers, or one of them.
        std: The standard deviation before it is truncated.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.trunc_normal_(layer.weight, std=std, a=-2 * std, b=2 * std)
