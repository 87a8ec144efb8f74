"""Whole jobs: train a model of the zoo on a dataset, and classify something with the result."""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from shapezoo.contracts import Module, Signature, TensorType, signature
from shapezoo.runs import Run, RunConfig, RunError
from shapezoo.sources import SOURCES
from shapezoo.train import (
    Batch,
    EpochDone,
    Event,
    Metrics,
    choose_device,
    choose_optimizer,
    confusion_matrix,
    fit,
    init,
    install,
)
from shapezoo.zoo import create_model, model_info


class DataMismatchError(ValueError):
    """A model cannot take the inputs that a dataset gives, or has other classes."""


@dataclass(frozen=True)
class Trained:
    """The outcome of `train`.

    Attributes:
        run: The folder with all that the run wrote.
        test: How well the model does on the test set.
    """

    run: Run
    test: Metrics


@dataclass(frozen=True)
class Prediction:
    """The outcome of `predict`.

    Attributes:
        label: The likeliest class.
        probabilities: The probability of every class, likeliest first; they sum to 1.
    """

    label: str
    probabilities: dict[str, float]


def resolve(name: str, data: str | None = None) -> tuple[str, str]:
    """The names of a model and of a dataset that go together, from the name of either.

    A dataset stands for the model that suits it, and a model for the dataset that teaches its
    task.

    Args:
        name: The name of a model, or of a dataset.
        data: The name of the dataset, where `name` is that of a model.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: No dataset teaches the task of the model, or two datasets are named.

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
    task = model_info(name).task
    if data is None:
        data = next((known for known, source in SOURCES.items() if source.task == task), None)
    if data is None:
        tasks = ", ".join(f"{source.task} ({known})" for known, source in SOURCES.items())
        raise DataMismatchError(f"model {name!r} is for {task}; the datasets are for {tasks}")
    return name, data


def train(
    config: RunConfig,
    *,
    run: str | os.PathLike[str] | None = None,
    observers: Sequence[Callable[[Event], None]] = (),
) -> Trained:
    """Train a classifier of the zoo on one of the datasets that come with the package.

    The same configuration gives the same weights on the same machine. Torch's global random
    state on the CPU is left as it was.

    Args:
        config: What to train, and how.
        run: The folder to write to, which must not exist; without it ``runs/MODEL-DATE-TIME``.
        observers: Called with each event of the training, such as a
            `shapezoo.train.Progress`.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: The model cannot take the examples, or has another number of classes.
        DeviceError: There is no such device.
        RunError: The run folder exists already or cannot be made.
    """
    device = choose_device(config.device)
    defaults = model_info(config.model).hyperparameters
    config = replace(config, hyperparameters=defaults | config.hyperparameters, device=str(device))
    source = SOURCES[config.data]
    examples, unseen = source.load(config.split_by, config.seed)
    epochs: list[EpochDone] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = create_model(config.model, **config.hyperparameters)
        example = next(examples.batches(1))
        _require_fit(config, signature(model), example.inputs, source.classes)
        folder = Run.create(config, run)
        make_optimizer = choose_optimizer(config.optimizer, lr=config.lr)
        state = fit(
            model,
            make_optimizer,
            init(model, make_optimizer, device=device),
            examples,
            unseen,
            epochs=config.epochs,
            batch_size=config.batch_size,
            generator=torch.Generator().manual_seed(config.seed),
            observers=[
                *observers,
                folder.log,
                lambda event: epochs.append(event) if isinstance(event, EpochDone) else None,
            ],
        )
    model = model.to(device).eval()
    install(model, state)
    folder.save_model(model)
    confusion = _confusion(model, unseen.batches(config.batch_size), device, len(source.classes))
    folder.save_confusion(confusion, source.classes)
    return Trained(folder, epochs[-1].test)


def predict(
    run: str | os.PathLike[str], example: str | os.PathLike[str], *, device: str = "auto"
) -> Prediction:
    """Classify something with the model that a run trained.

    Args:
        run: The folder of the run.
        example: What the data of the run are made of: for digits a picture file with one digit
            on an even background, for names a name.
        device: What to compute on, as `shapezoo.train.choose_device` takes it.

    Raises:
        RunError: There is no such run, or its training diverged.
        DataMismatchError: The run's model does not take such examples.
        DeviceError: There is no such device.
        WeightsError: The run has no weights, because it did not end.
        ImageError: The picture cannot be read, or is blank.
        SequenceError: The name has no letters, or others than Latin ones.
    """
    opened = Run.open(run)
    model = opened.load_model().to(chosen := choose_device(device))
    source = SOURCES[opened.config.data]
    inputs = source.read(example)
    _require_fit(opened.config, signature(model), inputs, source.classes)
    with torch.no_grad():
        probabilities = model(*(tensor.to(chosen) for tensor in inputs)).softmax(dim=1)[0]
    if probabilities.isnan().any():
        raise RunError(f"{os.fspath(run)!r}: the training diverged; train anew with a smaller lr")
    order = probabilities.argsort(descending=True).tolist()
    named = {source.classes[index]: float(probabilities[index]) for index in order}
    return Prediction(next(iter(named)), named)


def _confusion(
    model: Module, batches: Iterable[Batch], device: torch.device, num_classes: int
) -> Tensor:
    """The confusion matrix of a classifier."""
    total = torch.zeros(num_classes, num_classes, dtype=torch.int64)
    with torch.no_grad():
        for batch in batches:
            predicted = model(*batch.to(device).inputs).argmax(dim=1).cpu()
            total += confusion_matrix(predicted, batch.targets, num_classes)
    return total


def _require_fit(
    config: RunConfig,
    contract: Signature,
    example: tuple[Tensor, ...],
    classes: tuple[str, ...],
) -> None:
    """Refuse a model that cannot take inputs like these, or does not score these classes."""
    shapes = [tuple(tensor.shape) for tensor in example]
    output = contract.output
    sizes = [axis.fixed for axis in output.axes] if isinstance(output, TensorType) else []
    if contract.accepts(*shapes) and sizes[1:] == [len(classes)]:
        return
    came = " and ".join(map(str, shapes))
    raise DataMismatchError(
        f"model {config.model!r} does not fit the data\n"
        f"  the model is  {contract}\n"
        f"  an example of {config.data} is {came}, of {len(classes)} classes"
    )
