from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shapezoo import ShapeError, scan

Pair = tuple[Tensor, Tensor]
SIZES = st.integers(1, 5)


def decay(state: Tensor, x: Tensor) -> Pair:
    """A state that loses half of itself at every time."""
    after = state / 2 + x
    return after, after.square()


def fibonacci(state: Pair, x: Tensor) -> tuple[Pair, Tensor]:
    """A state of two tensors."""
    older, newer = state
    return (newer, older + newer + x), older


@given(seq=SIZES, batch=SIZES, features=SIZES)
def test_it_is_a_loop(seq: int, batch: int, features: int) -> None:
    inputs = torch.randn(seq, batch, features)
    start = torch.randn(batch, features), torch.randn(batch, features)
    last, outputs = scan(fibonacci, start, inputs)
    state, expected = start, []
    for x in inputs:
        state, output = fibonacci(state, x)
        expected.append(output)
    assert torch.equal(outputs, torch.stack(expected))
    assert torch.equal(torch.stack(last), torch.stack(state))


@given(seq=SIZES, batch=SIZES)
def test_the_recurrence_has_its_closed_form(seq: int, batch: int) -> None:
    inputs = torch.randn(seq, batch, dtype=torch.float64)
    start = torch.randn(batch, dtype=torch.float64)
    last, outputs = scan(decay, start, inputs)
    powers = 0.5 ** torch.arange(seq - 1, -1, -1, dtype=torch.float64)
    torch.testing.assert_close(last, start * 0.5**seq + powers @ inputs)
    torch.testing.assert_close(outputs[-1], last.square())


def test_known_values() -> None:
    ones = torch.ones((), dtype=torch.int64)
    last, outputs = scan(fibonacci, (ones, ones), torch.zeros(6, dtype=torch.int64))
    assert outputs.tolist() == [1, 1, 2, 3, 5, 8]
    assert [part.item() for part in last] == [13, 21]


def test_gradients_flow_through_time() -> None:
    start = torch.randn(2, dtype=torch.float64, requires_grad=True)
    inputs = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda s, x: scan(decay, s, x), (start, inputs))
    gradient = torch.func.grad(lambda s: scan(decay, s, inputs)[0].sum())(start)
    torch.testing.assert_close(gradient, torch.full_like(start, 0.5**4))


def test_it_can_be_mapped_over() -> None:
    start, inputs = torch.randn(3, 2), torch.randn(3, 4, 2)
    last, outputs = torch.vmap(lambda s, x: scan(decay, s, x))(start, inputs)
    for i in range(3):
        alone, its_outputs = scan(decay, start[i], inputs[i])
        assert torch.equal(last[i], alone)
        assert torch.equal(outputs[i], its_outputs)


@pytest.fixture
def _compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("_compiler")
def test_it_compiles_into_one_graph_that_serves_every_batch() -> None:
    compiled = torch.compile(scan, fullgraph=True, backend="eager", dynamic=True)
    for batch in (2, 3, 5):
        start = torch.randn(batch), torch.randn(batch)
        inputs = torch.randn(4, batch)
        last, outputs = compiled(fibonacci, start, inputs)
        expected, expected_outputs = scan(fibonacci, start, inputs)
        assert torch.equal(torch.stack(last), torch.stack(expected))
        assert torch.equal(outputs, expected_outputs)


def longer(state: Any, x: Tensor) -> Any:
    return torch.cat([state, state]), x


def half(state: Any, x: Tensor) -> Any:
    return state.half() if x > 1 else state, x


def a_pair(state: Any, x: Tensor) -> Any:
    return (state, state) if x > 1 else state, x


@pytest.mark.parametrize(
    ("step", "time", "became"),
    [
        (longer, 0, "Tensor float32 (4,)"),
        (half, 2, "Tensor float16 (2,)"),
        (a_pair, 2, "tuple of 2: Tensor float32 (2,), Tensor float32 (2,)"),
    ],
)
def test_a_state_that_changes_is_refused(step: Any, time: int, became: str) -> None:
    with pytest.raises(ShapeError) as error:
        scan(step, torch.zeros(2), torch.tensor([0.0, 1.0, 2.0, 3.0]))
    assert error.value.argument == "state"
    assert str(error.value) == (
        f"shapezoo.scan: the step at time {time} changes the state\n"
        "  was       Tensor float32 (2,)\n"
        f"  became    {became}"
    )


@pytest.mark.usefixtures("_compiler")
def test_a_state_that_changes_is_refused_in_a_graph() -> None:
    compiled = torch.compile(scan, backend="eager")
    with pytest.raises(ShapeError, match="the step at time 0 changes the state"):
        compiled(longer, torch.zeros(2), torch.zeros(3))


def test_no_time_is_refused() -> None:
    with pytest.raises(ShapeError, match="inputs need at least one time") as error:
        scan(decay, torch.zeros(2), torch.zeros(0, 2))
    assert (error.value.argument, error.value.axis) == ("inputs", 0)
