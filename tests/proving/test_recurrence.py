"""Recurrent models: proved for every batch and every length, or refuted."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from shapezoo import Module, Proved, ProvedInPart, Refuted, ShapeError, prove, scan
from shapezoo.proving.audit.auditing import _number
from shapezoo.proving.audit.replaying import replay, worst
from shapezoo.proving.findings import Sizes
from shapezoo.proving.paths.symbolic_run import run_symbolically
from shapezoo.proving.replays import CallSpec
from shapezoo.proving.subjects import subject_of

Pair = tuple[Tensor, Tensor]

FEATURES, HIDDEN, PROJECTED = 3, 4, 2

KINDS: dict[str, Callable[..., nn.RNNBase]] = {
    "tanh": nn.RNN,
    "relu": lambda *sizes, **how: nn.RNN(*sizes, nonlinearity="relu", **how),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "projected": lambda *sizes, **how: nn.LSTM(*sizes, proj_size=PROJECTED, **how),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]


def build(kind: str, num_layers: int = 1, bidirectional: bool = False, **how: Any) -> nn.RNNBase:
    return KINDS[kind](FEATURES, HIDDEN, num_layers, bidirectional=bidirectional, **how)


def output_size(rnn: nn.RNNBase) -> int:
    """The width of what comes out of one direction."""
    return rnn.proj_size or rnn.hidden_size


def num_states(rnn: nn.RNNBase) -> int:
    return rnn.num_layers * (1 + rnn.bidirectional)


class Recurrent(Module):
    """A layer whose contract is right, except for the sizes that are given.

    Args:
        rnn: The layer.
        **claims: Sizes that its annotations say wrongly.
    """

    def __init__(self, rnn: nn.RNNBase, **claims: int) -> None:
        super().__init__()
        self.rnn = rnn
        self.width = output_size(rnn) * (1 + rnn.bidirectional)
        self.layers, self.hidden, self.cell = num_states(rnn), output_size(rnn), rnn.hidden_size
        vars(self).update(claims)


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


class Packed(Recurrent):
    def __init__(self, rnn: nn.RNNBase, *, is_sorted: bool, **claims: int) -> None:
        super().__init__(rnn, **claims)
        self.is_sorted = is_sorted

    def run(self, x: Tensor, lengths: Tensor) -> tuple[PackedSequence, Tensor]:
        first = self.rnn.batch_first
        packed = pack_padded_sequence(x, lengths, first, enforce_sorted=self.is_sorted)
        outputs, state = self.rnn(packed)
        return outputs, state[0] if isinstance(state, tuple) else state


class PackedSeqFirst(Packed):
    def forward(
        self, x: Float[Tensor, "seq batch features=3"], lengths: Int64[Tensor, "batch"]
    ) -> tuple[
        Float[Tensor, "seq batch hidden={self.width}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
        Int64[Tensor, "batch"],
    ]:
        outputs, state = self.run(x, lengths)
        padded, lengths = pad_packed_sequence(outputs, total_length=x.shape[0])
        return padded, state, lengths


class PackedBatchFirst(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> tuple[
        Float[Tensor, "batch seq hidden={self.width}"],
        Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
        Int64[Tensor, "batch"],
    ]:
        outputs, state = self.run(x, lengths)
        padded, lengths = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
        return padded, state, lengths


def assert_proved(model: nn.Module) -> Proved:
    """For every batch and length, whatever they are."""
    proof = prove(model.eval())
    assert isinstance(proof, Proved), str(proof)
    assert {"batch", "seq"} >= set(proof.axes)
    assert proof.preconditions == ()
    assert proof.is_exact
    return proof


def assert_refuted(model: nn.Module, **sizes: int) -> None:
    """At these sizes, on real kernels too."""
    proof = prove(model.eval())
    assert isinstance(proof, Refuted), str(proof)
    assert proof.counterexample.sizes == sizes
    with pytest.raises(ShapeError) as error:
        proof.counterexample.replay(model=model)
    assert (error.value.argument or "").startswith("return")


kinds = pytest.mark.parametrize("kind", KINDS)
layers = pytest.mark.parametrize("num_layers", [1, 2])
directions = pytest.mark.parametrize("bidirectional", [False, True])


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


@kinds
@directions
@pytest.mark.parametrize("is_sorted", [False, True])
def test_packed_sequences_are_proved(kind: str, bidirectional: bool, is_sorted: bool) -> None:
    assert_proved(PackedSeqFirst(build(kind, 2, bidirectional), is_sorted=is_sorted))
    rnn = build(kind, 1, bidirectional, batch_first=True)
    assert_proved(PackedBatchFirst(rnn, is_sorted=is_sorted))


@pytest.mark.parametrize(
    ("kind", "claims"),
    [
        ("gru", {"width": HIDDEN}),
        ("relu", {"layers": 2}),
        ("projected", {"hidden": HIDDEN}),
    ],
)
def test_wrong_widths_of_packed_sequences(kind: str, claims: dict[str, int]) -> None:
    rnn = build(kind, 2, bidirectional=True)
    assert_refuted(PackedSeqFirst(rnn, is_sorted=kind == "gru", **claims), seq=1, batch=1)


class PackedWithState(Packed):
    def forward(
        self,
        x: Float[Tensor, "seq batch features=3"],
        lengths: Int64[Tensor, "batch"],
        state: Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"],
    ) -> Float[Tensor, "layers={self.layers} batch hidden={self.hidden}"]:
        packed = pack_padded_sequence(x, lengths, enforce_sorted=self.is_sorted)
        after: Tensor = self.rnn(packed, state)[1]
        return after


class Tagger(Packed):
    """Layers over packed sequences, one after another, and over what is packed."""

    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__(rnn, is_sorted=False)
        self.second = nn.LSTM(self.width, 5, proj_size=2, bidirectional=True)
        self.head = nn.Linear(4, 7)

    def forward(
        self, x: Float[Tensor, "seq batch features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "seq batch classes=7"]:
        packed, _ = self.second(self.run(x, lengths)[0])
        logits = PackedSequence(self.head(packed.data), *packed[1:])
        return pad_packed_sequence(logits, total_length=x.shape[0])[0]


def test_more_of_packed_sequences() -> None:
    for is_sorted in (False, True):
        assert_proved(PackedWithState(build("gru", 2), is_sorted=is_sorted))
    assert_proved(Tagger(build("gru", 2, bidirectional=True)))


class Unpadded(Packed):
    """Forgets how long the sequences were."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        return pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)[0]


