"""What `fit` refuses before its first step, rather than hours later."""

import operator
from typing import SupportsIndex

from torch import nn

_BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def require_count(name: str, value: int | None, *, least: int = 1) -> None:
    """Refuse what is not a whole number, or is too small; None is an option that is not used.

    Raises:
        TypeError: It is not a whole number.
        ValueError: It is less than `least`.
    """
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):  # as numpy's integers
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if operator.index(value) < least:
        raise ValueError(f"{name} must be at least {least}, got {value}")


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
    modes = {True} if model.training else {True, False}  # one in eval mode is trained as a whole
    return any(isinstance(m, _BATCH_NORMS) and m.training in modes for m in model.modules())
