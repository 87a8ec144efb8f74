"""What `fit` reports to observers, and the checkpoints that it saves and resumes from."""

from dataclasses import dataclass

from shapezoo.train.loop.example_order import ExampleOrder
from shapezoo.train.steps.evaluation import Metrics
from shapezoo.train.steps.state import State


@dataclass(frozen=True)
class StepDone:
    """A step has been taken.

    Attributes:
        epoch: The epoch of the step, from 1.
        step: The number of the step within the epoch, from 1.
        steps: The number of steps in an epoch.
        loss: The loss of the step's batch, before the step.
    """

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class EpochDone:
    """An epoch has ended.

    Attributes:
        epoch: The number of the epoch, from 1.
        loss: The mean loss of its batches, each computed before its step.
        test: The metrics on the test set after the epoch.
    """

    epoch: int
    loss: float
    test: Metrics


Event = StepDone | EpochDone
"""An event that `fit` reports to its observers."""


@dataclass(frozen=True, eq=False)
class Best:
    """The epoch with the lowest loss on the test set.

    Attributes:
        epoch: The number of the epoch, from 1.
        loss: The loss on the test set.
        state: The state at the end of the epoch.
    """

    epoch: int
    loss: float
    state: State


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that `fit` needs to continue as if it had never stopped.

    Attributes:
        state: The state after the last step.
        loss: The sum of the losses of the unfinished epoch, each times its weight.
        examples: The sum of these weights: the number of targets, unless the loss returns others.
        best: The best epoch so far, if the training has a `patience`.
        order: What determines the examples of each step, which `fit` compares; None if unknown.
    """

    state: State
    loss: float = 0.0
    examples: float = 0
    best: Best | None = None
    order: ExampleOrder | None = None
