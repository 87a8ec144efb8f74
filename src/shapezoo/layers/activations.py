"""Activation functions: what bends the straight lines between the layers of a network.

The eight are those of Raschka's table of activation functions, which courses show.
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
    """A function that is applied to every number of a tensor.

    Call it with a tensor, or put it between the layers of a model as an `ActivationLayer`.

    Attributes:
        name: Its key in `ACTIVATIONS`.
        formula: Its value at ``x``, in Python's notation.
        derivative: Its derivative at ``x``, in Python's notation; where there is none, at a step
            or a kink, what automatic differentiation gives instead.
        lower: The lower bound of its values, which may be infinite.
        upper: The upper bound of its values, which may be infinite.
        attained: Whether the finite bounds are values themselves. Rounding can reach the others.
        function: Computes it.
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
        """What its values lie in; a square bracket stands at a bound that is attained."""
        closed = [self.attained and math.isfinite(bound) for bound in (self.lower, self.upper)]
        bounds = f"{self.lower:g}, {self.upper:g}".replace("inf", "∞")
        return f"{'[' if closed[0] else '('}{bounds}{']' if closed[1] else ')'}"

    @checked
    def __call__(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The value for each number."""
        return self.function(x)


class ActivationLayer(Module):
    """An activation as a layer of a model.

    Args:
        activation: What to apply.
    """

    def __init__(self, activation: Activation) -> None:
        super().__init__()
        self.activation = activation

    def forward(self, x: Float[Tensor, "*batch"]) -> Float[Tensor, "*batch"]:
        """The value for each number."""
        return self.activation.function(x)

    def extra_repr(self) -> str:
        """The name, for ``print(model)``."""
        return self.activation.name


def _unit_step(x: Tensor) -> Tensor:
    # torch.heaviside refuses to be differentiated; torch.sign has a derivative of 0
    return (torch.sign(x) + 1) / 2


def _linear(x: Tensor) -> Tensor:
    return x


def _piecewise_linear(x: Tensor) -> Tensor:
    return functional.hardtanh(x + 0.5, 0, 1)


_EIGHT = (
    Activation(
        "unit_step",
        formula="0 if x < 0 else 1/2 if x == 0 else 1",
        derivative="0",
        lower=0,
        upper=1,
        attained=True,
        function=_unit_step,
    ),
    Activation(
        "sign",
        formula="-1 if x < 0 else 0 if x == 0 else 1",
        derivative="0",
        lower=-1,
        upper=1,
        attained=True,
        function=torch.sign,
    ),
    Activation(
        "linear",
        formula="x",
        derivative="1",
        lower=-math.inf,
        upper=math.inf,
        attained=False,
        function=_linear,
    ),
    Activation(
        "piecewise_linear",
        formula="min(max(x + 1/2, 0), 1)",
        derivative="1 if -1/2 < x < 1/2 else 0",
        lower=0,
        upper=1,
        attained=True,
        function=_piecewise_linear,
    ),
    Activation(
        "logistic",
        formula="1 / (1 + exp(-x))",
        derivative="exp(-x) / (1 + exp(-x))**2",
        lower=0,
        upper=1,
        attained=False,
        function=torch.sigmoid,
    ),
    Activation(
        "tanh",
        formula="(exp(x) - exp(-x)) / (exp(x) + exp(-x))",
        derivative="1 - tanh(x)**2",
        lower=-1,
        upper=1,
        attained=False,
        function=torch.tanh,
    ),
    Activation(
        "relu",
        formula="max(0, x)",
        derivative="1 if x > 0 else 0",
        lower=0,
        upper=math.inf,
        attained=True,
        function=torch.relu,
    ),
    Activation(
        "softplus",
        formula="log(1 + exp(x))",
        derivative="1 / (1 + exp(-x))",
        lower=0,
        upper=math.inf,
        attained=False,
        function=functional.softplus,
    ),
)
ACTIVATIONS: Mapping[str, Activation] = MappingProxyType({each.name: each for each in _EIGHT})
"""The activations by name. Past 20, PyTorch's softplus returns x itself: up to 2e-9 too little."""
