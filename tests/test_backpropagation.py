"""The smallest training there is: by hand, by autograd, on paper and by differences."""

import functools
import runpy
from pathlib import Path

import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

EXAMPLE = runpy.run_path(
    str(Path(__file__).parents[1] / "examples/backpropagation.py"), run_name="example"
)
NUMBERS = st.floats(-10, 10)


def difference(w: Tensor, x: float, y: float) -> Tensor:
    """The central difference of the loss; exact for a parabola, but for rounding."""
    loss = functools.partial(EXAMPLE["loss"], x=x, y=y)
    slope: Tensor = (loss(w + 1e-3) - loss(w - 1e-3)) / 2e-3
    return slope


@given(w=NUMBERS, x=NUMBERS, y=NUMBERS)
def test_autograd_paper_and_differences_agree(w: float, x: float, y: float) -> None:
    weight = torch.tensor(w, dtype=torch.float64, requires_grad=True)
    (found,) = torch.autograd.grad(EXAMPLE["loss"](weight, x, y), weight)
    at = weight.detach()
    torch.testing.assert_close(found, EXAMPLE["gradient"](at, x, y))
    torch.testing.assert_close(found, difference(at, x, y), atol=1e-8, rtol=1e-8)


@given(w=NUMBERS, x=NUMBERS, y=NUMBERS)
def test_differences_find_a_forgotten_factor(w: float, x: float, y: float) -> None:
    weight = torch.tensor(w, dtype=torch.float64)
    right = EXAMPLE["gradient"](weight, x, y)
    assume(abs(right) > 1e-6)
    assert not torch.allclose(right / 2, difference(weight, x, y), atol=1e-8, rtol=1e-8)
