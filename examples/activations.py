"""Print a table of the activations; plot them to each file named on the command line."""

import sys
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from shapezoo.layers import ACTIVATIONS, Activation

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def derivative(activation: Activation, x: Tensor) -> Tensor:
    """Return the derivative at each element, by automatic differentiation."""
    gradient: Tensor = torch.func.grad(lambda x: activation(x).sum())(x)
    return gradient


def draw() -> "Figure":
    """Plot each activation and its derivative in a panel."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    x = torch.linspace(-3, 3, 600)  # an even number of points: none lies on a step
    panels = figure.subplots(2, 4, sharex=True, sharey=True).flat
    for panel, activation in zip(panels, ACTIVATIONS.values(), strict=True):
        panel.plot(x, with_gaps(activation(x)), linewidth=2, label="value")
        panel.plot(x, with_gaps(derivative(activation, x)), "--", label="derivative")
        panel.set(title=activation.name.replace("_", " "), ylim=(-1.25, 3.1), xticks=(-2, 0, 2))
        panel.grid(alpha=0.3)
    curves = panel.get_legend_handles_labels()
    figure.legend(*curves, loc="outside lower center", ncols=2, frameon=False)
    return figure


def with_gaps(y: Tensor) -> Tensor:
    """Set a value to NaN before each jump, so that the curve has a gap instead of a steep line."""
    steps = y.diff(append=y[-1:]).abs() > 0.4
    return y.masked_fill(steps, torch.nan)


def main() -> None:
    """Print the table; plot the curves to each file named on the command line."""
    x = torch.tensor([-2.0, -0.5, 0.0, 0.5, 2.0])
    print(f"{'x':16}", *(f"{number:6.2f}" for number in x.tolist()), "  values in")
    for activation in ACTIVATIONS.values():
        values = (f"{number:6.2f}" for number in activation(x).tolist())
        print(f"{activation.name:16}", *values, f"  {activation.interval}")
    for path in sys.argv[1:]:
        draw().savefig(path)


if __name__ == "__main__":
    main()
