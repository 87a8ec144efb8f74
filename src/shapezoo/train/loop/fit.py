"""The training loop: epochs of steps, evaluation, checkpoints and events.

A training can be resumed at any step because nothing depends on what happened in this process
before it. The order of the examples in an epoch, and the seeds of their augmentation, follow from
the seed, the epoch and the step; everything else is in the checkpoint. Resuming therefore draws the
whole order of the epoch again and skips the steps that were already taken.
"""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor, nn

from shapezoo._dataset_errors import require_selectable
from shapezoo._datasets import Batch, Selectable
from shapezoo._seeding import kept_normal
from shapezoo.train.loop.example_order import order_of
from shapezoo.train.loop.preflight import (
    rehearse_last_batch,
    rehearse_test,
    require_count,
    require_functions,
)
from shapezoo.train.loop.seeded_batches import StepBatches, select
from shapezoo.train.loop.training_records import Best, Checkpoint, EpochDone, Event, StepDone
from shapezoo.train.optimization.optimizers import MakeOptimizer
from shapezoo.train.optimization.schedules import Schedule, constant
from shapezoo.train.steps import losses, metrics
from shapezoo.train.steps.batch_losses import Loss
from shapezoo.train.steps.evaluation import Correct, Metrics, evaluate
from shapezoo.train.steps.processes import ALONE, Processes
from shapezoo.train.steps.state import State, reshard
from shapezoo.train.steps.step import OnNan, StepSettings, Training


class Dataset(Selectable[Batch], Protocol):
    """A dataset that returns batches for indices; `shapezoo.data.as_dataset` makes one.

    It has ``__len__``, the number of examples, and ``select``, which returns the examples at these
    indices, from 0, as a batch. The indices are only empty for models of `fully_shard`, which take
    empty batches.
    """