class Total(Packed):
    """Takes what is packed for padded."""

    def forward(
        self, x: Float[Tensor, "seq batch features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "seq*batch hidden={self.width}"]:
        return self.run(x, lengths)[0].data


class PaddedWrongly(Packed):
    """Forgets batch_first."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        return pad_packed_sequence(self.run(x, lengths)[0], total_length=x.shape[1])[0]


@pytest.mark.parametrize("cls", [Unpadded, Total, PaddedWrongly])
def test_wrong_padding_is_refuted(cls: type[Packed]) -> None:
    """At small sizes where a length can be less than that of all."""
    model = cls(build("gru", batch_first=cls is not Total), is_sorted=False)
    proof = prove(model.eval())
    assert isinstance(proof, Refuted), str(proof)
    assert sorted(proof.counterexample.sizes.values()) in ([1, 2], [2, 2])
    with pytest.raises(ShapeError):
        proof.counterexample.replay(model=model)


class LastState(Packed):
    """Makes nothing of a size that only data decide."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return padded.sum(1) + padded[:, 0] + padded[:, -1]


class SecondPosition(Packed):
    """Raises if there is none."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch hidden={self.width}"]:
        return pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)[0][:, 1]


class FiveAtMost(Packed):
    """Raises for longer ones."""

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch 5 hidden={self.width}"]:
        packed, _ = self.run(x, lengths)
        return pad_packed_sequence(packed, batch_first=True, total_length=5)[0]


def test_sizes_that_only_data_decide_may_vanish() -> None:
    assert_proved(LastState(build("gru", batch_first=True), is_sorted=False))


@pytest.mark.parametrize("cls", [SecondPosition, FiveAtMost])
def test_sizes_that_only_data_decide_are_not_proved(cls: type[Packed]) -> None:
    proof = prove(cls(build("gru", batch_first=True), is_sorted=False).eval())
    assert not isinstance(proof, Proved | Refuted)


class Masked(Packed):
    """The mask is as long as the input, the padded result as the longest of its sequences."""

    def forward(
        self,
        x: Float[Tensor, "batch seq features=3"],
        lengths: Int64[Tensor, "batch"],
        mask: Bool[Tensor, "batch seq"],
    ) -> Float[Tensor, "batch hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return padded.masked_fill(mask[..., None], 0).sum(1)


class Expanded(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return padded.expand(-1, x.shape[1], -1)


class Correlated(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch features=3 hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return torch.einsum("bsf,bsh->bfh", x, padded)


class Positioned(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch hidden={self.width}"]:
        padded, _ = pad_packed_sequence(self.run(x, lengths)[0], batch_first=True)
        return (padded + x.new_zeros(x.shape[1], 1)).sum(1)


@pytest.mark.parametrize("cls", [Masked, Expanded, Correlated, Positioned])
def test_lengths_between_one_and_all_count(cls: type[Packed]) -> None:
    """They hold where all lengths are 1, and where all are that of the input; not between."""
    model = cls(build("gru", batch_first=True), is_sorted=False).eval()
    args = [torch.zeros(2, 3, FEATURES), torch.tensor([1, 2])]
    args += [torch.zeros(2, 3, dtype=torch.bool)] if cls is Masked else []
    with pytest.raises(RuntimeError):
        model(*args)
    assert not isinstance(prove(model), Proved)


class MaskOfLengths(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden={self.width}"]:
        packed, _ = self.run(x, lengths)
        padded, lengths = pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
        mask = torch.arange(x.shape[1]) < lengths[:, None]
        return padded.where(mask[..., None], -1)


def test_a_mask_of_lengths() -> None:
    assert_proved(MaskOfLengths(build("gru", batch_first=True), is_sorted=False))


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


CELLS: dict[str, Callable[[], nn.RNNCellBase]] = {
    "tanh": lambda: nn.RNNCell(FEATURES, HIDDEN),
    "relu": lambda: nn.RNNCell(FEATURES, HIDDEN, nonlinearity="relu"),
    "gru": lambda: nn.GRUCell(FEATURES, HIDDEN),
}


class Scanned(Module):
    def __init__(self, cell: nn.RNNCellBase, width: int = HIDDEN) -> None:
        super().__init__()
        self.cell, self.width = cell, width

    def step(self, state: Tensor, x: Tensor) -> Pair:
        after = self.cell(x, state)
        return after, after

    def forward(
        self, x: Float[Tensor, "seq batch features=3"], state: Float[Tensor, "batch hidden=4"]
    ) -> tuple[Float[Tensor, "batch hidden=4"], Float[Tensor, "seq batch hidden={self.width}"]]:
        return scan(self.step, state, x)


class ScannedLSTM(Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.LSTMCell(FEATURES, HIDDEN)

    def step(self, state: Pair, x: Tensor) -> tuple[Pair, Tensor]:
        after = self.cell(x, state)
        return after, after[0]

    def forward(
        self,
        x: Float[Tensor, "seq batch features=3"],
        state: tuple[Float[Tensor, "batch hidden=4"], Float[Tensor, "batch hidden=4"]],
    ) -> Float[Tensor, "seq batch hidden=4"]:
        return scan(self.step, state, x)[1]


class ScannedBackwards(Module):
    """Takes time for the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(FEATURES, HIDDEN)

    def step(self, state: Tensor, x: Tensor) -> Pair:
        after = self.cell(x, state)
        return after, after

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], state: Float[Tensor, "batch hidden=4"]
    ) -> Float[Tensor, "seq batch hidden=4"]:
        return scan(self.step, state, x)[1]


