"""Training a model of the zoo on a dataset, in a run folder."""

import contextlib
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shapezoo.recipes.calibration import fit_temperature
from shapezoo.recipes.configuration import RunConfig, RunError
from shapezoo.recipes.jobs import Job, prepare
from shapezoo.recipes.runs import Run, resume_command
from shapezoo.recipes.sources import SOURCES
from shapezoo.train import (
    ALONE,
    Checkpoint,
    EpochDone,
    Event,
    Metrics,
    Processes,
    TensorBoard,
    confusion_matrix,
    evaluate,
    fit,
    init,
    install,
)
from shapezoo.train.loop.tensorboard import require_tensorboard


class StoppedError(Exception):
    """A training was stopped before its end; its run can be resumed."""

    __module__ = "shapezoo.recipes"


@dataclass(frozen=True)
class Trained:
    """The outcome of `train`.

    Attributes:
        config: The configuration, with all hyper-parameters and the device.
        run: The folder of the run; None in processes that did not write it.
        test: The metrics on the test set.
        diverged: Whether the training diverged: the loss on the test set is NaN or infinite; or
            it and the loss of the last epoch are more than twice as high as for a model whose
            outputs are all 0.
    """

    config: RunConfig
    run: Run | None
    test: Metrics
    diverged: bool


