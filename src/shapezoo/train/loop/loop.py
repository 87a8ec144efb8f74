"""The loop over epochs, which reports to whoever listens."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from shapezoo._dataset_errors import require_selectable
from shapezoo._datasets import Batch
from shapezoo._seeding import kept_normal
from shapezoo.train.loop.order import ExampleOrder, order_of
from shapezoo.train.loop.preflight import (
    rehearse_last_batch,
    rehearse_test,
    require_count,
    require_functions,
)
from shapezoo.train.loop.selecting import Steps, select
from shapezoo.train.optimization.building import MakeOptimizer
from shapezoo.train.optimization.schedules import Schedule, constant
from shapezoo.train.steps import losses, metrics
from shapezoo.train.steps.averages import Loss
from shapezoo.train.steps.evaluation import Correct, Metrics, evaluate
from shapezoo.train.steps.processes import ALONE, Processes
from shapezoo.train.steps.state import State, reshard
from shapezoo.train.steps.step import OnNan, Training


class Dataset(Protocol):
    """Examples that are found by their indices; `shapezoo.data.as_dataset` makes one."""

    def __len__(self) -> int:
        """The number of examples."""
        ...

    def select(self, indices: Tensor, /) -> Batch:
        """The examples at these indices, from 0, as a batch.

        Only models of `fully_shard` are given empty batches, and so ask for no indices.
        """
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


@dataclass(frozen=True, eq=False)
class Best:
    """The epoch with the lowest loss on the test set.

    Attributes:
        epoch: Its number, from 1.
        loss: That loss.
        state: The state at its end.
    """

    epoch: int
    loss: float
    state: State


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Where a training stands, so that `fit` can go on from there as if it had never stopped.

    Attributes:
        state: The state after the last step.
        loss: The sum of the losses of the epoch that has begun, each times its weight.
        examples: The sum of these weights: the number of targets, unless the loss returns another.
        best: The best epoch so far, of a training that looks for it.
        order: What decided which examples the steps saw, which `fit` compares; None if unknown.
    """

    state: State
    loss: float = 0.0
    examples: float = 0
    best: Best | None = None
    order: ExampleOrder | None = None


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
    start: State | Checkpoint,
    train: Dataset,
    test: Dataset,
    *,
    epochs: int,
    batch_size: int,
    seed: int = 0,
    accumulate: int = 1,
    num_workers: int = 0,
    loss: Loss = losses.cross_entropy,
    correct: Correct | None = metrics.correct,
    schedule: Schedule = constant,
    clip_norm: float | None = None,
    autocast: torch.dtype | None = None,
    on_nan: OnNan = "continue",
    patience: int | None = None,
    observers: Sequence[Callable[[Event], None]] = (),
    save: Callable[[Checkpoint], None] | None = None,
    save_every: int | None = None,
    stop: Callable[[], bool] | None = None,
    processes: Processes = ALONE,
) -> State:
    """Train for some epochs, and measure on the test set after each.

    The steps are those of `train_step`, bit for bit. A training that goes on from a checkpoint
    ends in the same state as one that was never interrupted.

    Args:
        model: The model; neither it nor what the training starts from is modified.
        make_optimizer: Builds the optimizer.
        start: Where to start from; the steps that lie behind it count. With a checkpoint the
            training examples, `batch_size` and `seed` must be those that it was reached with,
            or steps would see other examples than in one go; the other settings should be. Its
            digest of the examples covers at most 256 of them, evenly spread, and all that is
            held in memory by a dataclass of tensors.
        train: What to learn from; `shapezoo.data.as_dataset` adapts datasets of PyTorch. What
            its `select` draws from torch's generator on the CPU, from Python's `random` and from
            ``numpy.random`` is seeded by `seed`, the epoch and the step, or for each example as
            `shapezoo.data.seeded_example` says; `evaluate` sees the same draws in every epoch.
        test: What to measure on.
        epochs: How often each example is seen, at least 1.
        batch_size: Examples of a step, at least 1.
        seed: Seeds the order of the examples, which is another in each epoch, and what is drawn
            when they are picked.
        accumulate: How many parts to cut a batch into, whose gradients are added up; for batches
            that are too large for the memory.
        num_workers: How many processes pick the examples to learn from, with PyTorch's
            DataLoader; for datasets that read files. Where processes are spawned, as on Windows
            and macOS, the script must train under ``if __name__ == "__main__":``.
        loss: What to lower. It returns the mean over all targets, or a sum and the weight to
            divide it by.
        correct: Counts the right answers of the test; None for a regression.
        schedule: Maps the number of steps taken to a factor of the learning rate.
        clip_norm: Gradients whose norm, over all parameters, is larger are scaled down to it.
        autocast: ``torch.bfloat16`` for mixed precision.
        on_nan: ``"stop"`` to raise an error if a loss is NaN or infinite, before the parameters
            change; ``"continue"`` to go on.
        patience: How many epochs in a row may bring no lower loss on the test set before the
            training ends; it then gives the state with the lowest one. What decides when to end
            should not also be what a result is reported on.
        observers: Called with each event.
        save: Called with a checkpoint at the end of each epoch, and where `stop` ends the
            training.
        save_every: Also call `save` every this many steps.
        stop: Called after each step; the training ends as soon as it returns True.
        processes: Those that train together; each takes its share of every batch.

    Returns:
        The state after the last step, or with `patience` the best one.

    Raises:
        TypeError: A count is not a whole number; or a dataset cannot select examples, or returns
            something other than a batch.
        ValueError: A setting is out of range, there are no examples, the last batch is too small
            for BatchNorm, or the loss of several batches cannot be computed from theirs.
        StateError: The state is that of another model or optimizer, or the checkpoint that of a
            training on other examples or with another batch size or seed.
        NonFiniteLossError: A loss is NaN or infinite, and `on_nan` is ``"stop"``.
    """
    counts = {"epochs": epochs, "batch_size": batch_size, "accumulate": accumulate}
    optional = {"patience": patience, "save_every": save_every}
    counts |= {name: count for name, count in optional.items() if count is not None}
    for name, count in counts.items():
        require_count(name, count)
    require_count("seed", seed, least=0)
    require_count("num_workers", num_workers, least=0)
    # torch wants no integers of numpy
    batch_size, accumulate, seed = int(batch_size), int(accumulate), int(seed)
    require_functions(loss, correct, schedule, save, stop, observers)
    for name, dataset in {"train": train, "test": test}.items():
        require_selectable(name, dataset)
    if (steps := iterations(len(train), batch_size)) == 0:
        raise ValueError("train: there are no examples to learn from")
    if len(test) == 0:
        raise ValueError("test: there are no examples to measure on")
    checkpoint = _as_checkpoint(start)
    training = Training(
        model,
        make_optimizer,
        checkpoint.state,
        loss=loss,
        schedule=schedule,
        clip_norm=clip_norm,
        autocast=autocast,
        on_nan=on_nan,
        processes=processes,
    )
    is_sharded, order = reshard(model), checkpoint.order
    if save or order:
        order = order_of(train, batch_size=batch_size, seed=seed, reached=order)
    epoch, behind = divmod(checkpoint.state.step, steps)
    total, examples = checkpoint.loss, checkpoint.examples
    best = checkpoint.best if patience else None
    del start, checkpoint  # the training has copies; theirs would be memory for nothing

    def shares(count: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """The indices of what this process sees of each batch."""
        order = torch.randperm(count, generator=generator) if generator else torch.arange(count)
        for indices in torch.split(order, batch_size):
            yield indices[processes.rank :: processes.size]

    def measure() -> Metrics:
        training.release_gradients()  # their memory is enough for the copies of `evaluate`
        batches = (
            select(test, share, (seed, "test"), step, processes.rank)
            for step, share in enumerate(shares(len(test)))
            if len(share) or is_sharded
        )
        return evaluate(
            model, training.state(), batches, loss=loss, correct=correct, processes=processes
        )

    def report(event: Event) -> None:
        for observer in observers:
            observer(event)

    def keep(state: State) -> None:
        if save:
            save(Checkpoint(state, total, examples, best, order))

    def is_stopped() -> bool:
        return any(processes.numbers(stop(), device=training.device)) if stop else False

    with training.running(), kept_normal():
        rehearse_last_batch(training, model, train, batch_size, accumulate, processes.size)
        if epoch < epochs and not is_sharded:  # or else all processes must have as many batches
            rehearse_test(model, training.state(), test, shares(len(test)), loss, correct)
        while epoch < epochs and not (patience and best and epoch - best.epoch >= patience):
            epoch += 1
            generator = _generator(seed, epoch)
            ahead = list(enumerate(shares(len(train), generator), start=1))[behind:]
            batches = Steps(
                train,
                (seed, "train", epoch),
                accumulate=accumulate,
                rank=processes.rank,
                with_empty=is_sharded,
            ).fetched(ahead, num_workers, generator)
            for number, parts in enumerate(batches, start=behind + 1):
                value, weight = training.step(parts)
                total += value * weight
                examples += weight
                report(StepDone(epoch, number, steps, value))
                if number == steps:
                    break
                if is_stopped():
                    keep(training.snapshot())
                    return training.state()
                if save_every and training.steps % save_every == 0:
                    keep(training.snapshot())
            measured, mean = measure(), total / (examples or 1)
            behind, total, examples = 0, 0.0, 0
            is_best = bool(patience) and (best is None or _is_lower(measured.loss, best.loss))
            best = None if is_best else best  # free its memory before there is another
            reached = training.snapshot() if save or is_best else training.state()
            if is_best:
                best = Best(epoch, measured.loss, reached)
            report(EpochDone(epoch, mean, measured))
            keep(reached)
            del reached  # as large as the training itself
            if is_stopped():
                return training.state()
    return best.state if best else training.state()


def _as_checkpoint(start: object) -> Checkpoint:
    if isinstance(start, Checkpoint):
        return start
    if isinstance(start, State):
        return Checkpoint(start)
    advice = "init(model, make_optimizer)"
    if isinstance(start, tuple) and start and isinstance(start[0], Checkpoint):
        advice = "checkpoint, _ = load_checkpoint(path), and then the checkpoint"
    elif isinstance(start, str | os.PathLike):
        advice = "load_checkpoint(path)[0]"
    raise TypeError(
        f"start must be a State or a Checkpoint, got a {type(start).__name__}; pass {advice}"
    )


def _is_lower(loss: float, than: float) -> bool:
    """Whether a loss is lower than another; any number is lower than NaN."""
    return loss < than or (math.isnan(than) and not math.isnan(loss))


def _generator(seed: int, epoch: int) -> torch.Generator:
    """Draws the order of the examples in an epoch."""
    seeds = torch.randint(2**32, (epoch,), generator=torch.Generator().manual_seed(seed))
    return torch.Generator().manual_seed(int(seeds[-1]))
