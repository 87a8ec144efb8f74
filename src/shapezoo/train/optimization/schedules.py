"""How the learning rate changes over the steps of a training."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shapezoo.train.optimization.unknown import unknown

Schedule = Callable[[int], float]
"""Maps how many steps have been taken, 0 before the first, to a factor of the learning rate."""


def constant(step: int) -> float:
    """A schedule that leaves the learning rate as it is."""
    return 1.0


@dataclass(frozen=True)
class LinearDecay:
    """A schedule that falls from 1 on a straight line, and stays where it ends.

    Args:
        steps: After how many steps it ends.
        final: The factor there, from 0 to 1.

    Raises:
        ValueError: There are no steps, or the factor is out of range.
    """

    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        _require_at_least("steps", self.steps, 1)
        _require_share("final", self.final)

    def __call__(self, step: int) -> float:
        """The factor after so many steps."""
        return _between(self.final, 1 - min(step / self.steps, 1))


@dataclass(frozen=True)
class CosineDecay:
    """A schedule that falls from 1 along half a cosine, and stays where it ends.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    arXiv:1608.03983, equation 5, without the restarts.

    Args:
        steps: After how many steps it ends.
        final: The factor there, from 0 to 1.

    Raises:
        ValueError: There are no steps, or the factor is out of range.
    """

    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        _require_at_least("steps", self.steps, 1)
        _require_share("final", self.final)

    def __call__(self, step: int) -> float:
        """The factor after so many steps."""
        return _between(self.final, (1 + math.cos(math.pi * min(step / self.steps, 1))) / 2)


@dataclass(frozen=True)
class StepDecay:
    """A schedule that is multiplied by `gamma` at regular times; exponential if at every step.

    Args:
        every: How many steps lie between two times.
        gamma: The factor, from 0 to 1.

    Raises:
        ValueError: There are no steps between, or the factor is out of range.
    """

    every: int
    gamma: float

    def __post_init__(self) -> None:
        _require_at_least("every", self.every, 1)
        _require_share("gamma", self.gamma)

    def __call__(self, step: int) -> float:
        """The factor after so many steps."""
        return self.gamma ** (step // self.every)


@dataclass(frozen=True)
class Warmup:
    """A schedule that rises on a straight line to the start of another, and then follows it.

    The first step has a small learning rate already, not 0, which would waste it.
    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017,
    arXiv:1706.02677, section 2.2.

    Args:
        steps: How many steps are below the start of the other one.
        then: The other one.

    Raises:
        ValueError: The number of steps is negative.
    """

    steps: int
    then: Schedule

    def __post_init__(self) -> None:
        _require_at_least("steps", self.steps, 0)

    def __call__(self, step: int) -> float:
        """The factor after so many steps."""
        if step < self.steps:
            return self.then(0) * (step + 1) / (self.steps + 1)
        return self.then(step - self.steps)


def _thirds(steps: int) -> Schedule:
    """A tenth after each third, as in torchvision's training of ResNet: every 30 of 90 epochs."""
    return StepDecay(every=-(-steps // 3), gamma=0.1)


SCHEDULES: Mapping[str, Callable[[int], Schedule]] = MappingProxyType(
    {
        "constant": lambda steps: constant,
        "cosine": CosineDecay,
        "linear": LinearDecay,
        "step": _thirds,
    }
)
"""The schedules that `choose_schedule` knows, each made for a number of steps."""


class UnknownScheduleError(LookupError):
    """No schedule has this name; the message gives the nearest ones and all."""

    __module__ = "shapezoo.train"


def choose_schedule(name: str, total_steps: int, *, warmup_steps: int = 0) -> Schedule:
    """The schedule of this name, for a training of so many steps.

    Args:
        name: One of `SCHEDULES`: ``"constant"``; ``"cosine"`` or ``"linear"``, which fall to 0;
            ``"step"``, which falls to a tenth after each third.
        total_steps: How many steps the training takes.
        warmup_steps: In how many of them, at the start, the learning rate rises.

    Raises:
        UnknownScheduleError: There is no such schedule.
        ValueError: There are no steps, or none after the warm-up.

    Example:
        ```pycon
        >>> from shapezoo.train import choose_schedule
        >>> schedule = choose_schedule("linear", 7, warmup_steps=3)
        >>> [schedule(step) for step in range(7)]
        [0.25, 0.5, 0.75, 1.0, 0.75, 0.5, 0.25]

        ```
    """
    if name not in SCHEDULES:
        raise UnknownScheduleError(unknown("schedule", name, SCHEDULES))
    _require_at_least("total_steps", total_steps, 1)
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(f"warmup_steps must be from 0 to {total_steps - 1}, got {warmup_steps}")
    schedule = SCHEDULES[name](total_steps - warmup_steps)
    return Warmup(warmup_steps, schedule) if warmup_steps else schedule


def _between(final: float, height: float) -> float:
    """The factor at a height from 0, which is exactly `final`, to 1, which is exactly 1."""
    return height + (1 - height) * final


def _require_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _require_share(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value}")
