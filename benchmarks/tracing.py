"""Measure the cost of a trace relative to one ordinary call of the model.

Run `python benchmarks/tracing.py`.
"""

import copy
from collections.abc import Callable

import torch
import torchvision
from jaxtyping import Float
from timing import table, times
from torch import Tensor, nn

from shapezoo import Module, create_model, trace


class Images(Module):
    """A torchvision network with a contract."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, images: Float[Tensor, "batch channels=3 height width"]
    ) -> Float[Tensor, "batch classes=1000"]:
        """Return the logits of each image."""
        logits: Tensor = self.net(images)
        return logits


def cases(model: nn.Module, inputs: Tensor) -> dict[str, Callable[[], object]]:
    """Return an ordinary call and every kind of trace."""
    on_meta = copy.deepcopy(model).to("meta")
    traced = trace(model)

    def call() -> object:
        with torch.no_grad():
            return model(inputs)

    return {
        "a call": call,
        "again": call,
        "trace, with inputs": lambda: trace(model, inputs),
        "trace, on meta": lambda: trace(on_meta, inputs.to("meta")),
        "trace, symbolic": lambda: trace(model),
        "its text": lambda: traced.to_text(width=100),
        "its diagram": traced.to_svg,
    }


def measure(model: nn.Module, inputs: Tensor, rounds: int) -> None:
    """Print the table for a model."""
    title = f"{type(model).__name__}, {'x'.join(map(str, inputs.shape))}"
    table(title, times(cases(model.eval(), inputs), rounds=rounds, warm_up=1), "ms")


def main() -> None:
    """Print all tables."""
    measure(create_model("lenet"), torch.zeros(8, 1, 28, 28), 9)
    measure(Images(torchvision.models.resnet18()), torch.zeros(1, 3, 224, 224), 9)
    measure(create_model("gru"), torch.zeros(16, 8, 4), 9)


if __name__ == "__main__":
    main()
