"""Loading batches in worker processes, which pays off if preparing an example takes long."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from shapezoo._dataset_errors import require_selectable
from shapezoo._datasets import Selectable
from shapezoo.data.memory import index_batches

B = TypeVar("B")


@dataclass(frozen=True, eq=False)
class _Batches(Dataset[B]):
    """A dataset whose items are whole batches, found by the indices of their examples."""

    dataset: Selectable[B]

    def __getitem__(self, indices: Tensor) -> B:
        return self.dataset.select(indices)


@dataclass(frozen=True, eq=False)
class _Indices(Sampler[Tensor]):
    """The indices of the examples in each batch, drawn again for each epoch."""

    count: int
    batch_size: int
    generator: torch.Generator | None

    def __iter__(self) -> Iterator[Tensor]:
        # a generator function, since it draws only when iterated: with workers, DataLoader calls
        # this twice per epoch and uses the second iterator
        yield from index_batches(self.count, self.batch_size, self.generator)

    def __len__(self) -> int:
        return -(-self.count // self.batch_size)


def loader(
    dataset: Selectable[B],
    batch_size: int,
    generator: torch.Generator | None = None,
    *,
    num_workers: int = 0,
    start_method: str | None = None,
) -> DataLoader[B]:
    """Return a DataLoader of PyTorch over the typed batches of a dataset.

    The batches of a dataset in memory equal ``dataset.batches(batch_size, generator)``, epoch by
    epoch. If worker processes are spawned, as on Windows and macOS, each worker imports the script,
    which must therefore use the loader under ``if __name__ == "__main__":``.

    Args:
        dataset: The dataset: one of `shapezoo.data`, or the result of `as_dataset`.
        batch_size: The number of examples in a batch, at least 1.
        generator: Shuffles the examples; without it they keep the order in which they are stored.
        num_workers: The number of worker processes; with 0, the caller's process is used.
        start_method: How workers start: ``"spawn"``, ``"fork"`` or ``"forkserver"``; by default
            the method of the system.

    Raises:
        TypeError: The dataset has no ``select``; `as_dataset` adds it.
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
        generator=torch.Generator(),  # otherwise DataLoader draws from the global generator
        multiprocessing_context=start_method if num_workers else None,
    )