def iterations(examples: int, batch_size: int) -> int:
    """Return the number of steps in an epoch; the last batch may be smaller than the others.

    Args:
        examples: The number of examples.
        batch_size: The number of examples in a step.

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
    """Train for a number of epochs, and evaluate on the test set after each.

    The steps equal those of `train_step`, bit for bit. A training that is resumed from a checkpoint
    ends in the same state as one that was never interrupted.

    Args:
        model: The model; neither it nor `start` is modified.
        make_optimizer: Builds the optimizer.
        start: The state or checkpoint to start from; the steps that it has taken count. With a
            checkpoint, the training examples, `batch_size` and `seed` must be those of the training
            that saved it, or some examples would be skipped and others repeated; the other settings
            should be. The examples are compared by a digest, which covers at most 256 of them,
            evenly spaced, and everything that a dataclass of tensors holds in memory.
        train: The examples to learn from; `shapezoo.data.as_dataset` adapts datasets of PyTorch.
            Random numbers that its `select` draws from torch's generator on the CPU, from Python's
            `random` and from ``numpy.random`` are seeded by `seed`, the epoch and the step, or for
            each example as described at `shapezoo.data.seeded_example`; for `test` they are the
            same in every epoch.
        test: The examples to evaluate on.
        epochs: The number of passes over the examples, at least 1.
        batch_size: The number of examples in a step, at least 1.
        seed: Seeds the order of the examples, which differs between epochs, and what is drawn when
            they are selected.
        accumulate: The number of parts of a batch whose gradients are accumulated; for batches
            that are too large for the memory.
        num_workers: The number of processes that load the training examples, with PyTorch's
            DataLoader; for datasets that read files. If processes are spawned, as on Windows and
            macOS, the script must train under ``if __name__ == "__main__":``.
        loss: The loss to minimise. It returns the mean over all targets, or a sum and the weight
            to divide it by.
        correct: Counts the correct predictions on the test set; None for a regression.
        schedule: Maps the number of steps taken to a factor of the learning rate.
        clip_norm: Gradients with a larger norm, over all parameters, are scaled down to it.
        autocast: ``torch.bfloat16`` for mixed precision.
        on_nan: ``"stop"`` to raise an error if a loss is NaN or infinite, before the parameters
            change; ``"continue"`` to go on.
        patience: Stop after this many epochs in a row without a lower loss on the test set, and
            return the state with the lowest one. `test` is then used for model selection, so
            report results on other examples.
        observers: Functions that are called with each event.
        save: Called with a checkpoint at the end of each epoch, and when `stop` ends the training.
        save_every: Also call `save` whenever this many more steps were taken.
        stop: Called after each step; the training ends when it returns True, at the end of an epoch
            after its evaluation.
        processes: The processes that train together; each takes its share of every batch.

    Returns:
        The state after the last step, or with `patience` the best one.

    Raises:
        TypeError: A count is not a whole number; or a dataset cannot select examples, or returns
            something other than a batch.
        ValueError: A setting is out of range, there are no examples, the last batch is too small
            for BatchNorm, or the losses of several batches cannot be combined.
        StateError: The state does not belong to this model or optimizer, or the checkpoint was
            saved by a training with other examples, batch size or seed.
        NonFiniteLossError: A loss is NaN or infinite, and `on_nan` is ``"stop"``.
    """
    counts = {"epochs": epochs, "batch_size": batch_size, "accumulate": accumulate}
    optional = {"patience": patience, "save_every": save_every}
    counts |= {name: count for name, count in optional.items() if count is not None}
    for name, count in counts.items():
        require_count(name, count)
    require_count("seed", seed, least=0)
    require_count("num_workers", num_workers, least=0)
    # plain integers, because torch does not take those of NumPy
    batch_size, accumulate, seed = int(batch_size), int(accumulate), int(seed)
    require_functions(
        observers, loss=loss, correct=correct, schedule=schedule, save=save, stop=stop
    )
    for name, dataset in {"train": train, "test": test}.items():
        require_selectable(name, dataset)
    if (steps := iterations(len(train), batch_size)) == 0:
        raise ValueError("train: there are no examples to learn from")
    if len(test) == 0:
        raise ValueError("test: there are no examples to evaluate on")
    checkpoint = _as_checkpoint(start)
    settings = StepSettings(loss, schedule, clip_norm, autocast, on_nan, processes)
    training = Training(model, make_optimizer, checkpoint.state, settings)
    is_sharded, order = reshard(model), checkpoint.order
    if save or order:
        order = order_of(train, batch_size=batch_size, seed=seed, saved=order)
    epoch, num_done = divmod(checkpoint.state.step, steps)
    total, examples = checkpoint.loss, checkpoint.examples
    best = checkpoint.best if patience else None
    del start, checkpoint  # the training has copies, so these would only occupy memory

    def shares(count: int, generator: torch.Generator | None = None) -> Iterator[Tensor]:
        """Yield the indices of this process in each batch."""
        order = torch.randperm(count, generator=generator) if generator else torch.arange(count)
        for indices in torch.split(order, batch_size):
            yield indices[processes.rank :: processes.size]

    def evaluated() -> Metrics:
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

    def save_state(state: State) -> None:
        if save:
            save(Checkpoint(state, total, examples, best, order))

    def is_stopped() -> bool:
        return any(processes.numbers(stop(), device=training.device)) if stop else False

    with training.running(), kept_normal():
        rehearse_last_batch(training, model, train, batch_size, accumulate, processes.size)
        # not for sharded models: each process must run the same number of batches, and a share of
        # the first two batches may be empty
        if epoch < epochs and not is_sharded:
            rehearse_test(model, training.state(), test, shares(len(test)), loss, correct)
        while epoch < epochs and not (patience and best and epoch - best.epoch >= patience):
            epoch += 1
            generator = _generator(seed, epoch)
            remaining = list(enumerate(shares(len(train), generator), start=1))[num_done:]
            step_batches = StepBatches(
                train, (seed, "train", epoch), accumulate, processes.rank, keeps_empty=is_sharded
            )
            fetched = step_batches.fetched(remaining, num_workers, generator)
            for step, batches in enumerate(fetched, start=num_done + 1):
                value, weight = training.step(batches)
                total += value * weight
                examples += weight
                report(StepDone(epoch, step, steps, value))
                if step == steps:
                    break
                if is_stopped():
                    save_state(training.snapshot())
                    return training.state()
                if save_every and training.steps % save_every == 0:
                    save_state(training.snapshot())
            test_metrics, mean = evaluated(), total / (examples or 1)
            num_done, total, examples = 0, 0.0, 0
            is_best = bool(patience) and (best is None or _is_lower(test_metrics.loss, best.loss))
            best = None if is_best else best  # frees its memory before the next one is copied
            reached = training.snapshot() if save or is_best else training.state()
            if is_best:
                best = Best(epoch, test_metrics.loss, reached)
            report(EpochDone(epoch, mean, test_metrics))
            save_state(reached)
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
    """Whether a loss is lower than another; every number counts as lower than NaN."""
    return loss < than or (math.isnan(than) and not math.isnan(loss))


def _generator(seed: int, epoch: int) -> torch.Generator:
    """Return the generator that draws the order of the examples in an epoch."""
    seeds = torch.randint(2**32, (epoch,), generator=torch.Generator().manual_seed(seed))
    return torch.Generator().manual_seed(int(seeds[-1]))
