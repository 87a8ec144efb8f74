"""The laws of RNN, LSTM and GRU, each for all sizes, layers and directions."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import ShapeError, signature
from shapezoo.models import gru, lstm, rnn

State = tuple[Tensor, ...]
Step = Callable[[State, Tensor, Tensor], State]
"""Maps a state, and the input and the output before it times their weights, to the next state."""


def rnn_step(state: State, x: Tensor, h: Tensor) -> State:
    return (torch.tanh(x + h),)


def lstm_step(state: State, x: Tensor, h: Tensor) -> State:
    write, keep, candidate, read = (x + h).chunk(4, 1)
    cell = torch.sigmoid(keep) * state[1] + torch.sigmoid(write) * torch.tanh(candidate)
    return torch.sigmoid(read) * torch.tanh(cell), cell


def gru_step(state: State, x: Tensor, h: Tensor) -> State:
    (r_x, z_x, n_x), (r_h, z_h, n_h) = x.chunk(3, 1), h.chunk(3, 1)
    reset, update = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
    candidate = torch.tanh(n_x + reset * n_h)
    return ((1 - update) * candidate + update * state[0],)


@dataclass(frozen=True)
class Family:
    """A kind of network: its builder, PyTorch's own, and its equations."""

    build: Callable[..., Any]
    reference: Callable[..., nn.Module]
    step: Step


FAMILIES = {
    "rnn": Family(rnn, nn.RNN, rnn_step),
    "lstm": Family(lstm, nn.LSTM, lstm_step),
    "gru": Family(gru, nn.GRU, gru_step),
}


each_family = pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)


@dataclass(frozen=True)
class Case:
    """The sizes of a network and of what it reads."""

    seq: int
    batch: int
    input_size: int
    hidden_size: int
    num_layers: int
    bidirectional: bool
    with_state: bool

    @property
    def num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    def build(self, family: Family, *, batch_first: bool = False) -> Any:
        return family.build(
            input_size=self.input_size,
            hidden_size=self.hidden_size,
            num_layers=self.num_layers,
            bidirectional=self.bidirectional,
            batch_first=batch_first,
        ).double()

    def inputs(self) -> Tensor:
        return torch.randn(self.seq, self.batch, self.input_size, dtype=torch.float64)

    def state(self, family: Family) -> Any:
        """A state to start from, as the network takes it: a tensor, a pair of them or None."""
        shape = (self.num_layers * self.num_directions, self.batch, self.hidden_size)
        tensors = [torch.randn(shape, dtype=torch.float64) for _ in range(2)]
        state = tuple(tensors) if family.reference is nn.LSTM else tensors[0]
        return state if self.with_state else None


SIZES = st.integers(1, 4)
CASES = st.builds(Case, SIZES, SIZES, SIZES, SIZES, st.integers(1, 3), st.booleans(), st.booleans())


def parts(state: Any) -> State:
    """The tensors of a state."""
    return state if isinstance(state, tuple) else (state,)


