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


def init_convolutions(module: nn.Module) -> None:
    """Initialise all convolutions so that gradients keep their variance; biases are zero.

    He, Zhang, Ren, Sun, "Delving deep into rectifiers", 2015, arXiv:1502.01852, Equation 14. As in
    torchvision, the fan-out of a convolution of several groups is that of all groups together, so
    the weights of a depthwise one are smaller than the paper's.

    Args:
        module: A module with convolutions, or one of them.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
