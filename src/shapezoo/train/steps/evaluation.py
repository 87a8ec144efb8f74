"""Evaluating a model on a dataset."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shapezoo._dataset_errors import require_batch, require_batches
from shapezoo._datasets import Batch
from shapezoo.contracts import ShapeError
from shapezoo.train.steps import losses, metrics
from shapezoo.train.steps.batch_losses import BatchLosses, Loss
from shapezoo.train.steps.processes import ALONE, Processes
from shapezoo.train.steps.state import (
    State,
    generators_from,
    lent,
    require_same,
    reshard,
    untrained_copies,
)

Correct = Callable[[Any, Tensor], Tensor | tuple[Tensor, Tensor | int]]
"""Maps a model's output and the targets to the number of correct predictions among all targets; or
to that number and the number of targets that count."""


@dataclass(frozen=True)
class Metrics:
    """The metrics of a model on a set of examples.

    Attributes:
        loss: The mean loss.
        accuracy: The fraction of correct predictions; None for ``correct=None``.
        examples: The number of targets that count: all, unless `correct` says otherwise.
    """

    loss: float
    accuracy: float | None
    examples: int


def evaluate(
    model: nn.Module,
    state: State,
    batches: Iterable[Batch],
    *,
    loss: Loss = losses.cross_entropy,
    correct: Correct | None = metrics.correct,
    processes: Processes = ALONE,
) -> Metrics:
    """Evaluate a model in eval mode, with the same weight for each target.

    Args:
        model: The model; only its computation is used, its parameters come from the state.
        state: The parameters and buffers to evaluate.
        batches: The examples; they are moved to the device of the state.
        loss: The loss to report: a mean over all targets, or a sum and the weight to divide it by.
        correct: Counts the correct predictions; None for a regression.
        processes: The processes that evaluate together, each on its own share of the examples.

    Raises:
        TypeError: An item is not a batch; it is a tuple of tensors, for example.
        StateError: The state does not belong to this model.
        ValueError: There are no examples, none of the targets counts, or the losses of several
            batches cannot be combined.
    """
    total, weight, right, counted = processes.numbers(
        *sums(model, state, batches, loss, correct, processes), device=state.device
    )
    if weight == 0:
        raise ValueError("batches: there are no examples to evaluate, or none whose targets count")
    accuracy = right / (counted or 1) if correct else None
    return Metrics(total / weight, accuracy, int(counted))


def sums(
    model: nn.Module,
    state: State,
    batches: Iterable[Batch],
    loss: Loss,
    correct: Correct | None,
    processes: Processes,
) -> tuple[float, float, int, int]:
    """Return the sums of the losses, their weights, correct predictions and counted targets.

    Args:
        model: See `evaluate`, as for the others.
        state: The parameters and buffers to evaluate.
        batches: The examples of this process.
        loss: The loss.
        correct: Counts the correct predictions.
        processes: The processes that evaluate together; the sums are those of this one.

    Raises:
        Exception: What `evaluate` raises, unless no target counts.
    """
    require_same(model, state)
    require_batches("batches", batches)
    batch_losses = BatchLosses(loss)
    total, weight, right, counted = 0.0, 0.0, 0, 0
    obstacle = None
    values, sharded = untrained_copies(state), reshard(model)
    with (
        lent(model, values, training=False),
        generators_from(state.random, state.device),
        torch.no_grad(),
    ):
        for number, batch in enumerate(batches):
            require_batch("batches", batch)
            batch = batch.to(state.device)
            # FSDP gathers parameters in forward, so each process must run it for each batch
            if (count := batch.targets.numel()) or sharded:
                outputs = model(*batch.inputs)
            if count:
                part = batch_losses(outputs, batch.targets)
                obstacle = obstacle or batch_losses.obstacle(part, outputs, batch.targets)
                if obstacle and (number or processes.size > 1):  # one batch needs no combining
                    raise ValueError(obstacle)
                total += part.total
                weight += part.weight
                batch_right, batch_counted = _count(correct, outputs, batch.targets)
                right += batch_right
                counted += batch_counted
    return total, weight, right, counted


def _count(correct: Correct | None, outputs: Any, targets: Tensor) -> tuple[int, int]:
    """Return the number of correct predictions and of targets that count."""
    try:
        result = correct(outputs, targets) if correct else targets.new_zeros(())
    except ShapeError as error:
        if correct is metrics.correct:
            error.add_note(
                "note: this is the default of correct; pass correct=None, or a function that "
                "returns the number of correct predictions, or (correct, counted)"
            )
        raise
    right, counted = result if isinstance(result, tuple) else (result, targets.numel())
    return int(right), int(counted)
