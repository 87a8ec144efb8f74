import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import ShapeError, signature
from shapezoo.models import GRU, BatchFirstGRU, gru

SIZES = st.integers(1, 4)


def by_hand(inputs: Tensor, hidden: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Outputs of one layer, from its equations: reset, update, candidate, blend."""
    outputs = []
    for x in inputs:
        from_input = x @ weights["gru.weight_ih_l0"].T + weights["gru.bias_ih_l0"]
        from_state = hidden @ weights["gru.weight_hh_l0"].T + weights["gru.bias_hh_l0"]
        (r_x, z_x, n_x), (r_h, z_h, n_h) = from_input.chunk(3, 1), from_state.chunk(3, 1)
        reset, update = torch.sigmoid(r_x + r_h), torch.sigmoid(z_x + z_h)
        candidate = torch.tanh(n_x + reset * n_h)
        hidden = (1 - update) * candidate + update * hidden
        outputs.append(hidden)
    return torch.stack(outputs)


@given(seq=SIZES, batch=SIZES, features=SIZES, hidden=SIZES)
def test_outputs_follow_the_equations(seq: int, batch: int, features: int, hidden: int) -> None:
    model = GRU(features, hidden).double()
    inputs = torch.randn(seq, batch, features, dtype=torch.float64)
    state = torch.randn(1, batch, hidden, dtype=torch.float64)
    outputs, last = model(inputs, state)
    torch.testing.assert_close(outputs, by_hand(inputs, state[0], model.state_dict()))
    assert torch.equal(last[0], outputs[-1])


@given(
    seq=SIZES,
    batch=SIZES,
    features=SIZES,
    hidden=SIZES,
    num_layers=st.integers(1, 3),
    bidirectional=st.booleans(),
    with_state=st.booleans(),
)
def test_batch_first_is_a_transpose_and_both_equal_torchs(
    seq: int,
    batch: int,
    features: int,
    hidden: int,
    num_layers: int,
    bidirectional: bool,
    with_state: bool,
) -> None:
    time_first = GRU(features, hidden, num_layers=num_layers, bidirectional=bidirectional)
    batch_first = BatchFirstGRU(
        features, hidden, num_layers=num_layers, bidirectional=bidirectional
    )
    batch_first.load_state_dict(time_first.state_dict())
    oracle = nn.GRU(features, hidden, num_layers, bidirectional=bidirectional)
    oracle.load_state_dict(time_first.gru.state_dict())
    inputs = torch.randn(seq, batch, features)
    layers = num_layers * (2 if bidirectional else 1)
    state = torch.randn(layers, batch, hidden) if with_state else None

    outputs, last = time_first(inputs, state)
    swapped, same_last = batch_first(inputs.transpose(0, 1), state)
    expected, expected_last = oracle(inputs, state)

    assert torch.equal(outputs, swapped.transpose(0, 1))
    assert torch.equal(last, same_last)
    assert torch.equal(outputs, expected)
    assert torch.equal(last, expected_last)


def test_the_contract_follows_the_layout_and_the_sizes() -> None:
    contract = signature(gru(bidirectional=True, num_layers=3, batch_first=True))
    assert str(contract) == (
        '(inputs: Float[Tensor, "batch seq features=4"], '
        'state: Float[Tensor, "layers=6 batch hidden=2"] | None = None) -> '
        'tuple[Float[Tensor, "batch seq hidden=4"], Float[Tensor, "layers=6 batch hidden=2"]]'
    )
    assert 'inputs: Float[Tensor, "seq batch features=4"]' in str(signature(gru()))


def test_the_course_sizes_are_the_default() -> None:
    outputs, last = gru()(torch.zeros(3, 1, 4))
    assert (outputs.shape, last.shape) == ((3, 1, 2), (1, 1, 2))


def test_a_batch_in_the_wrong_place_is_told_apart_by_the_state() -> None:
    with pytest.raises(ShapeError, match=r"use inputs\.transpose\(0, 1\)"):
        gru()(torch.zeros(2, 3, 4), torch.zeros(1, 2, 2))


def test_dropout_acts_between_layers_in_training_only() -> None:
    model = gru(num_layers=2, dropout=0.5)
    inputs = torch.randn(20, 3, 4)
    assert not torch.equal(model(inputs)[0], model(inputs)[0])
    model.eval()
    assert torch.equal(model(inputs)[0], model(inputs)[0])
