"""Batches prepared by worker processes, which pays where preparing an example takes long."""

from collections.abc import Iterator
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from shapezoo._dataset_errors import require_selectable
from shapezoo._datasets import Selectable
from shapezoo.data.memory import index_batches

B = TypeVar("B")


class _Batches(Dataset[B]):
    """A dataset whose items are whole batches, each found by the indices of its examples."""

    def __init__(self, dataset: Selectable[B]) -> None:
        self._dataset = dataset

    def __getitem__(self, indices: Tensor) -> B:
        return self._dataset.select(indices)


class _Indices(Sampler[Tensor]):
    """The indices of each batch, drawn anew for each epoch."""

    def __init__(self, count: int, batch_size: int, generator: torch.Generator | None) -> None:
        self._count = count
        self._batch_size = batch_size
        self._generator = generator

    def __iter__(self) -> Iterator[Tensor]:
        # lazily: with workers, DataLoader makes two of these an epoch and uses the second
        yield from index_batches(self._count, self._batch_size, self._generator)

    def __len__(self) -> int:
        return -(-self._count // self._batch_size)


def loader(
    dataset: Selectable[B],
    batch_size: int,
    generator: torch.Generator | None = None,
    *,
    num_workers: int = 0,
    start_method: str | None = None,
) -> DataLoader[B]:
    """PyTorch's DataLoader over the typed batches of a dataset.

    The batches of a dataset in memory are those of ``dataset.batches(batch_size, generator)``,
    epoch by epoch. Where
    worker processes are spawned, which is how they start on Windows and macOS, the script that
    uses the loader must do so under ``if __name__ == "__main__":``, for each worker imports it.

    Args:
        dataset: The examples: one of `shapezoo.data`, or what `as_dataset` returns.
        batch_size: Examples of a batch, at least 1.
        generator: Draws the order; without it the examples come as they are stored.
        num_workers: How many processes prepare batches; with 0 the caller's does.
        start_method: How they start: ``"spawn"``, ``"fork"`` or ``"forkserver"``; without it
            as is usual on this system.

    Raises:
        TypeError: The dataset cannot select examples; `as_dataset` makes one that can.
        ValueError: The batch size is not positive.
    """
    require_selectable("dataset", dataset)
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    return DataLoader(
        _Batches(dataset),
        batch_size=None,  # an item is a batch already
        sampler=_Indices(len(dataset), batch_size, generator),
        num_workers=num_workers,
        generator=torch.Generator(),  # or else it draws from the global one
        multiprocessing_context=start_method if num_workers else None,
    )
