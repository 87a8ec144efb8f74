"""Activation functions with their formulas, derivatives and bounds.

The eight functions are those of Raschka's table of activation functions, which is used in courses.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from shapezoo.contracts import Module, checked


@dataclass(frozen=True)
class Activation:
    """An elementwise function.

    Call it with a tensor, or use it as a layer of a model with `ActivationLayer`.

    Attributes:
        name: Its key in `ACTIVATIONS`.
        formula: Its value at ``x``, as a Python expression.
        derivative: Its derivative at ``x``, as a Python expression; at steps and kinks, the value
            that automatic differentiation returns.
        lower: The lower bound of its values, which may be infinite.
        upper: The upper bound of its values, which may be infinite.
        attained: Whether the finite bounds are attained. Rounding can attain the others too.
        function: Computes the value.
    """

    name: str
    formula: str
    derivative: str
    lower: float
    upper: float
    attained: bool
    function: Callable[[Tensor], Tensor]

    @property
    def interval(self) -> str:
        """The interval of its values, with square brackets at bounds that are attained."""
        closed = [self.attained and math.isfinite(bound) for bound in (self.lower, self.upper)]
        bounds = f"{self.lower:g}, {self.upper:g}".replace("inf", "∞")
        return f"{'[' if closed[0] else '('}{bounds}{']' if closed[1] else ')'}"

    @checked
    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return the value for each element."""
        return self.function(x)


class ActivationLayer(Module):
    """An activation function as a layer of a model.

    Args:
        activation: The activation function.
    """

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """Return the value for each element."""
        return self.activation.function(x)

    def extra_repr(self) -> str:
        """Return the name, for ``print(model)``."""
        return self.activation.name


def _unit_step(x: Tensor) -> Tensor:
    # torch.heaviside cannot be differentiated; torch.sign has a derivative of 0
    return (torch.sign(x) + 1) / 2


def _linear(x: Tensor) -> Tensor:
    return x


def _piecewise_linear(x: Tensor) -> Tensor:
    return functional.hardtanh(x + 0.5, 0, 1)


# name, formula, derivative, lower bound, upper bound, whether finite bounds are attained, function
_ALL = (
    Activation("unit_step", "0 if x < 0 else 1/2 if x == 0 else 1", "0", 0, 1, True, _unit_step),
    Activation("sign", "-1 if x < 0 else 0 if x == 0 else 1", "0", -1, 1, True, torch.sign),
    Activation("linear", "x", "1", -math.inf, math.inf, False, _linear),
    Activation(
        "piecewise_linear",
        "min(max(x + 1/2, 0), 1)",
        "1 if -1/2 < x < 1/2 else 0",
        0,
        1,
        True,
        _piecewise_linear,
    ),
    Activation(
        "logistic", "1 / (1 + exp(-x))", "exp(-x) / (1 + exp(-x))**2", 0, 1, False, torch.sigmoid
    ),
    Activation(
        "tanh",
        "(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
        "1 - tanh(x)**2",
        -1,
        1,
        False,
        torch.tanh,
    ),
    Activation("relu", "max(0, x)", "1 if x > 0 else 0", 0, math.inf, True, torch.relu),
    Activation(
        "softplus", "log(1 + exp(x))", "1 / (1 + exp(-x))", 0, math.inf, False, functional.softplus
    ),
)
ACTIVATIONS: Mapping[str, Activation] = MappingProxyType(
    {activation.name: activation for activation in _ALL}
)
"""The activation functions by name. Above 20, PyTorch's softplus returns ``x``, which is up to 2e-9
less than the formula."""
