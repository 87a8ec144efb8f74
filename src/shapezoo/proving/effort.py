"""How much a proof may ask of z3, counted in z3's own steps.

A count of steps is the same on a busy and on a quiet machine, so the verdict is too. z3 keeps one
count for the whole process (``rlimit count``); the difference before and after a question is what
the question has cost. Seconds of CPU time are a safety stop only, looked at between questions.
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
"""How many steps of z3 one question may take, a second or so."""


class WorkOverError(Exception):
    """The work that a proof may do is done; the message says what has run out."""


@dataclass
class Effort:
    """What may be asked of z3, and what has been.

    Attributes:
        steps: How many steps of z3 all questions together may take.
        deadline: When to stop in any case, in seconds of `time.process_time`.
        steps_used: How many steps they have taken so far.
    """

    steps: int
    deadline: float = math.inf
    steps_used: int = 0

    @property
    def remaining(self) -> int:
        """How many steps are left."""
        return max(0, self.steps - self.steps_used)

    def require_some(self) -> None:
        """Raise if nothing is left.

        Raises:
            WorkOverError: The steps are used up, or the deadline has passed.
        """
        if not self.remaining:
            raise WorkOverError(
                f"{self.steps:,} steps of z3 are used up; a larger budget finds more"
            )
        if time.process_time() > self.deadline:
            raise WorkOverError("the CPU time is used up; a larger budget finds more")


_EFFORT: contextvars.ContextVar[Effort | None] = contextvars.ContextVar("effort", default=None)


@contextlib.contextmanager
def bounded(effort: Effort) -> Iterator[Effort]:
    """Let all questions in a ``with`` block draw from an effort.

    The block ends with WorkOverError when nothing is left. Blocks can be nested: what is used in
    the inner one counts in the outer one too, and the inner one has no more than is left there.
    """
    outer = _EFFORT.get()
    if outer is not None:
        effort.steps = min(effort.steps, effort.steps_used + outer.remaining)
        effort.deadline = min(effort.deadline, outer.deadline)
    before, token = effort.steps_used, _EFFORT.set(effort)
    try:
        yield effort
    finally:
        _EFFORT.reset(token)
        if outer is not None:
            outer.steps_used += effort.steps_used - before


class MeteredSolver(z3.Solver):  # type: ignore[misc]  # z3 has no types
    """A solver that gives up a question after `STEPS`, and draws from the current effort."""

    def check(self, *assumptions: Any) -> Any:
        """Ask whether there are sizes for which all that was added holds.

        Raises:
            WorkOverError: There is no effort left, before or after.
        """
        effort = _EFFORT.get()
        if effort is None:
            self.set("rlimit", STEPS)
            return super().check(*assumptions)
        effort.require_some()
        self.set("rlimit", min(STEPS, effort.remaining))
        before = self._steps()
        answer = super().check(*assumptions)
        effort.steps_used += self._steps() - before
        if answer == z3.unknown:  # what is cut short by the end of the work is no answer
            effort.require_some()
        return answer

    def _steps(self) -> int:
        statistics = self.statistics()
        return int(statistics.get_key_value("rlimit count")) if len(statistics) else 0
