"""Modules that fail inside a checked call, and how tests read the note on the error."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo import Module, checked

z = torch.zeros


class Net(Module):
    """Takes what its layer takes, and more arguments that are not in the contract."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(
        self,
        x: Float[Tensor, "batch *rest"] | Int64[Tensor, "batch *rest"],
        *others: Any,
    ) -> Any:
        return self.layer(x, *others)


def failure(function: Callable[..., object], *arguments: Any) -> Exception:
    try:
        function(*arguments)
    except Exception as error:
        return error
    raise AssertionError("no error")


def note(function: Callable[..., object], *arguments: Any) -> list[str]:
    """The lines of the only note; none where there is no note."""
    notes = getattr(failure(function, *arguments), "__notes__", [])
    assert len(notes) <= 1
    return notes[0].splitlines() if notes else []


def hints(lines: list[str]) -> list[str]:
    return [line[12:] for line in lines if line[2:12].strip() in ("hint", "or")]


@checked
def combine(
    x: Float[Tensor, "batch channels height width"],
    y: Float[Tensor, "batch channels height2 width2"],
    how: Callable[..., Tensor],
) -> Any:
    return how(x, y)


def notes_of(call: Any, *args: Any) -> str:
    with pytest.raises((RuntimeError, IndexError)) as error:
        call(*args)
    return "\n".join(getattr(error.value, "__notes__", []))