def train(
    config: RunConfig | Run,
    *,
    run: str | os.PathLike[str] | None = None,
    download: bool = False,
    tensorboard: bool = False,
    observers: Sequence[Callable[[Event], None]] = (),
    begun: Callable[[Run], None] = lambda _: None,
    stop: Callable[[], bool] | None = None,
    processes: Processes = ALONE,
) -> Trained:
    """Train a model of the zoo on one of the datasets.

    The same configuration gives the same weights on the same machine, even if the run was stopped
    or killed and then resumed. Torch's global random state on the CPU is left as it was.

    Args:
        config: What to train, and how; or a run to resume. If that run has ended, its results are
            written again.
        run: The folder of a new run, which must not exist; without it ``runs/MODEL-DATE-TIME``.
            If ``torchrun`` has restarted the processes, they resume the run in it.
        download: Whether to download a missing dataset, which a single process must do.
        tensorboard: Whether to write events for TensorBoard into the folder; a resumed run
            continues to write them.
        observers: Called with each event of the training, such as a
            `shapezoo.train.Progress`.
        begun: Called with the folder before the first step.
        stop: Called after each step; the training stops as soon as it returns true.
        processes: The processes that train together; the first of them writes the folder.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: The model does not accept the examples, or has another number of classes.
        DatasetError: The dataset is missing or damaged.
        DeviceError: There is no such device.
        RunError: The run folder exists already or cannot be created; several processes are to
            download; or the checkpoint of the run is damaged, or belongs to another run.
        StateError: The checkpoint does not fit the model or the optimizer (any more).
        ImportError: A requested feature needs a package that is not installed.
        NonFiniteLossError: A loss is NaN or infinite, and ``config.on_nan`` is ``"stop"``; the
            folder has a checkpoint from the end of the epoch before.
        StoppedError: `stop` has ended the training; the folder has a checkpoint.
        OSError: Something cannot be written; what was written before is still there.
    """
    if download and processes.size > 1:
        raise RunError(
            "several processes would download the same files; download them in one process first"
        )
    resumed = config if isinstance(config, Run) else None
    job = prepare(config.config if isinstance(config, Run) else config, download=download)
    if resumed is None and run is not None and _are_restarted(processes, job.device):
        resumed = _interrupted_run(run, job.config)
    if tensorboard:
        require_tensorboard()
    start = Checkpoint(init(job.model, job.make_optimizer, seed=job.config.seed, device=job.device))
    if resumed:
        if resumed.classes != job.classes:
            raise RunError(f"{str(resumed.path)!r}: its classes are not those of the data")
        start = resumed.load_checkpoint(job.device) or start
    folder: Run | None = None
    if processes.rank == 0:
        folder = resumed or Run.create(job.config, run, classes=job.classes)
    is_stopped = _latched(stop) if stop else None
    with contextlib.ExitStack() as stack:
        losses: list[float] = []
        listening = [*observers, lambda event: _append_loss(event, losses)]
        if folder:
            stack.enter_context(folder.locked())
            begun(folder)
            folder.rewind(start.state.step // job.steps)
            listening.append(folder.log)
            events = folder.path / "tensorboard"
            if tensorboard or events.exists():
                listening.append(stack.enter_context(TensorBoard(events)))
        state = fit(
            job.model,
            job.make_optimizer,
            start,
            job.train,
            job.validation,
            epochs=job.config.epochs,
            batch_size=job.config.batch_size,
            seed=job.config.seed,
            accumulate=job.config.accumulate,
            loss=job.loss,
            correct=job.correct,
            schedule=job.schedule,
            clip_norm=job.config.clip_norm,
            autocast=torch.bfloat16 if job.config.precision == "bfloat16" else None,
            on_nan=job.config.on_nan,
            patience=job.config.patience,
            observers=listening,
            save=folder.save_checkpoint if folder else None,
            stop=is_stopped,
            processes=processes,
        )
    if is_stopped and any(processes.numbers(is_stopped(), device=job.device)):
        advice = f"; to continue:\n  {resume_command(folder.path)}" if folder else ""
        raise StoppedError(f"stopped after {state.step} steps{advice}")
    install(job.model.to(job.device).eval(), state)
    batches = job.test.batches(job.config.batch_size)
    test = evaluate(job.model, state, batches, loss=job.loss, correct=job.correct)
    if folder:
        if not losses:  # the run had ended before
            losses = [as_number(record["loss"]) for record in folder.metrics()]
        folder.save_curves()
        if job.classes:
            folder.save_confusion(_confusion(job))
        if job.config.patience and job.classes and SOURCES[job.config.data].read:
            folder.save_temperature(fit_temperature(*_held_out_logits(job)))
        folder.save_model(job.model)  # last, since it shows that the run has ended
    return Trained(job.config, folder, test, _has_diverged(job, test, losses))


def _are_restarted(processes: Processes, device: torch.device) -> bool:
    """Whether ``torchrun`` has restarted the processes after one has died.

    Each machine counts only the restarts that it has caused itself, so the processes must agree.
    """
    count = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    return any(processes.numbers(count, device=device))


def _interrupted_run(run: str | os.PathLike[str], config: RunConfig) -> Run | None:
    """Return the run that the same command has begun in a folder, if it got that far.

    Raises:
        RunError: It is another run.
    """
    if not Path(run, "config.json").exists():
        return None
    opened = Run.open(run)
    if opened.config.outcome() != config.outcome():
        raise RunError(f"{os.fspath(run)!r} exists already; choose another folder")
    return opened


def _latched(stop: Callable[[], bool]) -> Callable[[], bool]:
    """Return a function that is true as soon as `stop` has been true once."""
    is_stopped = False

    def latched() -> bool:
        nonlocal is_stopped
        is_stopped = is_stopped or stop()
        return is_stopped

    return latched


def _append_loss(event: Event, losses: list[float]) -> None:
    if isinstance(event, EpochDone):
        losses.append(event.loss)


def as_number(metric: float | None) -> float:
    """Return a metric of a run folder, in which None stands for one that is not finite."""
    return math.nan if metric is None else metric


def are_diverged(untrained: float, test_loss: float, *losses: float) -> bool:
    """Whether these losses are those of a training that diverged, as described at `Trained`.

    Args:
        untrained: The loss of a model whose outputs are all 0.
        test_loss: The loss on the test set.
        *losses: The mean loss of the last epoch, if it is known.
    """
    # auxiliary classifiers add 0.6 to the weight of the loss, so the factor must be above 1.6
    is_low = any(loss <= 2 * untrained for loss in (test_loss, *losses))
    return not (is_low and math.isfinite(test_loss))


def _has_diverged(job: Job, test: Metrics, losses: Sequence[float]) -> bool:
    """Whether a training diverged, as described at `Trained`.

    The test loss alone is not enough: that of a model with BatchNorm is high after a few steps. Nor
    is the loss of the last epoch: with patience, the weights are those of another epoch.

    Args:
        job: What was trained.
        test: The metrics on the test set.
        losses: The mean loss of each epoch; empty if the run had ended before, in processes that
            do not write its folder.
    """
    if job.classes:
        untrained = math.log(len(job.classes))
    else:
        targets = job.train.select(torch.arange(len(job.train))).targets
        untrained = targets.square().mean().item()
    return are_diverged(untrained, test.loss, *losses[-1:])


def _held_out_logits(job: Job) -> tuple[Tensor, Tensor]:
    """Return the logits of a classifier for the held-out examples, one row each, and the labels."""
    rows, labels = [], []
    with torch.no_grad():
        for batch in job.validation.batches(job.config.batch_size):
            rows.append(job.model(*batch.to(job.device).inputs).cpu().float().flatten(0, -2))
            labels.append(batch.targets.flatten())
    return torch.cat(rows), torch.cat(labels)


def _confusion(job: Job) -> Tensor:
    """Return the confusion matrix of a classifier over the test set."""
    total = torch.zeros(len(job.classes), len(job.classes), dtype=torch.int64)
    with torch.no_grad():
        for batch in job.test.batches(job.config.batch_size):
            scores = job.model(*batch.to(job.device).inputs).cpu()
            predicted = (
                (scores > 0).long().squeeze(-1) if scores.shape[-1] == 1 else scores.argmax(-1)
            )
            total += confusion_matrix(predicted, batch.targets, len(job.classes))
    return total
