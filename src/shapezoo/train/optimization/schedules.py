"""Learning rate schedules: the factor of the learning rate at each step of a training."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shapezoo._names import unknown_name

Schedule = Callable[[int], float]
"""Maps the number of steps taken, 0 before the first, to a factor of the learning rate."""


def constant(step: int) -> float:
    """Return 1: a schedule that keeps the learning rate as it is."""
    return 1.0


@dataclass(frozen=True)
class _Decay:
    """Falls from 1 to `final` along a curve, and stays there."""

    steps: int
    final: float = 0.0

    def __post_init__(self) -> None:
        _require_at_least("steps", self.steps, 1)
        _require_fraction("final", self.final)

    def __call__(self, step: int) -> float:
        """Return the factor after this number of steps."""
        height = self._height(min(step / self.steps, 1))
        # written so that a height of 1 gives exactly 1, and a height of 0 exactly `final`
        return height + (1 - height) * self.final

    def _height(self, progress: float) -> float:
        """Return the height of the curve, from 1 to 0, for a progress from 0 to 1."""
        raise NotImplementedError


@dataclass(frozen=True)
class LinearDecay(_Decay):
    """A schedule that falls linearly from 1 to `final`, then stays there.

    Args:
        steps: The number of steps until it reaches `final`.
        final: The last factor, from 0 to 1.

    Raises:
        ValueError: `steps` is less than 1, or `final` is out of range.
    """

    def _height(self, progress: float) -> float:
        return 1 - progress


@dataclass(frozen=True)
class CosineDecay(_Decay):
    """A schedule that falls from 1 to `final` along half a cosine, then stays there.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", ICLR 2017,
    arXiv:1608.03983, equation 5, without the restarts.

    Args:
        steps: The number of steps until it reaches `final`.
        final: The last factor, from 0 to 1.

    Raises:
        ValueError: `steps` is less than 1, or `final` is out of range.
    """

    def _height(self, progress: float) -> float:
        return (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class StepDecay:
    """A schedule that is multiplied by `gamma` at regular intervals; exponential for ``every=1``.

    Args:
        every: The number of steps in an interval.
        gamma: The factor, from 0 to 1.

    Raises:
        ValueError: `every` is less than 1, or `gamma` is out of range.
    """

    every: int
    gamma: float

    def __post_init__(self) -> None:
        _require_at_least("every", self.every, 1)
        _require_fraction("gamma", self.gamma)

    def __call__(self, step: int) -> float:
        """Return the factor after this number of steps."""
        return self.gamma ** (step // self.every)


@dataclass(frozen=True)
class Warmup:
    """A schedule that rises linearly to the first factor of another, and then follows it.

    The first step has a small factor, not 0, which would waste the step.
    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017,
    arXiv:1706.02677, section 2.2.

    Args:
        steps: The number of steps before the other schedule starts.
        then: The other schedule.

    Raises:
        ValueError: The number of steps is negative.
    """

    steps: int
    then: Schedule

    def __post_init__(self) -> None:
        _require_at_least("steps", self.steps, 0)

    def __call__(self, step: int) -> float:
        """Return the factor after this number of steps."""
        if step < self.steps:
            return self.then(0) * (step + 1) / (self.steps + 1)
        return self.then(step - self.steps)


def _thirds(steps: int) -> Schedule:
    """Divide by 10 after each third, as torchvision trains ResNet: every 30 of 90 epochs."""
    return StepDecay(every=-(-steps // 3), gamma=0.1)


SCHEDULES: Mapping[str, Callable[[int], Schedule]] = MappingProxyType(
    {
        "constant": lambda steps: constant,
        "cosine": CosineDecay,
        "linear": LinearDecay,
        "step": _thirds,
    }
)
"""The schedules that `choose_schedule` can build, each for a number of steps."""


class UnknownScheduleError(LookupError):
    """No schedule has this name; the message lists close matches and all valid names."""

    __module__ = "shapezoo.train"


def choose_schedule(name: str, total_steps: int, *, warmup_steps: int = 0) -> Schedule:
    """Return the schedule of this name for a training of a number of steps.

    Args:
        name: One of `SCHEDULES`: ``"constant"``; ``"cosine"`` or ``"linear"``, which fall to 0;
            ``"step"``, which divides by 10 after each third.
        total_steps: The number of steps of the training.
        warmup_steps: The number of steps at the start in which the learning rate rises.

    Raises:
        UnknownScheduleError: No schedule has this name.
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
        raise UnknownScheduleError(unknown_name("schedule", name, SCHEDULES))
    _require_at_least("total_steps", total_steps, 1)
    if not 0 <= warmup_steps < total_steps:
        raise ValueError(f"warmup_steps must be from 0 to {total_steps - 1}, got {warmup_steps}")
    schedule = SCHEDULES[name](total_steps - warmup_steps)
    return Warmup(warmup_steps, schedule) if warmup_steps else schedule


def _require_at_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


def _require_fraction(name: str, value: float) -> None:
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be from 0 to 1, got {value}")
