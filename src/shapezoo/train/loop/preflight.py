"""Checks that `fit` makes before its first step, for errors that would come hours later."""

import itertools
import operator
from collections.abc import Iterable, Sequence
from typing import SupportsIndex

import torch
from torch import Tensor, nn

from shapezoo._datasets import Batch, Selectable
from shapezoo._modules import undisturbed
from shapezoo.contracts import ShapeError
from shapezoo.train.loop.seeded_batches import select
from shapezoo.train.steps.batch_losses import Loss
from shapezoo.train.steps.evaluation import Correct, sums
from shapezoo.train.steps.processes import ALONE
from shapezoo.train.steps.state import State
from shapezoo.train.steps.step import Training

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def require_count(name: str, value: int, *, least: int = 1) -> None:
    """Raise unless a value is a whole number, of Python or NumPy, from `least` to 2**63 - 1.

    Raises:
        TypeError: It is not a whole number.
        ValueError: It is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if operator.index(value) < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")
    if operator.index(value) >= 2**63:
        raise ValueError(f"{name} must be below 2**63, got {value}")


_OPTIONAL = ("correct", "save", "stop")


def require_functions(observers: object, **functions: object) -> None:
    """Raise unless all of these can be called; a class in place of an instance is an error too.

    Raises:
        TypeError: One of the functions or observers cannot be called, or `observers` is not a
            sequence.
    """
    if not isinstance(observers, Sequence):
        raise TypeError(
            f"observers must be a list of functions, got a {type(observers).__name__}; put it into "
            "a list"
        )
    functions |= {f"observers[{index}]": observer for index, observer in enumerate(observers)}
    for name, value in functions.items():
        if isinstance(value, type):
            class_name = value.__name__
            raise TypeError(
                f"{name} must be a function, got the class {class_name}; pass {class_name}()"
            )
        if not callable(value) and not (value is None and name in _OPTIONAL):
            raise TypeError(
                f"{name} must be a function, got {value!r:.100}; see the docstring of fit"
            )


def rehearse_last_batch(
    training: Training,
    model: nn.Module,
    train: Selectable[Batch],
    batch_size: int,
    accumulate: int,
    processes: int,
) -> None:
    """Raise if the model cannot be trained on a batch of one example, and there is such a batch.

    BatchNorm1d raises for one, as it has no variance. A batch of one can be the last of an epoch,
    or the share of a process or part of it.

    Raises:
        ValueError: There is a batch of one example, and the model raises for it.
    """
    division = {"parts": accumulate, "processes": processes}
    if not (normalises_batches(model) and has_single_example(len(train), batch_size, **division)):
        return
    try:
        with undisturbed(model):
            training.rehearse(select(train, torch.zeros(1, dtype=torch.int64), ("rehearsal",), 0))
    except (ValueError, ShapeError) as error:
        better = better_batch_size(len(train), batch_size, **division)
        advice = "use other examples" if better is None else f"use batch_size={better}"
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
    """Evaluate the first two test batches, so that errors there come before the first epoch.

    Two, because a loss that cannot be combined raises at the second. Only their sums are computed,
    as `evaluate` raises if none of their targets counts.

    Args:
        model: The model.
        state: The state to start from.
        test: The test examples.
        shares: The indices of the batches.
        loss: The loss.
        correct: Counts the correct predictions.

    Raises:
        Exception: What `evaluate` raises.
    """
    first = [share for share in itertools.islice(shares, 2) if len(share)]
    batches = (select(test, share, ("rehearsal",), n) for n, share in enumerate(first))
    with undisturbed(model):
        sums(model, state, batches, loss, correct, ALONE)


def has_single_example(examples: int, batch_size: int, *, parts: int, processes: int) -> bool:
    """Whether a forward of an epoch gets a single example.

    Args:
        examples: The number of examples.
        batch_size: The number of examples in a step.
        parts: The number of parts of a process's share.
        processes: The number of processes that share a batch.
    """
    batches = {min(batch_size, examples), (examples - 1) % batch_size + 1}
    shares = {len(range(rank, size, processes)) for size in batches for rank in range(processes)}
    return any(1 in (share // parts, -(-share // parts)) for share in shares)


def better_batch_size(examples: int, batch_size: int, *, parts: int, processes: int) -> int | None:
    """Return the nearest batch size with which no forward gets a single example, or None."""

    def is_good(size: int) -> bool:
        return not has_single_example(examples, size, parts=parts, processes=processes)

    good = filter(is_good, range(1, examples + 1))  # larger ones are equivalent to `examples`
    return min(good, key=lambda size: abs(size - batch_size), default=None)


def normalises_batches(model: nn.Module) -> bool:
    """Whether a module of the model is trained with the statistics of its batches."""
    modules = list(model.modules())
    # a model whose modules are all in eval mode is trained as a whole, see `lent`
    is_whole = not any(module.training for module in modules)
    return any(isinstance(m, _BATCH_NORMS) and (m.training or is_whole) for m in modules)
