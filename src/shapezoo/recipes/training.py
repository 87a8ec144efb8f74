"""Training a model of the zoo on a dataset, and predicting with the result."""

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from shapezoo._names import did_you_mean
from shapezoo.contracts import signature
from shapezoo.creating import UnknownModelError, find_entry
from shapezoo.recipes.jobs import DataMismatchError, Job, prepare, require_fit
from shapezoo.recipes.runs import Run, RunConfig, RunError
from shapezoo.recipes.sources import SOURCES, Example
from shapezoo.train import (
    ALONE,
    Checkpoint,
    Event,
    Metrics,
    Processes,
    TensorBoard,
    choose_device,
    confusion_matrix,
    evaluate,
    fit,
    init,
    install,
)
from shapezoo.train.loop.tensorboard import require_tensorboard
from shapezoo.zoo import list_models


class StoppedError(Exception):
    """A training was stopped before its end; its run can be resumed."""

    __module__ = "shapezoo.recipes"


@dataclass(frozen=True)
class Trained:
    """The outcome of `train`.

    Attributes:
        run: The folder of the run; None in processes that did not write it.
        test: The metrics on the test set.
    """

    run: Run | None
    test: Metrics


@dataclass(frozen=True)
class Prediction:
    """The outcome of `predict`.

    Attributes:
        label: The most likely class.
        probabilities: The probability of every class, the most likely first; they sum to 1.
    """

    label: str
    probabilities: dict[str, float]


def resolve(name: str, data: str | None = None) -> tuple[str, str]:
    """Return the names of a model and a dataset that fit together, from the name of either.

    A dataset has a model that suits it. For a model, it is the first dataset for its task.

    Args:
        name: The name of a model, or of a dataset.
        data: The name of the dataset, if `name` is that of a model.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: No dataset is for the task of the model, or two datasets are named.

    Example:
        ```pycon
        >>> from shapezoo import recipes
        >>> recipes.resolve("names")
        ('name_classifier', 'names')

        ```
    """
    if name in SOURCES:
        if data not in (None, name):
            raise DataMismatchError(f"{name!r} and {data!r} are two datasets; name a model for one")
        return SOURCES[name].model, name
    try:
        task = find_entry(name).task
    except UnknownModelError as error:
        hint = did_you_mean(name, [*SOURCES, *list_models()])
        advice = hint or f"the datasets are {', '.join(SOURCES)}; 'shapezoo list' shows the models"
        raise UnknownModelError(f"no model or dataset is called {name!r}; {advice}") from error
    if data is not None:
        return name, data
    for suitable, source in SOURCES.items():
        if source.task == task:
            return name, suitable
    tasks = ", ".join(f"{source.task} ({dataset})" for dataset, source in SOURCES.items())
    raise DataMismatchError(f"model {name!r} is for {task}; the datasets are for {tasks}")


def configure(name: str, data: str | None = None, **settings: Any) -> RunConfig:
    """Return the configuration of a run, with defaults that suit its dataset.

    Args:
        name: The name of a model, or of a dataset, as for `resolve`.
        data: The name of the dataset, if `name` is that of a model.
        **settings: Attributes of the configuration; missing ones have the defaults for the
            dataset, or those of `RunConfig`.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: No dataset is for the task of the model, or two datasets are named.
        RunError: A value has the wrong type or is out of range.

    Example:
        ```pycon
        >>> from shapezoo import recipes
        >>> config = recipes.configure("text", epochs=3)
        >>> config.model, config.epochs, config.lr
        ('character_rnn', 3, 0.004)

        ```
    """
    name, data = resolve(name, data)
    defaults = SOURCES[data].defaults if data in SOURCES else {}
    return RunConfig(name, data=data, **{**defaults, **settings})


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
        listening = list(observers)
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
        advice = f"; to continue: shapezoo train --resume {folder.path}" if folder else ""
        raise StoppedError(f"stopped after {state.step} steps{advice}")
    install(job.model.to(job.device).eval(), state)
    batches = job.test.batches(job.config.batch_size)
    test = evaluate(job.model, state, batches, loss=job.loss, correct=job.correct)
    if folder:
        folder.save_model(job.model)
        folder.save_curves()
        if job.classes:
            folder.save_confusion(_confusion(job))
    return Trained(folder, test)


def predict(run: str | os.PathLike[str], example: Example, *, device: str = "auto") -> Prediction:
    """Classify an example with the model that a run trained.

    Args:
        run: The folder of the run.
        example: An example like those of the run's dataset: for images the path of an image file,
            with one digit on a plain background, or light clothes on black; for names a name; for
            texts the beginning of one, whose next character is predicted.
        device: The device to compute on, as for `shapezoo.train.choose_device`.

    Raises:
        RunError: There is no such run, or its training diverged.
        DataMismatchError: The run's model does not accept such examples.
        DeviceError: There is no such device.
        UnknownModelError: There is no such model (any more).
        WeightsError: The run has no weights, because it has not ended.
        ImageError: The image cannot be read, or that of a digit is blank.
        SequenceError: The name or text is empty, or has characters that the model does not know.
    """
    opened = Run.open(run)
    source = SOURCES[opened.config.data]
    if source.read is None:
        readable = ", ".join(name for name, source in SOURCES.items() if source.read)
        raise DataMismatchError(
            f"{os.fspath(run)!r} was trained on {opened.config.data}; predict reads {readable}"
        )
    model = opened.load_model().to(chosen := choose_device(device))
    inputs = source.read(example, opened.classes)
    require_fit(opened.config, signature(model), inputs, opened.classes, len(opened.classes))
    with torch.no_grad():
        logits = model(*(tensor.to(chosen) for tensor in inputs)).flatten(0, -2)[-1]
    probabilities = logits.softmax(dim=0)
    if probabilities.isnan().any():
        raise RunError(f"{os.fspath(run)!r}: the training diverged; retrain with a smaller lr")
    order = probabilities.argsort(descending=True).tolist()
    by_class = {opened.classes[index]: float(probabilities[index]) for index in order}
    return Prediction(next(iter(by_class)), by_class)


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
