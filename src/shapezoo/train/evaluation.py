"""Measuring how well a model does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from shapezoo.train import losses, metrics
from shapezoo.train.processes import ALONE, Processes
from shapezoo.train.state import State, copied, generators, lent, require_same, reshard
from shapezoo.train.step import Batch, Loss

Correct = Callable[[Tensor, Tensor], Tensor]
"""Counts the targets that a model's output gets right."""


@dataclass(frozen=True)
class Metrics:
    """How well a model does on a set of examples.

    Attributes:
        loss: The mean loss.
        accuracy: The share of right answers, from 0 to 1; None where nothing is right or wrong.
        examples: How many answers there were: one for each target.
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
        loss: The loss to report.
        correct: Counts the right answers; None for a regression, which has none.
        processes: Those that measure together, each on its own share of the examples.

    Raises:
        StateError: The state is that of another model.
        ValueError: There are no examples.
    """
    require_same(model, state)
    total, right, examples = 0.0, 0, 0
    # copies: nn.Embedding(max_norm=...) changes its weight in forward, a counter its buffer
    parameters = copied(state.parameters.items())
    frozen = {name: nn.Parameter(v, requires_grad=False) for name, v in parameters.items()}
    values, sharded = frozen | copied(state.buffers.items()), reshard(model)
    with (
        lent(model, values, training=False),
        generators(state.random, state.device),
        torch.no_grad(),
    ):
        for batch in batches:
            batch = batch.to(state.device)
            if (count := batch.targets.numel()) or sharded:  # where all must take part
                outputs = model(*batch.inputs)
            if count:
                total += loss(outputs, batch.targets).item() * count
                right += int(correct(outputs, batch.targets)) if correct else 0
                examples += count
    total, right_of_all, count_of_all = processes.numbers(
        total, right, examples, device=state.device
    )
    if count_of_all == 0:
        raise ValueError("batches: there are no examples to evaluate")
    accuracy = right_of_all / count_of_all if correct else None
    return Metrics(total / count_of_all, accuracy, int(count_of_all))
