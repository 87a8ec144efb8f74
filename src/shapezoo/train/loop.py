"""The loop over epochs, which reports to whoever listens."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import nn

from shapezoo.train import losses, metrics
from shapezoo.train.step import (
    Batch,
    Correct,
    Loss,
    MakeOptimizer,
    Metrics,
    State,
    evaluate,
    train_step,
)


class Dataset(Protocol):
    """Examples that come in batches."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """All examples once; the generator, if there is one, draws their order."""
        ...


@dataclass(frozen=True)
class StepDone:
    """A step has been taken.

    Attributes:
        epoch: The epoch it belongs to, from 1.
        step: Its number within the epoch, from 1.
        steps: How many steps an epoch has.
        loss: The loss of its batch, before the step.
    """

    epoch: int
    step: int
    steps: int
    loss: float


@dataclass(frozen=True)
class EpochDone:
    """All examples have been seen once more.

    Attributes:
        epoch: The number of the epoch, from 1.
        loss: The mean loss of its batches, each measured before its step.
        test: How well the model does on the test set.
    """

    epoch: int
    loss: float
    test: Metrics


Event = StepDone | EpochDone
"""Something that `fit` reports."""


def iterations(examples: int, batch_size: int) -> int:
    """How many steps an epoch takes; the last batch may be smaller than the others.

    Args:
        examples: How many examples there are.
        batch_size: How many of them a step sees.

    Raises:
        ValueError: The batch size is not positive.

    Example:
        ```pycon
        >>> from shapezoo.train import iterations
        >>> iterations(10_000, 1_000)
        10

        ```
    """
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    return -(-examples // batch_size)


def fit(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    state: State,
    train: Dataset,
    test: Dataset,
    *,
    epochs: int,
    batch_size: int,
    generator: torch.Generator,
    loss: Loss = losses.cross_entropy,
    correct: Correct | None = metrics.correct,
    observers: Sequence[Callable[[Event], None]] = (),
) -> State:
    """Train for some epochs, and measure on the test set after each.

    Args:
        model: The model; neither it nor the state is modified.
        make_optimizer: Builds the optimizer.
        state: Where to start from.
        train: What to learn from.
        test: What to measure on.
        epochs: How often each example is seen, at least 1.
        batch_size: Examples of a step, at least 1.
        generator: Draws the order of the examples.
        loss: What to lower.
        correct: Counts the right answers of the test; None for a regression.
        observers: Called with each event.

    Returns:
        The state after the last step.

    Raises:
        ValueError: The number of epochs or the batch size is not positive, or there are no
            examples.
    """
    if epochs < 1:
        raise ValueError(f"epochs must be at least 1, got {epochs}")
    if (steps := iterations(len(train), batch_size)) == 0:
        raise ValueError("train: there are no examples to learn from")

    def report(event: Event) -> None:
        for observer in observers:
            observer(event)

    for epoch in range(1, epochs + 1):
        total, count = 0.0, 0
        for step, batch in enumerate(train.batches(batch_size, generator), start=1):
            state, value = train_step(model, make_optimizer, state, batch, loss=loss)
            total += value * batch.targets.numel()
            count += batch.targets.numel()
            report(StepDone(epoch, step, steps, value))
        measured = evaluate(model, state, test.batches(batch_size), loss=loss, correct=correct)
        report(EpochDone(epoch, total / count, measured))
    return state
