import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shapezoo.models import stepped_rnn

SIZES = st.integers(1, 5)


@given(seq=SIZES, batch=SIZES, features=SIZES, hidden=SIZES, with_state=st.booleans())
def test_numbers_equal_those_of_torchs_rnn_in_both_layouts(
    seq: int, batch: int, features: int, hidden: int, with_state: bool
) -> None:
    reference = nn.RNN(features, hidden).double()
    weights = {
        f"cell.{name.removesuffix('_l0')}": value for name, value in reference.state_dict().items()
    }
    inputs = torch.randn(seq, batch, features, dtype=torch.float64)
    state = torch.randn(batch, hidden, dtype=torch.float64) if with_state else None
    expected, expected_last = reference(inputs, state if state is None else state[None])
    for batch_first in (False, True):
        model = stepped_rnn(input_size=features, hidden_size=hidden, batch_first=batch_first)
        model.double().load_state_dict(weights)
        outputs, last = model(inputs.transpose(0, 1) if batch_first else inputs, state)
        outputs = outputs.transpose(0, 1) if batch_first else outputs
        torch.testing.assert_close(outputs, expected, rtol=0, atol=1e-12)
        torch.testing.assert_close(last, expected_last[0], rtol=0, atol=1e-12)
        assert torch.equal(last, outputs[-1])


def test_the_course_sizes_are_the_default() -> None:
    outputs, last = stepped_rnn()(torch.zeros(3, 1, 4))
    assert (outputs.shape, last.shape) == ((3, 1, 2), (1, 2))


def test_autocast_leaves_the_state_its_dtype() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        outputs, last = stepped_rnn()(torch.zeros(3, 1, 4))
    assert outputs.dtype == last.dtype == torch.float32
