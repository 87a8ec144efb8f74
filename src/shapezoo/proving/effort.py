"""How much work a proof may do.

Work is counted, not timed: steps of z3, kernels run on symbols and what they ask of sizes, modules
and products of matrices on real kernels. The count is the same on a busy and on a quiet machine, so
the verdict is too. One unit of work takes about a second of one core. Seconds of CPU time are a
safety stop only.
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
"""How many steps of z3 one question may take (see `each_at_most`); so many are a unit of work."""

KERNEL = 1 / 1600
"""The work of a kernel on symbols."""

QUESTION = 1 / 5000
"""The work of a question about sizes, of which a kernel may ask several."""

MODULE = 1 / 10_000
"""The work of a module on real kernels, which run at small sizes."""

SAFETY = 2.0
"""Seconds of CPU time that a unit of work may take on a slow machine."""


class WorkOverError(BaseException):
    """The work that a proof may do is done; the message says what has run out.

    It is no Exception, since a model that catches those must not catch it.
    """


@dataclass
class Effort:
    """What work may be done, and what was.

    Attributes:
        work: How much may be done, in units.
        deadline: When to stop in any case, in seconds of `time.thread_time`.
        used: How much was done.
    """

    work: float
    deadline: float = math.inf
    used: float = 0.0

    @property
    def remaining(self) -> float:
        """How much is left."""
        return max(0.0, self.work - self.used)

    def require_some(self) -> None:
        """Raise if nothing is left.

        Raises:
            WorkOverError: The work is done, or the deadline has passed.
        """
        if not self.remaining:
            raise WorkOverError(f"the budget ({self.work:.3g}) is used up; a larger one finds more")
        if time.thread_time() > self.deadline:
            raise WorkOverError("the CPU time is used up; a larger budget finds more")


_EFFORT: contextvars.ContextVar[Effort | None] = contextvars.ContextVar("effort", default=None)


def budgeted(budget: float) -> Effort:
    """Return the effort of a proof, with its safety stop from now on."""
    return Effort(budget, time.thread_time() + SAFETY * budget)


def remaining() -> float:
    """Return how much work is left."""
    effort = _EFFORT.get()
    return math.inf if effort is None else effort.remaining


def spend(work: float) -> None:
    """Count work that is to be done.

    Raises:
        WorkOverError: None is left.
    """
    require_some()
    note(work)


def require_some() -> None:
    """Raise if no work is left.

    Raises:
        WorkOverError: None is left.
    """
    effort = _EFFORT.get()
    if effort is not None:
        effort.require_some()


def note(work: float) -> None:
    """Count work that is to be done, where an exception would end the process, as in C++."""
    effort = _EFFORT.get()
    if effort is not None:
        effort.used += work


@contextlib.contextmanager
def bounded(effort: Effort) -> Iterator[Effort]:
    """Let all that is done in a ``with`` block draw from an effort.

    The block ends with WorkOverError when nothing is left. Blocks can be nested: what is used in
    the inner one counts in the outer one too, and the inner one has no more than is left there.
    """
    outer = _EFFORT.get()
    if outer is not None:
        effort.work = min(effort.work, effort.used + outer.remaining)
        effort.deadline = min(effort.deadline, outer.deadline)
    before, token = effort.used, _EFFORT.set(effort)
    try:
        yield effort
    finally:
        _EFFORT.reset(token)
        if outer is not None:
            outer.used += effort.used - before


_MOST: contextvars.ContextVar[int] = contextvars.ContextVar("most", default=STEPS)


@contextlib.contextmanager
def each_at_most(steps: int) -> Iterator[None]:
    """Let each question in a ``with`` block take so many steps at most, instead of `STEPS`."""
    token = _MOST.set(min(steps, _MOST.get()))
    try:
        yield
    finally:
        _MOST.reset(token)


class MeteredSolver(z3.Solver):  # type: ignore[misc]  # z3 has no types
    """A solver that gives up long questions, and draws from the current effort."""

    def check(self, *assumptions: Any) -> Any:
        """Ask whether there are sizes for which all that was added holds.

        Raises:
            WorkOverError: No work is left, before or after the question.
        """
        effort = _EFFORT.get()
        if effort is None:
            self.set("rlimit", _MOST.get())
            return super().check(*assumptions)
        effort.require_some()
        self.set("rlimit", math.ceil(min(_MOST.get(), effort.remaining * STEPS)))
        before = self._count()
        answer = super().check(*assumptions)
        effort.used += (self._count() - before) / STEPS
        if answer == z3.unknown:  # if the work ran out, this is not z3's answer
            effort.require_some()
        return answer

    def _count(self) -> int:
        statistics = self.statistics()
        return int(statistics.get_key_value("rlimit count")) if len(statistics) else 0
