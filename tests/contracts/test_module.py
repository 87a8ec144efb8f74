import copy
import pickle

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import ContractError, Module, ShapeError
from shapezoo.contracts import is_checked


class Head(Module):
    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.linear = nn.Linear(8, num_classes)

    def forward(
        self, x: Float[Tensor, "batch 8"]
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        logits: Tensor = self.linear(x)
        return logits


class Flat(Head):
    def forward(self, x: Float[Tensor, "8"]) -> Float[Tensor, "classes={self.num_classes}"]:
        return super().forward(x[None])[0]


class Base(Module):
    """Has no forward of its own."""


def test_a_forward_is_checked() -> None:
    with pytest.raises(ShapeError):
        Head(3)(torch.zeros(2, 9))


def test_an_overriding_forward_has_its_own_contract() -> None:
    assert Flat(3)(torch.zeros(8)).shape == (3,)
    with pytest.raises(ShapeError, match=r"Flat\.forward"):
        Flat(3)(torch.zeros(2, 8))


def test_a_base_without_forward_is_left_alone() -> None:
    assert not is_checked(Base.forward)


@pytest.mark.parametrize(
    "duplicate", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))]
)
def test_copies_are_equal_and_checked(duplicate: object) -> None:
    model = Head(3)
    twin = duplicate(model)  # type: ignore[operator]  # one of the two above
    x = torch.randn(2, 8)
    assert torch.equal(twin(x), model(x))
    with pytest.raises(ShapeError):
        twin(torch.zeros(2, 9))


def test_checking_adds_nothing_to_the_state() -> None:
    assert list(Head(3).state_dict()) == ["linear.weight", "linear.bias"]


def test_hooks_run_and_gradients_flow() -> None:
    model = Head(3)
    shapes = []
    model.register_forward_hook(lambda module, args, out: shapes.append(out.shape))
    torch.autograd.backward(model(torch.zeros(2, 8)).sum())
    assert shapes == [(2, 3)]
    assert model.linear.weight.grad is not None


class Mixin:
    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return x


class Mixed(Mixin, Module):
    """Inherits its forward from a class that is not a module."""


def test_an_inherited_forward_is_checked_too() -> None:
    assert Mixed()(torch.zeros(2, 3)).shape == (2, 3)
    with pytest.raises(ShapeError):
        Mixed()(torch.zeros(2, 4))
    assert not is_checked(Mixin.forward)


def test_a_forward_that_could_not_be_checked_is_refused() -> None:
    with pytest.raises(ContractError, match="checked takes a plain function"):

        class Static(Module):
            @staticmethod
            def forward(x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
                return x


def test_a_broken_contract_of_a_base_is_told_by_the_name_of_the_base() -> None:
    class Wide(Head):
        def forward(
            self, x: Float[Tensor, "batch 9"]
        ) -> Float[Tensor, "batch classes={self.num_classes}"]:
            return super().forward(x)

    with pytest.raises(ShapeError, match=r"test_module\.Head\.forward: argument 'x'"):
        Wide(3)(torch.zeros(2, 9))
