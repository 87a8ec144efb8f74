"""Steps over time: a scan is proved for every length, a loop is sampled."""

import os
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float
from tests.proving.recurrent import CELLS, FEATURES, HIDDEN, Pair, assert_proved, assert_refuted
from torch import Tensor, nn

from shapezoo import Module, Proved, ProvedInPart, Refuted, prove, scan

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:LSTM with projections is not supported with oneDNN"),
]


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
