"""What a run needs, found by its configuration: the examples, a model that fits them, a judge."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from shapezoo._modules import copied, undisturbed
from shapezoo.contracts import Module, ShapeError, Signature, TensorType, UnionType, signature
from shapezoo.data import InMemory
from shapezoo.data.memory import split
from shapezoo.recipes.runs import RunConfig, RunError
from shapezoo.recipes.sources import SOURCES
from shapezoo.train import (
    Batch,
    Correct,
    Loss,
    MakeOptimizer,
    Schedule,
    auxiliary_cross_entropy,
    binary_correct,
    binary_cross_entropy,
    choose_device,
    choose_optimizer,
    choose_schedule,
    correct,
    cross_entropy,
    iterations,
    mean_squared_error,
)
from shapezoo.zoo import model_info


class DataMismatchError(ValueError):
    """A model cannot take the inputs that a dataset gives, or has other classes."""

    __module__ = "shapezoo.recipes"


@dataclass(frozen=True)
class Job:
    """All that a run needs, found by its configuration.

    Attributes:
        config: The configuration, with all hyper-parameters and the device.
        device: What to compute on.
        model: The model, with its first weights.
        learned: The examples to learn from.
        measured: Those to measure on while training.
        unseen: Those to report on.
        classes: The names of the labels; none where numbers are predicted.
        steps: How many steps an epoch has.
        make_optimizer: Builds the optimizer.
        schedule: How the learning rate changes.
        loss: What to lower.
        correct: Counts the right answers; None where numbers are predicted.
    """

    config: RunConfig
    device: torch.device
    model: Module
    learned: InMemory[Any]
    measured: InMemory[Any]
    unseen: InMemory[Any]
    classes: tuple[str, ...]
    steps: int
    make_optimizer: MakeOptimizer
    schedule: Schedule
    loss: Loss
    correct: Correct | None


def prepare(config: RunConfig, *, download: bool) -> Job:
    """Find all that a run needs, before it writes anything.

    Args:
        config: What the run is asked for.
        download: Whether a dataset that is missing may be downloaded.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: The model cannot take the examples, or has another number of classes.
        DatasetError: The dataset is missing or damaged.
        DeviceError: There is no such device.
        RunError: The model cannot be built, or there are more steps of warm-up than steps.
    """
    device = choose_device(config.device)
    known = model_info(config.model).hyperparameters
    source = SOURCES[config.data]
    learned, unseen = source.load(
        split_by=config.split_by, seed=config.seed, root=config.root, download=download
    )
    classes = source.classes(learned)
    sizes = {name: size for name, size in source.sizes(learned).items() if name in known}
    config = replace(
        config, hyperparameters=known | sizes | config.hyperparameters, device=str(device)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = config.build()
    example = learned.select(torch.arange(1))
    width = len(classes) or example.targets.shape[-1]
    require_fit(config, signature(model), example.inputs, classes, width)
    measured = unseen
    if config.patience:  # what decides when to end must not be what is reported
        generator = torch.Generator().manual_seed(config.seed)
        learned, measured = split(learned, test_size=len(learned) // 10, generator=generator)
    last = ((len(learned) - 1) % config.batch_size + 1) // config.accumulate or 1
    _require_sizes(config, model, {"eval": example, "train": learned.select(torch.arange(last))})
    steps = iterations(len(learned), config.batch_size)
    try:
        schedule = choose_schedule(
            config.schedule, config.epochs * steps, warmup_steps=config.warmup_steps
        )
    except ValueError as error:
        raise RunError(str(error)) from error
    if config.compile:
        model.compile()
    loss, right = _judges(signature(model), classes)
    return Job(
        config=config,
        device=device,
        model=model,
        learned=learned,
        measured=measured,
        unseen=unseen,
        classes=classes,
        steps=steps,
        make_optimizer=choose_optimizer(config.optimizer, lr=config.lr),
        schedule=schedule,
        loss=loss,
        correct=right,
    )


def _require_sizes(config: RunConfig, model: Module, smallest: Mapping[str, Batch]) -> None:
    """Refuse examples that are too small or too few for a model, by calling a copy of it.

    Args:
        config: What the run is asked for.
        model: The model.
        smallest: The smallest batch in each mode.
    """
    for mode, batch in smallest.items():
        with undisturbed(model):
            try:
                copied(model).train(mode == "train")(*batch.inputs)
            except ShapeError as error:
                raise DataMismatchError(
                    f"model {config.model!r} does not fit the data in {mode} mode\n  {error}"
                ) from error


def _judges(contract: Signature, classes: tuple[str, ...]) -> tuple[Loss, Correct | None]:
    """What to lower, and what counts as right."""
    if not classes:
        return mean_squared_error, None
    if _width(contract) == 1:
        return binary_cross_entropy, binary_correct
    if isinstance(contract.output, UnionType):
        return auxiliary_cross_entropy, correct
    return cross_entropy, correct


def _width(contract: Signature) -> int | None:
    """How many numbers a model gives for an answer."""
    output = contract.output
    if isinstance(output, UnionType):  # what it gives in eval mode stands first
        output = output.parts[0]
    return output.axes[-1].fixed if isinstance(output, TensorType) and output.axes else None


def require_fit(
    config: RunConfig,
    contract: Signature,
    inputs: tuple[Tensor, ...],
    classes: tuple[str, ...],
    width: int,
) -> None:
    """Refuse a model that cannot take inputs like these, or does not give such answers."""
    shapes = [tuple(tensor.shape) for tensor in inputs]
    widths = (1, 2) if len(classes) == 2 else (width,)
    if contract.accepts(*shapes) and _width(contract) in widths:
        return
    came = " and ".join(map(str, shapes))
    answers = f"of {len(classes)} classes" if classes else f"with {width} numbers to predict"
    raise DataMismatchError(
        f"model {config.model!r} does not fit the data\n"
        f"  the model is  {contract}\n"
        f"  an example of {config.data} is {came}, {answers}"
    )
