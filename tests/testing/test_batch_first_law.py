"""Two modules differ in the order of axes alone: those that differ in more are found."""

from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import ContractError, Module
from shapezoo.models import lstm
from shapezoo.testing import assert_batch_first_equivalent


class SeqFirst(Module):
    def __init__(self, hidden_size: int = 2) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.rnn = nn.GRU(3, hidden_size)

    def forward(
        self,
        inputs: Float[Tensor, "seq batch 3"],
        state: Float[Tensor, "1 batch {self.hidden_size}"],
    ) -> tuple[
        Float[Tensor, "seq batch {self.hidden_size}"], Float[Tensor, "1 batch {self.hidden_size}"]
    ]:
        outputs, last = self.rnn(inputs, state)
        return outputs, last


class BatchFirst(SeqFirst):
    """As `SeqFirst`, or with one mistake."""

    def __init__(self, hidden_size: int = 2, mistake: str = "") -> None:
        super().__init__(hidden_size)
        self.mistake = mistake

    def forward(
        self,
        inputs: Float[Tensor, "batch seq 3"],
        state: Float[Tensor, "batch 1 {self.hidden_size}"],
    ) -> tuple[
        Float[Tensor, "batch seq {self.hidden_size}"], Float[Tensor, "batch 1 {self.hidden_size}"]
    ]:
        batch, seq, _ = inputs.shape
        first = inputs.transpose(0, 1)
        if self.mistake == "inputs":
            first = inputs.reshape(seq, batch, 3)
        before = state.transpose(0, 1)
        if self.mistake == "state":
            before = torch.zeros_like(before)
        outputs, last = self.rnn(first, before.contiguous())
        if self.mistake == "outputs":
            outputs = outputs.flip(0)
        if self.mistake == "last":
            last = last + 1
        return outputs.transpose(0, 1), last.transpose(0, 1)


class Renamed(Module):
    def forward(self, tokens: Float[Tensor, "batch seq 3"]) -> Float[Tensor, "batch seq 2"]:
        return tokens[..., :2]


class Wider(Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 2)

    def forward(
        self,
        inputs: Float[Tensor, "batch seq 4"],
        state: Float[Tensor, "1 batch 2"],
    ) -> Float[Tensor, "batch"]:
        return inputs[:, 0, 0]


def test_modules_that_differ_in_the_order_of_axes_pass() -> None:
    assert_batch_first_equivalent(SeqFirst(), BatchFirst())
    assert_batch_first_equivalent(BatchFirst(3), SeqFirst(3))
    assert_batch_first_equivalent(lstm(num_layers=2), lstm(num_layers=2, batch_first=True))
    pair: list[Any] = [torch.compile(m, backend="eager") for m in (SeqFirst(), BatchFirst())]
    assert_batch_first_equivalent(*pair, max_examples=2)


@pytest.mark.parametrize("mistake", ["inputs", "state", "outputs", "last"])
def test_modules_that_differ_in_more_are_found(mistake: str) -> None:
    expected = r"SeqFirst\(inputs=Tensor float64 .*\): the two modules give different results"
    with pytest.raises(AssertionError, match=expected):
        assert_batch_first_equivalent(SeqFirst(), BatchFirst(mistake=mistake))


def test_the_weights_must_fit() -> None:
    with pytest.raises(
        AssertionError, match=r"does not take the weights of the first\n(.|\n)*size mismatch"
    ):
        assert_batch_first_equivalent(SeqFirst(2), BatchFirst(3))


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (SeqFirst(), "SeqFirst.forward: both modules have the same order of axes"),
        (Wider(), "inputs has axes seq batch 3 in one module, batch seq 4 in the other"),
    ],
    ids=["same", "wider"],
)
def test_contracts_must_differ_in_the_order_alone(other: nn.Module, error: str) -> None:
    with pytest.raises(ContractError, match=error):
        assert_batch_first_equivalent(SeqFirst(), other)


def test_arguments_have_the_same_names() -> None:
    class Plain(Module):
        def forward(self, inputs: Float[Tensor, "seq batch 3"]) -> Float[Tensor, "seq batch 2"]:
            return inputs[..., :2]

    with pytest.raises(ContractError, match="other arguments or results"):
        assert_batch_first_equivalent(Plain(), Renamed())


def test_neither_module_is_changed() -> None:
    first, second = SeqFirst(), BatchFirst()
    before = [p.clone() for p in second.parameters()]
    assert_batch_first_equivalent(first, second)
    assert first.training
    assert second.training
    assert all(torch.equal(*pair) for pair in zip(before, second.parameters(), strict=True))


class AnyRank(Module):
    def forward(self, x: Float[Tensor, "seq *batch"]) -> Float[Tensor, "seq *batch"]:
        return x


class AnyRankFirst(Module):
    def forward(self, x: Float[Tensor, "*batch seq"]) -> Float[Tensor, "*batch seq"]:
        return x


def test_orders_of_any_number_of_axes_are_refused() -> None:
    with pytest.raises(ContractError, match="in one module"):
        assert_batch_first_equivalent(AnyRank(), AnyRankFirst())


class Scaling(Module):
    """Has a parameter of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Float[Tensor, "seq batch"]) -> Float[Tensor, "seq batch"]:
        return x * self.scale


class ScalingFirst(Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        return x * self.scale


def test_both_modules_have_the_same_weights_when_constants_are_varied() -> None:
    assert_batch_first_equivalent(Scaling(), ScalingFirst())
