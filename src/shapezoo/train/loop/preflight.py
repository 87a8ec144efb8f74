"""What `fit` refuses before its first step, rather than hours later."""

import itertools
import operator
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import torch
from torch import Tensor, nn

from shapezoo._datasets import Batch, Selectable
from shapezoo._modules import undisturbed
from shapezoo.contracts import ShapeError
from shapezoo.train.loop.selecting import select
from shapezoo.train.steps.averages import Loss
from shapezoo.train.steps.evaluation import Correct, rehearse
from shapezoo.train.steps.state import State
from shapezoo.train.steps.step import Training

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def require_count(name: str, value: int, *, least: int = 1) -> None:
    """Raise unless given a whole number that is large enough.

    Raises:
        TypeError: It is not a whole number.
        ValueError: It is less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):  # as numpy's integers
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if operator.index(value) < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if operator.index(value) >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {value}")


def require_functions(
    loss: object, correct: object, schedule: object, save: object, stop: object, observers: object
) -> None:
    """Raise unless all of these can be called; a class is refused, as an instance is meant.

    Raises:
        TypeError: One of them, or one of the observers, is not a function.
    """
    for name, function in (("loss", loss), ("schedule", schedule)):
        _require_function(name, function)
    for name, function in (("correct", correct), ("save", save), ("stop", stop)):
        if function is not None:
            _require_function(name, function)
    if not isinstance(observers, Sequence):
        raise TypeError(
            f"observers must be a list of functions, got a {type(observers).__name__}; put it into "
            "a list"
        )
    for index, observer in enumerate(observers):
        _require_function(f"observers[{index}]", observer)


def _require_function(name: str, value: object) -> None:
    if isinstance(value, type):
        raise TypeError(
            f"{name} must be a function, got the class {value.__name__}; pass {value.__name__}()"
        )
    if not callable(value):
        raise TypeError(f"{name} must be a function, got {value!r:.100}; see the docstring of fit")


def rehearse_last_batch(
    training: Training,
    model: nn.Module,
    train: Selectable[Batch],
    batch_size: int,
    accumulate: int,
    processes: int,
) -> None:
    """Refuse a last batch of one example that a model with BatchNorm cannot take.

    Raises:
        ValueError: There is one.
    """
    division = {"parts": accumulate, "processes": processes}
    if not (normalises_batches(model) and has_single_example(len(train), batch_size, **division)):
        return
    try:
        with undisturbed(model):
            training.rehearse(select(train, torch.zeros(1, dtype=torch.int64), ("rehearsal",), 0))
    except (ValueError, ShapeError) as error:
        other = better_batch_size(len(train), batch_size, **division)
        advice = "use other examples" if other is None else f"use batch_size={other}"
        raise ValueError(
            f"batch_size: with {len(train)} examples and batch_size={batch_size}, a batch or a "
            f"part of one has a single example, which the model cannot learn from; {advice}: "
            f"{error}"
        ) from error


def rehearse_test(
    model: nn.Module,
    state: State,
    test: Selectable[Batch],
    shares: Iterable[Tensor],
    loss: Loss,
    correct: Correct | None,
) -> None:
    """Measure the first two test batches, so that what cannot be measured fails before an epoch.

    Args:
        model: The model.
        state: What it has learned so far.
        test: The test examples.
        shares: The indices of the batches.
        loss: The loss.
        correct: Counts the right answers.

    Raises:
        Exception: What `evaluate` raises.
    """
    first = [share for share in itertools.islice(shares, 2) if len(share)]
    batches = (select(test, share, ("rehearsal",), n) for n, share in enumerate(first))
    with undisturbed(model):
        rehearse(model, state, batches, loss=loss, correct=correct)


def has_single_example(examples: int, batch_size: int, *, parts: int, processes: int) -> bool:
    """Whether a forward of an epoch gets a single example.

    Args:
        examples: How many examples there are.
        batch_size: Examples of a step.
        parts: Into how many parts the share of a process is cut.
        processes: How many processes share a batch.
    """
    batches = {min(batch_size, examples), (examples - 1) % batch_size + 1}
    shares = {len(range(rank, size, processes)) for size in batches for rank in range(processes)}
    return any(1 in (share // parts, -(-share // parts)) for share in shares)


def better_batch_size(examples: int, batch_size: int, *, parts: int, processes: int) -> int | None:
    """The nearest batch size with which no forward gets a single example, if there is one."""

    def is_good(size: int) -> bool:
        return not has_single_example(examples, size, parts=parts, processes=processes)

    good = filter(is_good, range(1, examples + 1))  # a larger one is as good as the last
    return min(good, key=lambda size: abs(size - batch_size), default=None)


def normalises_batches(model: nn.Module) -> bool:
    """Whether a module of the model computes with the statistics of a batch in train mode."""
    modules = list(model.modules())
    is_all = not any(module.training for module in modules)  # then it is trained as a whole
    return any(isinstance(m, _BATCH_NORMS) and (m.training or is_all) for m in modules)
