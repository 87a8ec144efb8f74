"""Work is counted, and a proof ends when its budget is used up."""

import math
import time
from collections.abc import Iterator

import pytest
import torch
import z3
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import Proved, prove
from shapezoo.proving.audit.bounding import FLOPS, Bounded
from shapezoo.proving.effort import (
    KERNEL,
    STEPS,
    Effort,
    WorkOverError,
    bounded,
    each_at_most,
)
from shapezoo.proving.formulas import solving

size, other = z3.Ints("size other")
HARD = [size * size * size == 2 * other * other * other + 1_000_001, size > 1, other > 1]
PLENTY = 10.0


def used(*formulas: object) -> float:
    with bounded(Effort(PLENTY)) as effort:
        solving.is_possible(*formulas)
    return effort.used


def test_a_question_costs_steps() -> None:
    assert 0 < used(size > 3, size < 5) < 0.003
    assert used(size > 3, size < 5) < 100 * used(size > 3, size < 5, other == 2 * size)
    assert 1 <= used(*HARD) < 1.1


def test_questions_add_up() -> None:
    with bounded(Effort(PLENTY)) as effort:
        solving.least(size, size > 40, most=100)
        first = effort.used
        solving.least(size, size > 40, most=100)
        assert effort.used > first > 0
        assert effort.remaining == pytest.approx(PLENTY - effort.used)


def test_what_is_used_up_raises() -> None:
    with pytest.raises(WorkOverError, match="the budget"), bounded(Effort(0.02)):
        solving.is_possible(*HARD)
    with pytest.raises(WorkOverError), bounded(Effort(0)):
        solving.is_possible(size > 3)
    assert solving.is_possible(size > 3)


def test_an_answer_within_the_budget_counts() -> None:
    steps = used(size > 3, size < 5)
    with bounded(Effort(steps + 0.001)) as effort:
        assert solving.is_possible(size > 3, size < 5)
    assert effort.remaining < effort.work


def test_the_limit_of_one_question_does_not_end_the_work() -> None:
    with bounded(Effort(2)) as effort:
        assert solving.is_possible(*HARD) is None
        assert effort.remaining > 0


def test_questions_can_be_kept_short() -> None:
    with each_at_most(STEPS // 10):
        assert used(*HARD) < 0.2
    assert used(*HARD) >= 1


def test_the_deadline_is_a_stop_too() -> None:
    passed = Effort(PLENTY, deadline=time.thread_time() - 1)
    with pytest.raises(WorkOverError, match="CPU time"), bounded(passed):
        solving.is_possible(size > 3)


def test_the_inner_effort_is_part_of_the_outer() -> None:
    with bounded(Effort(PLENTY)) as outer:
        with bounded(Effort(PLENTY)) as inner:
            solving.is_possible(size > 3)
        assert outer.used == inner.used > 0
    with bounded(Effort(0.1)), bounded(Effort(PLENTY)) as inner:
        assert inner.work == 0.1


def test_it_is_the_same_again() -> None:
    def questions() -> Iterator[bool | None]:
        yield solving.is_possible(size % 7 == 3, size > 100, other * 3 == size)
        yield solving.follows(size > 3, size > 4)

    costs = []
    for _ in range(3):
        with bounded(Effort(PLENTY)) as effort:
            list(questions())
        costs.append(effort.used)
    assert max(costs) < 1.2 * min(costs), costs


def test_products_of_matrices_are_work() -> None:
    with bounded(Effort(PLENTY)) as effort, Bounded():  # type: ignore[no-untyped-call]  # torch's
        torch.zeros(100, 200) @ torch.zeros(200, 300)
    assert effort.used == 2 * 100 * 200 * 300 / FLOPS


class Normalised(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4)

    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
        result: Tensor = self.norm(x.flip(1))
        return result


def test_the_process_goes_on_wherever_the_work_ends() -> None:
    """Torch asks for devices and layouts where an exception would abort the process."""
    proofs = [prove(Normalised(), budget=KERNEL * kernels) for kernels in range(3, 20)]
    assert all(not isinstance(proof, Proved) for proof in proofs)
    assert isinstance(prove(Normalised(), budget=math.inf), Proved)
