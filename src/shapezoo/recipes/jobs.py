"""Everything that a run needs: data, a model that fits them, the optimizer and the loss."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from shapezoo._modules import copied, undisturbed
from shapezoo.contracts import Module, ShapeError, Signature, TensorType, UnionType, signature
from shapezoo.data import InMemory
from shapezoo.data.memory import split
from shapezoo.recipes.configuration import DataMismatchError, RunConfig, RunError
from shapezoo.recipes.sources import SOURCES, sizes_of
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


@dataclass(frozen=True)
class Job:
    """Everything that a run needs.

    Attributes:
        config: The configuration, with all hyper-parameters and the device.
        device: The device to compute on.
        model: The model, with its initial weights.
        train: The training set.
        validation: The examples to measure on after each epoch; the test set if none are held out.
        test: The test set.
        classes: The names of the classes; empty for a regression.
        steps: Number of steps per epoch.
        make_optimizer: Builds the optimizer.
        schedule: The learning rate schedule.
        loss: The loss to minimise.
        correct: Counts the correct predictions; None for a regression.
    """

    config: RunConfig
    device: torch.device
    model: Module
    train: InMemory[Any]
    validation: InMemory[Any]
    test: InMemory[Any]
    classes: tuple[str, ...]
    steps: int
    make_optimizer: MakeOptimizer
    schedule: Schedule
    loss: Loss
    correct: Correct | None


def prepare(config: RunConfig, *, download: bool) -> Job:
    """Prepare everything that a run needs, before it writes anything.

    Args:
        config: The configuration.
        download: Whether to download a missing dataset.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: The model does not accept the examples, or has another number of classes.
        DatasetError: The dataset is missing or damaged.
        DeviceError: There is no such device.
        RunError: The model cannot be built, or there are more steps of warm-up than steps.
    """
    device = choose_device(config.device)
    defaults = model_info(config.model).hyperparameters
    source = SOURCES[config.data]
    train, test = source.load(
        split_by=config.split_by, seed=config.seed, root=config.root, download=download
    )
    classes = source.classes(train)
    sizes = {name: size for name, size in sizes_of(train).items() if name in defaults}
    config = replace(
        config, hyperparameters=defaults | sizes | config.hyperparameters, device=str(device)
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = config.build()
    contract, example = signature(model), train.select(torch.arange(1))
    width = len(classes) or example.targets.shape[-1]
    require_fit(config, contract, example.inputs, classes, width)
    validation = test
    if config.patience:  # the test set would not be independent if it decided when to stop
        generator = torch.Generator().manual_seed(config.seed)
        train, validation = split(train, test_size=len(train) // 10, generator=generator)
    # the smallest batch of an epoch is the last one, or a part of it
    last = ((len(train) - 1) % config.batch_size + 1) // config.accumulate or 1
    _require_sizes(config, model, {"eval": example, "train": train.select(torch.arange(last))})
    steps = iterations(len(train), config.batch_size)
    try:
        schedule = choose_schedule(
            config.schedule, config.epochs * steps, warmup_steps=config.warmup_steps
        )
    except ValueError as error:
        raise RunError(str(error)) from error
    if config.compile:
        model.compile()
    loss, is_correct = _loss_and_accuracy(contract, classes)
    return Job(
        config=config,
        device=device,
        model=model,
        train=train,
        validation=validation,
        test=test,
        classes=classes,
        steps=steps,
        make_optimizer=choose_optimizer(config.optimizer, lr=config.lr),
        schedule=schedule,
        loss=loss,
        correct=is_correct,
    )


def _require_sizes(config: RunConfig, model: Module, smallest: Mapping[str, Batch]) -> None:
    """Raise if examples are too small or too few for a model, by calling a copy of it.

    Args:
        config: The configuration.
        model: The model.
        smallest: The smallest batch in each mode.

    Raises:
        DataMismatchError: A call fails.
    """
    for mode, batch in smallest.items():
        with undisturbed(model):
            try:
                copied(model).train(mode == "train")(*batch.inputs)
            except ShapeError as error:
                raise DataMismatchError(
                    f"model {config.model!r} does not fit the data in {mode} mode\n  {error}"
                ) from error


def _loss_and_accuracy(
    contract: Signature, classes: tuple[str, ...]
) -> tuple[Loss, Correct | None]:
    """Return the loss to minimise, and the function that counts correct predictions."""
    if not classes:
        return mean_squared_error, None
    if _width(contract) == 1:
        return binary_cross_entropy, binary_correct
    if isinstance(contract.output, UnionType):
        return auxiliary_cross_entropy, correct
    return cross_entropy, correct


def _width(contract: Signature) -> int | None:
    """Return the size of the last axis of a model's output, if it is fixed."""
    output = contract.output
    if isinstance(output, UnionType):  # the result in eval mode is the first
        output = output.parts[0]
    return output.axes[-1].fixed if isinstance(output, TensorType) and output.axes else None


def require_fit(
    config: RunConfig,
    contract: Signature,
    inputs: tuple[Tensor, ...],
    classes: tuple[str, ...],
    width: int,
) -> None:
    """Raise DataMismatchError unless a model accepts such inputs and has as many outputs."""
    shapes = [tuple(tensor.shape) for tensor in inputs]
    widths = (1, 2) if len(classes) == 2 else (width,)
    if contract.accepts(*shapes) and _width(contract) in widths:
        return
    example = " and ".join(map(str, shapes))
    targets = f"of {len(classes)} classes" if classes else f"with {width} values to predict"
    raise DataMismatchError(
        f"model {config.model!r} does not fit the data\n"
        f"  the model is  {contract}\n"
        f"  an example of {config.data} is {example}, {targets}"
    )
