"""Recurrent layers and their states are proved for every batch and length, or refuted."""

from typing import Any

import pytest
from jaxtyping import Float
from tests.proving.recurrent import (
    FEATURES,
    HIDDEN,
    PROJECTED,
    Recurrent,
    assert_proved,
    assert_refuted,
    build,
    directions,
    kinds,
    layers,
)
from torch import Tensor, nn

from shapezoo import Module, Proved, Refuted, ShapeError, prove

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]


class SeqFirst(Recurrent):
    def forward(
        self, x: Float[Tensor, "seq batch features=3"]
    ) -> tuple[
        Float[Tensor, "seq batch hidden={self.width}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
    ]:
        outputs, state = self.rnn(x)
        return outputs, state[0] if isinstance(state, tuple) else state


class BatchFirst(Recurrent):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> tuple[
        Float[Tensor, "batch seq hidden={self.width}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
    ]:
        outputs, state = self.rnn(x)
        return outputs, state[0] if isinstance(state, tuple) else state


class StateBatchFirst(Recurrent):
    """Believes that batch_first is about the state as well."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> Float[Tensor, "batch layers={self.layers} hidden={self.hidden}"]:
        state: Tensor = self.rnn(x)[1]
        return state


class WithState(Recurrent):
    def forward(
        self,
        x: Float[Tensor, "seq batch features=3"],
        state: Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"] | None = None,
    ) -> tuple[
        Float[Tensor, "seq batch hidden={self.width}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
    ]:
        outputs, after = self.rnn(x, state)
        return outputs, after


class WithCell(Recurrent):
    """An LSTM, whose state is a pair."""

    def forward(
        self,
        x: Float[Tensor, "seq batch features=3"],
        state: Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
        cell: Float[Tensor, "layers={self.layers} batch hidden={self.cell}"],
    ) -> tuple[
        Float[Tensor, "seq batch hidden={self.width}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.cell}"],
    ]:
        outputs, (state, cell) = self.rnn(x, (state, cell))
        return outputs, state, cell


class StartsAtZero(Recurrent):
    """Makes its own state."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        state = x.new_zeros(self.layers, x.shape[0], self.hidden)
        outputs: Tensor = self.rnn(x, state)[0]
        return outputs


@kinds
@layers
@directions
def test_a_layer_is_proved(kind: str, num_layers: int, bidirectional: bool) -> None:
    assert_proved(SeqFirst(build(kind, num_layers, bidirectional)))
    assert_proved(BatchFirst(build(kind, num_layers, bidirectional, batch_first=True)))


def test_nothing_is_asked_of_the_sizes() -> None:
    proof = assert_proved(SeqFirst(build("gru")))
    assert [region.guards for region in proof.regions] == [()]
    assert proof.axes == ("seq", "batch")
    assert proof.cases[0].sizes_zero == {"seq": "raises", "batch": "holds"}


def test_a_layer_in_training_is_proved() -> None:
    proof = prove(SeqFirst(build("lstm", 2, dropout=0.5)).train())
    assert isinstance(proof, Proved)
    assert proof.mode == "train"


@pytest.mark.parametrize(
    ("how", "claims"),
    [
        ({"kind": "tanh", "bidirectional": True}, {"width": HIDDEN}),
        ({"kind": "relu", "bidirectional": True}, {"layers": 1}),
        ({"kind": "gru", "num_layers": 2}, {"layers": 1}),
        ({"kind": "gru", "num_layers": 2, "bidirectional": True}, {"layers": 2}),
        ({"kind": "gru", "bidirectional": True}, {"hidden": 2 * HIDDEN}),
        ({"kind": "lstm", "num_layers": 2, "bidirectional": True}, {"width": HIDDEN}),
        ({"kind": "projected"}, {"width": HIDDEN}),
        ({"kind": "projected"}, {"hidden": HIDDEN}),
        ({"kind": "projected", "bidirectional": True}, {"width": 2 * HIDDEN}),
    ],
)
def test_a_wrong_width_is_refuted(how: dict[str, Any], claims: dict[str, int]) -> None:
    assert_refuted(SeqFirst(build(**how), **claims), seq=1, batch=1)


def test_a_wrong_width_with_the_batch_first_is_refuted() -> None:
    rnn = build("gru", bidirectional=True, batch_first=True)
    assert_refuted(BatchFirst(rnn, width=HIDDEN), batch=1, seq=1)


@pytest.mark.parametrize("cls", [SeqFirst, BatchFirst])
@pytest.mark.parametrize("kind", ["tanh", "lstm"])
def test_axes_in_the_wrong_order_are_refuted(cls: type[Recurrent], kind: str) -> None:
    """At sizes that tell them apart only: h_n has as many rows as the layer takes for the batch."""
    model = cls(build(kind, batch_first=cls is SeqFirst)).eval()
    proof = prove(model)
    assert isinstance(proof, Refuted)
    assert sorted(proof.counterexample.sizes.values()) == [1, 2]
    with pytest.raises(ShapeError, match=r"result\[1\]"):
        proof.counterexample.replay(model=model)


@pytest.mark.parametrize(("num_layers", "batch"), [(1, 2), (2, 1)])
def test_a_state_with_its_batch_first_is_refuted(num_layers: int, batch: int) -> None:
    assert_refuted(StateBatchFirst(build("gru", num_layers, batch_first=True)), batch=batch, seq=1)


@pytest.mark.parametrize("kind", ["tanh", "relu", "gru"])
@directions
def test_a_state_may_be_given(kind: str, bidirectional: bool) -> None:
    proof = assert_proved(WithState(build(kind, 2, bidirectional)))
    assert [case.label for case in proof.cases] == ["state=None", "state given"]


@pytest.mark.parametrize("kind", ["lstm", "projected"])
@layers
@directions
def test_the_two_states_of_an_lstm(kind: str, num_layers: int, bidirectional: bool) -> None:
    assert_proved(WithCell(build(kind, num_layers, bidirectional)))


def raises_always(model: nn.Module) -> str:
    proof = prove(model.eval())
    assert isinstance(proof, Refuted), str(proof)
    assert proof.reason == "it raises for all sizes"
    with pytest.raises(RuntimeError) as error:
        proof.counterexample.replay(model=model)
    return str(error.value)


@pytest.mark.parametrize(
    ("kind", "claims", "message"),
    [
        ("lstm", {"layers": 1}, "Expected hidden[0] size (2, 1, 4), got [1, 1, 4]"),
        ("lstm", {"hidden": 5}, "Expected hidden[0] size (2, 1, 4), got [2, 1, 5]"),
        ("lstm", {"cell": 5}, "Expected hidden[1] size (2, 1, 4), got [2, 1, 5]"),
        ("projected", {"hidden": HIDDEN}, "Expected hidden[0] size (2, 1, 2), got [2, 1, 4]"),
        ("projected", {"cell": PROJECTED}, "Expected hidden[1] size (2, 1, 4), got [2, 1, 2]"),
    ],
)
def test_states_that_the_layer_refuses(kind: str, claims: dict[str, int], message: str) -> None:
    assert raises_always(WithCell(build(kind, bidirectional=True), **claims)) == message


def test_a_state_of_the_layer_itself() -> None:
    assert_proved(StartsAtZero(build("gru", 2, bidirectional=True, batch_first=True)))
    assert raises_always(StartsAtZero(build("gru", 2, batch_first=True), layers=1))


def test_a_state_whose_batch_is_the_length() -> None:
    """The state is made for the batch of a layer that takes the batch to be the second axis."""
    proof = prove(StartsAtZero(build("gru")).eval())
    assert isinstance(proof, Proved)
    assert [str(condition) for condition in proof.preconditions] == ["batch == seq"]
    assert proof.is_exact


class Unbatched(Recurrent):
    def forward(
        self, x: Float[Tensor, "seq features=3"]
    ) -> tuple[
        Float[Tensor, "seq hidden={self.width}"],
        Float[Tensor, "layers={self.layers} hidden={self.hidden}"],
    ]:
        outputs, state = self.rnn(x)
        return outputs, state


class UnbatchedCell(Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(FEATURES, HIDDEN)

    def forward(
        self, x: Float[Tensor, "features=3"]
    ) -> tuple[Float[Tensor, "hidden=4"], Float[Tensor, "hidden=4"]]:
        state, cell = self.cell(x)
        return state, cell


class WrongUnbatchedCell(Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(FEATURES, HIDDEN)

    def forward(self, x: Float[Tensor, "features=3"]) -> Float[Tensor, "hidden=5"]:
        state: Tensor = self.cell(x)[0]
        return state


@pytest.mark.parametrize("kind", ["tanh", "relu", "gru"])
def test_one_sequence_alone(kind: str) -> None:
    assert_proved(Unbatched(build(kind, 2, bidirectional=True)))


def test_contracts_that_leave_no_size_open() -> None:
    assert_proved(UnbatchedCell())


def test_wrong_contracts_that_leave_no_size_open() -> None:
    assert_refuted(WrongUnbatchedCell())
