"""Modules that are tried by several laws."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import Module

Body = Callable[["Weighted", Tensor], Tensor]


class Weighted(Module):
    """A module of one weight whose body is chosen."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return self.body(self, x)


def both(model: Weighted, x: Tensor) -> Tensor:
    result: Tensor = model.norm(x) * model.weight
    return result


def without_norm(model: Weighted, x: Tensor) -> Tensor:
    return x * model.weight


def in_train_mode(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x) if model.training else without_norm(model, x)


def root(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x).abs().sqrt()


class Holding(Module):
    """Holds a result of its own, which cannot simply be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.last: Tensor = self.linear(torch.zeros(1, 3))

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        result: Tensor = self.linear(x)
        return result
