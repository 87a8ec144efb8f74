"""Fit a line with each optimizer; plot the losses to each file named on the command line."""

import functools
import sys
from typing import TYPE_CHECKING

import torch

from shapezoo.data import TableBatch
from shapezoo.models import linear_regression
from shapezoo.train import choose_optimizer, init, mean_squared_error, train_step

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BATCH = TableBatch(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([[2.0], [4.0], [6.0]]))
RATES = {
    "adagrad": 1.0,
    "adam": 0.5,
    "adamax": 1.0,
    "asgd": 0.15,
    "lbfgs": 1.0,
    "rmsprop": 0.1,
    "rprop": 0.01,
    "sgd": 0.15,
}
ENOUGH = 1e-4


@functools.cache
def losses(name: str) -> list[float]:
    """Return the loss before each of 160 steps. Every optimizer starts from the same line."""
    torch.manual_seed(0)
    model = linear_regression()
    make_optimizer = choose_optimizer(name, lr=RATES[name])
    state = init(model, make_optimizer)
    history = []
    for _ in range(160):
        state, loss = train_step(model, make_optimizer, state, BATCH, loss=mean_squared_error)
        history.append(loss)
    return history


def draw() -> "Figure":
    """Plot the losses of all optimizers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for name in RATES:
        axes.plot(losses(name), label=name)
    axes.set(xlabel="steps", ylabel="loss", yscale="log", ylim=(1e-9, 1e3))
    axes.axhline(ENOUGH, color="grey", linestyle=":")
    axes.legend(ncols=2, frameon=False)
    axes.grid(alpha=0.3)
    return figure


def main() -> None:
    """Print a comparison; plot the curves to each file named on the command line."""
    print(f"optimizer  learning rate  steps until the loss stays below {ENOUGH}")
    for name, rate in RATES.items():
        steps = max(step for step, loss in enumerate(losses(name), 1) if loss >= ENOUGH)
        print(f"{name:9}  {rate:13}  {steps:5}")
    for path in sys.argv[1:]:
        draw().savefig(path)


if __name__ == "__main__":
    main()
