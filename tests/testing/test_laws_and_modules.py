"""A law leaves a module as it was, and says which ones it cannot try."""

import threading
from collections.abc import Callable

import pytest
import torch
from jaxtyping import Float
from tests.testing.weighted import Holding, Weighted, both
from torch import Tensor, nn

from shapezoo import Module
from shapezoo.testing import assert_batch_independent, assert_gradients


@pytest.mark.parametrize(
    "law", [assert_gradients, assert_batch_independent], ids=lambda law: law.__name__
)
def test_modules_and_generators_are_left_as_they_were(law: Callable[[nn.Module], None]) -> None:
    module = Weighted(both)
    module.norm.eval()
    module.weight.grad = torch.ones(3)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    state = torch.random.get_rng_state()
    law(module)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert module.training
    assert not module.norm.training
    assert module.weight.grad.tolist() == [1, 1, 1]
    assert module.weight.dtype == torch.float32
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


class Locked(Module):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return x


def test_a_module_that_holds_results_is_left_as_it_was() -> None:
    model = Holding()
    assert_batch_independent(model)
    assert_gradients(model)
    assert (model.training, model.linear.weight.dtype) == (True, torch.float32)
    assert model.linear.weight.grad is None


def test_a_module_that_cannot_be_copied_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Locked cannot be copied: cannot pickle '_thread\.lock'"):
        assert_batch_independent(Locked())
    with pytest.raises(TypeError, match="this assertion takes a module, got <class"):
        assert_gradients(Holding)  # type: ignore[arg-type]  # the fault under test