@pytest.mark.parametrize("kind", CELLS)
def test_a_scan_of_cells_is_proved(kind: str) -> None:
    proof = assert_proved(Scanned(CELLS[kind]()))
    assert len(proof.regions) == 1


def test_a_scan_with_a_wrong_width_is_refuted() -> None:
    assert_refuted(Scanned(nn.GRUCell(FEATURES, HIDDEN), width=5), seq=1, batch=1)


def test_a_scan_of_a_pair_is_proved() -> None:
    assert_proved(ScannedLSTM())


def test_a_scan_along_the_wrong_axis_needs_as_many_times_as_sequences() -> None:
    proof = prove(ScannedBackwards().eval())
    assert isinstance(proof, Proved)
    assert [str(condition) for condition in proof.preconditions] == ["batch == seq"]
    assert proof.is_exact


def growing(state: Float[Tensor, "batch"], x: Float[Tensor, "seq"]) -> Float[Tensor, "batch"]:
    return scan(lambda state, x: (torch.cat([state, state]), x), state, x)[0]


def squeezed(state: Float[Tensor, "batch 3"], x: Float[Tensor, "seq"]) -> Float[Tensor, "batch 3"]:
    """Loses the batch if it is 1."""
    return scan(lambda state, x: (state.squeeze(0), x), state, x)[0]