def by_hand(step: Step, model: Any, inputs: Tensor, state: Any) -> tuple[Tensor, State]:
    """The outputs and the last states, by looping over layers, directions and time."""
    weights = model.rnn.state_dict()
    zeros = inputs.new_zeros(model.num_states, inputs.shape[1], model.hidden_size)
    start = (zeros, zeros) if state is None else parts(state)
    suffixes = ("", "_reverse")[: model.output_size // model.hidden_size]
    last: list[State] = []
    for layer in range(model.num_states // len(suffixes)):
        outputs = []
        for suffix in suffixes:
            w_x, w_h, b_x, b_h = (
                weights[f"{name}_l{layer}{suffix}"]
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            now, found = tuple(part[len(last)] for part in start), []
            for x in inputs.flip(0) if suffix else inputs:
                now = step(now, x @ w_x.T + b_x, now[0] @ w_h.T + b_h)
                found.append(now[0])
            outputs.append(torch.stack(found[::-1] if suffix else found))
            last.append(now)
        inputs = torch.cat(outputs, dim=-1)
    return inputs, tuple(map(torch.stack, zip(*last, strict=True)))


@each_family
@settings(max_examples=50)
@given(case=CASES)
def test_outputs_and_states_follow_the_equations(family: Family, case: Case) -> None:
    model, inputs, state = case.build(family), case.inputs(), case.state(family)
    outputs, last = model(inputs, state)
    expected, expected_last = by_hand(family.step, model, inputs, state)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(parts(last), expected_last, rtol=0, atol=1e-12)


def lstm_step_without_forgetting(state: State, x: Tensor, h: Tensor) -> State:
    write, _, candidate, read = (x + h).chunk(4, 1)
    cell = state[1] + torch.sigmoid(write) * torch.tanh(candidate)
    return torch.sigmoid(read) * torch.tanh(cell), cell


def gru_step_without_reset(state: State, x: Tensor, h: Tensor) -> State:
    (_, z_x, n_x), (_, z_h, n_h) = x.chunk(3, 1), h.chunk(3, 1)
    update = torch.sigmoid(z_x + z_h)
    return ((1 - update) * torch.tanh(n_x + n_h) + update * state[0],)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("rnn", lambda state, x, h: (torch.tanh(x),)),
        ("lstm", lstm_step_without_forgetting),
        ("gru", gru_step_without_reset),
    ],
)
def test_other_equations_give_other_outputs(name: str, wrong: Step) -> None:
    case = Case(3, 2, 4, 2, num_layers=1, bidirectional=False, with_state=True)
    family = FAMILIES[name]
    model, inputs, state = case.build(family), case.inputs(), case.state(family)
    assert not torch.allclose(model(inputs, state)[0], by_hand(wrong, model, inputs, state)[0])


@each_family
@settings(max_examples=50)
@given(case=CASES)
def test_numbers_equal_those_of_torchs_own(family: Family, case: Case) -> None:
    model, inputs, state = case.build(family), case.inputs(), case.state(family)
    sizes = (case.input_size, case.hidden_size, case.num_layers)
    reference = family.reference(*sizes, bidirectional=case.bidirectional).double()
    reference.load_state_dict(model.rnn.state_dict())
    outputs, last = model(inputs, state)
    expected, expected_last = reference(inputs, state)
    torch.testing.assert_close(outputs, expected, rtol=0, atol=0)
    torch.testing.assert_close(last, expected_last, rtol=0, atol=0)


def is_transpose(time_first: Any, batch_first: Any, inputs: Tensor, state: Any) -> bool:
    """Whether two networks differ by their layout and by nothing else."""
    batch_first.load_state_dict(time_first.state_dict())
    outputs, last = time_first(inputs, state)
    swapped, same_last = batch_first(inputs.transpose(0, 1), state)
    return torch.equal(outputs, swapped.transpose(0, 1)) and all(
        map(torch.equal, parts(last), parts(same_last))
    )


@each_family
@given(case=CASES)
def test_batch_first_is_a_transpose(family: Family, case: Case) -> None:
    time_first, batch_first = case.build(family), case.build(family, batch_first=True)
    assert is_transpose(time_first, batch_first, case.inputs(), case.state(family))


@each_family
def test_a_forgotten_transpose_is_found(family: Family) -> None:
    square = Case(3, 3, 4, 2, num_layers=1, bidirectional=False, with_state=False)
    time_first, batch_first = square.build(family), square.build(family, batch_first=True)
    batch_first.rnn.batch_first = False  # no shape gives it away
    assert not is_transpose(time_first, batch_first, square.inputs(), None)


@each_family
@given(case=CASES)
def test_last_states_stand_by_layer_and_direction(family: Family, case: Case) -> None:
    outputs, last = case.build(family)(case.inputs(), case.state(family))
    grid = (case.num_layers, case.num_directions, case.batch, case.hidden_size)
    top = parts(last)[0].view(grid)[-1]
    by_direction = outputs.unflatten(-1, (case.num_directions, case.hidden_size))
    assert torch.equal(top[0], by_direction[-1, :, 0])  # forwards ends at the last position
    assert torch.equal(top[-1], by_direction[0 if case.bidirectional else -1, :, -1])


@each_family
def test_the_contract_follows_the_layout_and_the_sizes(family: Family) -> None:
    model = family.build(bidirectional=True, num_layers=3, batch_first=True)
    state = 'Float[Tensor, "layers=6 batch hidden=2"]'
    if family.reference is nn.LSTM:
        state = f"tuple[{state}, {state}]"
    assert str(signature(model)) == (
        f'(inputs: Float[Tensor, "batch seq features=4"], state: {state} | None = None) -> '
        f'tuple[Float[Tensor, "batch seq hidden=4"], {state}]'
    )
    assert 'inputs: Float[Tensor, "seq batch features=4"]' in str(signature(family.build()))


@each_family
def test_the_course_sizes_are_the_default(family: Family) -> None:
    outputs, last = family.build()(torch.zeros(3, 1, 4))
    assert outputs.shape == (3, 1, 2)
    assert {part.shape for part in parts(last)} == {(1, 1, 2)}


@pytest.mark.parametrize("build", [rnn, gru])
def test_a_batch_in_the_wrong_place_is_told_apart_by_the_state(build: Callable[..., Any]) -> None:
    with pytest.raises(ShapeError, match=r"use inputs\.transpose\(0, 1\)"):
        build()(torch.zeros(2, 3, 4), torch.zeros(1, 2, 2))


def test_the_cell_of_an_lstm_is_held_to_its_shape() -> None:
    with pytest.raises(ShapeError, match="expected hidden = 2, got 3"):
        lstm()(torch.zeros(3, 1, 4), (torch.zeros(1, 1, 2), torch.zeros(1, 1, 3)))


@each_family
def test_dropout_acts_between_layers_in_training_only(family: Family) -> None:
    model = family.build(num_layers=2, dropout=0.5)
    inputs = torch.randn(20, 3, 4)
    assert not torch.equal(model(inputs)[0], model(inputs)[0])
    model.eval()
    assert torch.equal(model(inputs)[0], model(inputs)[0])
