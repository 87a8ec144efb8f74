"""Symbolic runs of recurrent layers do what real kernels do, at random sizes."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float, Int64
from tests.proving.recurrent import CELLS, FEATURES, HIDDEN, KINDS, build, num_states, output_size
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from shapezoo import Module
from shapezoo.proving.audit.auditing import _number
from shapezoo.proving.audit.replaying import replay, worst
from shapezoo.proving.findings import Sizes
from shapezoo.proving.paths.symbolic_run import run_symbolically
from shapezoo.proving.replays import CallSpec
from shapezoo.proving.subjects import subject_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]


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