def broadcast(
    state: Float[Tensor, "batch"], x: Float[Tensor, "seq features"]
) -> Float[Tensor, "batch"]:
    """A state of 1 becomes as wide as the input."""
    return scan(lambda state, x: (state + x, x), state, x)[0]


def conditions(function: Callable[..., Any]) -> tuple[str, ...]:
    """What must hold of the sizes, exactly."""
    proof = prove(function)
    assert isinstance(proof, Proved), str(proof)
    assert proof.is_exact
    return tuple(map(str, proof.preconditions))


def test_a_step_that_changes_the_state_is_refused() -> None:
    proof = prove(growing)
    assert isinstance(proof, Refuted)
    assert proof.counterexample.sizes == {"batch": 1, "seq": 1}
    assert "the step at time 0 changes the state" in str(proof.counterexample.error)


def test_a_step_that_changes_the_state_of_one_batch_only() -> None:
    assert conditions(squeezed) == ("batch >= 2",)


def test_a_state_may_not_be_broadcast() -> None:
    proof = prove(broadcast)
    assert isinstance(proof, Proved)
    assert proof.is_exact
    for batch in range(1, 4):
        for features in range(1, 4):
            sizes = {"batch": batch, "seq": 2, "features": features}
            holds = all(condition.holds(sizes) for condition in proof.preconditions)
            assert holds == (features in (1, batch))


