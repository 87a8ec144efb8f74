"""Count the work of a proof, and stop it when the budget is used up.

Work is counted, not timed: steps of z3, kernels on symbolic sizes and the questions they ask, and
modules and matrix products on real kernels. A time limit would make a verdict depend on how busy
the machine is; the count is the same everywhere. One unit of work takes about a second on one core.
CPU time is only a safety stop, at twice what the work should take.
"""

import contextlib
import contextvars
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import z3

STEPS = 3_000_000
"""Steps of z3 per unit of work, and the most that one question may take (see `each_at_most`)."""

KERNEL = 1 / 1600
"""The work of one kernel on symbolic sizes."""

QUESTION = 1 / 5000
"""The work of one question about sizes; a kernel may ask several."""

MODULE = 1 / 10_000
"""The work of one module on real kernels, which run at small sizes."""

SAFETY = 2.0
"""CPU seconds allowed per unit of work, for slow machines."""


class WorkOverError(BaseException):
    """The budget is used up; the message says which one.

    It is not an Exception, so that a model which catches those does not catch it.
    """


@dataclass
class Effort:
    """A budget of work.

    Attributes:
        work: The budget, in units.
        deadline: When to stop in any case, in seconds of `time.thread_time`.
        used: The work done so far.
    """

    work: float
    deadline: float = math.inf
    used: float = 0.0

    @property
    def remaining(self) -> float:
        """The work that is left."""
        return max(0.0, self.work - self.used)


_UNBOUNDED = Effort(math.inf)  # outside of a proof; only counts

_EFFORT = contextvars.ContextVar("effort", default=_UNBOUNDED)


def used() -> float:
    """Return the work done so far within the current effort."""
    return _EFFORT.get().used


def require_some() -> None:
    """Raise if no work is left.

    Raises:
        WorkOverError: The budget is used up, or the deadline has passed.
    """
    effort = _EFFORT.get()
    if not effort.remaining:
        raise WorkOverError(f"the budget ({effort.work:.3g}) is used up; try a larger one")
    if time.thread_time() > effort.deadline:
        raise WorkOverError("the CPU time is used up; try a larger budget")


def note(work: float) -> None:
    """Count work without raising.

    For callbacks from PyTorch's C++ code, where an exception would abort the process.
    """
    _EFFORT.get().used += work


@contextlib.contextmanager
def bounded(effort: Effort) -> Iterator[Effort]:
    """Bound the work inside a ``with`` block by an effort.

    The block ends with WorkOverError when nothing is left. Blocks can be nested: work in the inner
    block counts for the outer one too, and the inner block gets no more than the outer one has
    left.
    """
    outer = _EFFORT.get()
    effort.work = min(effort.work, effort.used + outer.remaining)
    effort.deadline = min(effort.deadline, outer.deadline)
    before, token = effort.used, _EFFORT.set(effort)
    try:
        yield effort
    finally:
        _EFFORT.reset(token)
        outer.used += effort.used - before


_MOST_STEPS = contextvars.ContextVar("most_steps", default=STEPS)


@contextlib.contextmanager
def each_at_most(steps: int) -> Iterator[None]:
    """Limit each question in a ``with`` block to a number of steps, instead of `STEPS`."""
    token = _MOST_STEPS.set(min(steps, _MOST_STEPS.get()))
    try:
        yield
    finally:
        _MOST_STEPS.reset(token)


class MeteredSolver(z3.Solver):  # type: ignore[misc]  # z3 has no types
    """A solver that gives up on long questions, and counts its steps as work."""

    def check(self, *assumptions: Any) -> Any:
        """Ask whether there are sizes that satisfy everything that was added.

        Raises:
            WorkOverError: No work is left, before or after the question.
        """
        effort = _EFFORT.get()
        require_some()
        self.set("rlimit", math.ceil(min(_MOST_STEPS.get(), effort.remaining * STEPS)))
        before = self._count()
        answer = super().check(*assumptions)
        effort.used += (self._count() - before) / STEPS
        # "unknown" may mean that the work ran out rather than that z3 gave up
        if answer == z3.unknown:
            require_some()
        return answer

    def _count(self) -> int:
        statistics = self.statistics()
        return int(statistics.get_key_value("rlimit count")) if len(statistics) else 0
