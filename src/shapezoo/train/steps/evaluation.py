"""Measuring how well a model does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from shapezoo._dataset_errors import require_batch, require_batches
from shapezoo._datasets import Batch
from shapezoo.contracts import ShapeError
from shapezoo.train.steps import losses, metrics
from shapezoo.train.steps.averages import BatchLosses, Loss
from shapezoo.train.steps.processes import ALONE, Processes
from shapezoo.train.steps.state import State, copied, generators, lent, require_same, reshard

Correct = Callable[[Any, Tensor], Tensor | tuple[Tensor, Tensor | int]]
"""Counts the targets that a model's output gets right, of all; or these, and how many count."""


@dataclass(frozen=True)
class Metrics:
    """How well a model does on a set of examples.

    Attributes:
        loss: The mean loss.
        accuracy: The share of right answers, from 0 to 1; None where nothing is right or wrong.
        examples: How many targets counted: all, unless `correct` says otherwise.
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
    """Measure a model in evaluation mode, each target with the same weight.

    Args:
        model: The model; it gives the computation, the state gives its parameters.
        state: The parameters and buffers to measure.
        batches: The examples; they are moved to the device of the state.
        loss: The loss to report: a mean over all targets, or a sum and the weight to divide it by.
        correct: Counts the right answers; None for a regression, which has none.
        processes: Those that measure together, each on its own share of the examples.

    Raises:
        TypeError: An item is not a batch, but a tuple of tensors, for example.
        StateError: The state is that of another model.
        ValueError: There are no examples, none of the targets counts, or the loss of several
            batches cannot be computed from theirs.
    """
    total, weight, right, counted = processes.numbers(
        *_sums(model, state, batches, loss, correct, processes), device=state.device
    )
    if weight == 0:
        raise ValueError("batches: there are no examples to evaluate, or none whose targets count")
    accuracy = right / (counted or 1) if correct else None
    return Metrics(total / weight, accuracy, int(counted))


def rehearse(
    model: nn.Module,
    state: State,
    batches: Iterable[Batch],
    *,
    loss: Loss,
    correct: Correct | None,
) -> None:
    """Raise what `evaluate` would, except that no target of a few examples may count."""
    _sums(model, state, batches, loss, correct, ALONE)


def _sums(
    model: nn.Module,
    state: State,
    batches: Iterable[Batch],
    loss: Loss,
    correct: Correct | None,
    processes: Processes,
) -> tuple[float, float, int, int]:
    """The sum of the losses and of their weights, and how many answers are right, of how many."""
    require_same(model, state)
    require_batches("batches", batches)
    batch_losses = BatchLosses(loss)
    total, weight, right, counted = 0.0, 0.0, 0, 0
    obstacle = None  # no harm where there is one batch only
    # copies: nn.Embedding(max_norm=...) changes its weight in forward, a counter its buffer
    parameters = copied(state.parameters.items())
    frozen = {name: nn.Parameter(v, requires_grad=False) for name, v in parameters.items()}
    values, sharded = frozen | copied(state.buffers.items()), reshard(model)
    with (
        lent(model, values, training=False),
        generators(state.random, state.device),
        torch.no_grad(),
    ):
        for number, batch in enumerate(batches):
            require_batch("batches", batch)
            batch = batch.to(state.device)
            if (count := batch.targets.numel()) or sharded:  # where all must take part
                outputs = model(*batch.inputs)
            if count:
                part = batch_losses(outputs, batch.targets)
                obstacle = obstacle or batch_losses.obstacle(part, outputs, batch.targets)
                if obstacle and (number or processes.size > 1):
                    raise ValueError(obstacle)
                total += part.total
                weight += part.weight
                hits, answers = _answers(correct, outputs, batch.targets)
                right += hits
                counted += answers
    return total, weight, right, counted


def _answers(correct: Correct | None, outputs: Any, targets: Tensor) -> tuple[int, int]:
    """How many targets are right, and how many count."""
    try:
        result = correct(outputs, targets) if correct else targets.new_zeros(())
    except ShapeError as error:
        if correct is metrics.correct:
            error.add_note(
                "note: this is the default of correct; pass correct=None, or a function that "
                "returns how many targets are right, or (right, counted)"
            )
        raise
    right, counted = result if isinstance(result, tuple) else (result, targets.numel())
    return int(right), int(counted)