class Looped(Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(FEATURES, HIDDEN)

    def forward(
        self, x: Float[Tensor, "seq batch features=3"], state: Float[Tensor, "batch hidden=4"]
    ) -> Float[Tensor, "batch hidden=4"]:
        for time in range(len(x)):  # a loop
            state = self.cell(x[time], state)
        return state


class Iterated(Looped):
    def forward(
        self, x: Float[Tensor, "seq batch features=3"], state: Float[Tensor, "batch hidden=4"]
    ) -> Float[Tensor, "batch hidden=4"]:
        for now in x:  # an iteration
            state = self.cell(now, state)
        return state


class Unbound(Looped):
    def forward(
        self, x: Float[Tensor, "seq batch features=3"], state: Float[Tensor, "batch hidden=4"]
    ) -> Float[Tensor, "batch hidden=4"]:
        for now in x.unbind():  # unbound
            state = self.cell(now, state)
        return state


def line_of(text: str) -> str:
    with open(__file__) as file:
        lines = [number for number, line in enumerate(file, 1) if line.endswith(f"# {text}\n")]
    return f"{os.path.basename(__file__)}:{lines[0]}"


@pytest.mark.parametrize(
    ("cls", "text"),
    [
        (Looped, "a loop"),
        (Iterated, "an iteration"),
        (Unbound, "unbound"),
    ],
)
def test_a_loop_over_time_is_sampled(cls: type[Looped], text: str) -> None:
    proof = prove(cls().eval())
    assert isinstance(proof, ProvedInPart)
    assert {1, 2, 3, 7} <= {*proof.sampled["seq"]}
    assert proof.reason.startswith(f"{line_of(text)}, `")
    assert "seq was tried at some sizes only" in proof.reason
    assert proof.cases[0].gaps


class WrongLoop(Looped):
    def forward(
        self, x: Float[Tensor, "seq batch features=3"], state: Float[Tensor, "batch hidden=4"]
    ) -> Float[Tensor, "seq batch hidden=4"]:
        for time in range(len(x)):
            state = self.cell(x[time], state)
        return state


def test_a_wrong_loop_is_refuted() -> None:
    assert_refuted(WrongLoop(), seq=1, batch=1)


class AnyStates(Module):
    """A layer that is given what it may not want."""

    def __init__(self, rnn: nn.RNNBase) -> None:
        super().__init__()
        self.rnn = rnn

    def forward(
        self,
        x: Float[Tensor, "seq batch features"],
        state: Float[Tensor, "layers rows hidden"],
        cell: Float[Tensor, "cell_layers cell_rows cell_hidden"],
    ) -> tuple[Float[Tensor, "..."], ...]:
        if isinstance(self.rnn, nn.LSTM):
            outputs, states = self.rnn(x, (state, cell))
            return outputs, *states
        outputs, after = self.rnn(x, state)
        return outputs, after


class AnyCells(Module):
    def __init__(self, cell: nn.RNNCellBase) -> None:
        super().__init__()
        self.cell = cell

    def forward(
        self,
        x: Float[Tensor, "batch features"],
        state: Float[Tensor, "rows hidden"],
        cell: Float[Tensor, "cell_rows cell_hidden"],
    ) -> tuple[Float[Tensor, "..."], ...]:
        if isinstance(self.cell, nn.LSTMCell):
            after: tuple[Tensor, ...] = self.cell(x, (state, cell))
            return after
        return (self.cell(x, state),)


class AnyLengths(Module):
    def __init__(self, rnn: nn.RNNBase, is_sorted: bool) -> None:
        super().__init__()
        self.rnn, self.is_sorted = rnn, is_sorted

    def forward(
        self,
        x: Float[Tensor, "batch seq features"],
        lengths: Int64[Tensor, "number"],
        state: Float[Tensor, "layers rows hidden"],
    ) -> tuple[Float[Tensor, "..."], ...]:
        packed = pack_padded_sequence(x, lengths, True, enforce_sorted=self.is_sorted)
        outputs, after = self.rnn(packed, state)
        padded, lengths = pad_packed_sequence(outputs, True, total_length=x.shape[1])
        return padded, after, lengths.float()


def assert_agrees(model: nn.Module, sizes: Sizes) -> None:
    """What symbols say is what real kernels do."""
    subject = subject_of(model.eval(), None)
    (subject,), _ = subject.variants()
    said = run_symbolically(subject, sizes)
    found = worst(replay(subject, CallSpec(sizes)))
    assert said.outcome == found.outcome, (said.error, found.error)
    shapes = [tuple(_number(size, sizes) for size in shape) for shape in said.shapes]
    assert shapes == list(found.shapes)


def mostly(right: int) -> st.SearchStrategy[int]:
    """A size that is right more often than not."""
    return st.sampled_from([right] * 12 + [1, right + 1, 2 * right])


@given(
    st.data(),
    st.sampled_from(sorted(KINDS)),
    st.integers(1, 3),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=60)
def test_layers_agree_with_real_kernels(
    data: st.DataObject,
    kind: str,
    num_layers: int,
    bidirectional: bool,
    batch_first: bool,
    has_bias: bool,
) -> None:
    rnn = build(kind, num_layers, bidirectional, batch_first=batch_first, bias=has_bias)
    seq, batch = data.draw(st.integers(1, 4)), data.draw(st.integers(1, 4))
    rows, width = seq if batch_first else batch, output_size(rnn)  # the first axis is called seq
    right = {"features": FEATURES, "layers": num_states(rnn), "rows": rows, "hidden": width}
    right |= {"cell_layers": num_states(rnn), "cell_rows": rows, "cell_hidden": HIDDEN}
    sizes = {axis: data.draw(mostly(size), axis) for axis, size in right.items()}
    assert_agrees(AnyStates(rnn), {"seq": seq, "batch": batch, **sizes})


@given(st.data(), st.sampled_from([*CELLS, "lstm"]), st.integers(1, 4))
@settings(max_examples=40)
def test_cells_agree_with_real_kernels(data: st.DataObject, kind: str, batch: int) -> None:
    cell = nn.LSTMCell(FEATURES, HIDDEN) if kind == "lstm" else CELLS[kind]()
    right = {"features": FEATURES, "rows": batch, "hidden": HIDDEN}
    right |= {"cell_rows": batch, "cell_hidden": HIDDEN}
    sizes = {axis: data.draw(mostly(size), axis) for axis, size in right.items()}
    assert_agrees(AnyCells(cell), {"batch": batch, **sizes})


@given(st.data(), st.integers(1, 4), st.integers(1, 4), st.booleans())
@settings(max_examples=25)
def test_packing_agrees_with_real_kernels(
    data: st.DataObject, batch: int, seq: int, is_sorted: bool
) -> None:
    rnn = build("gru", 2, batch_first=True)
    right = {"features": FEATURES, "layers": 2, "hidden": HIDDEN}
    same = {"rows": batch, "number": batch}  # unsorted ones are indices of these axes
    right |= same if is_sorted else {}
    sizes = {axis: data.draw(mostly(size), axis) for axis, size in right.items()}
    assert_agrees(AnyLengths(rnn, is_sorted), {"batch": batch, "seq": seq, **same, **sizes})
