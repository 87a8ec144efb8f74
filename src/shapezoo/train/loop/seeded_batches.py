"""Selecting the batches of a training with seeded augmentation, here or in worker processes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils import data

from shapezoo._dataset_errors import require_batch
from shapezoo._datasets import Batch, Selectable
from shapezoo._seeding import Key, is_known_to_draw_nothing, seeded_batch


def select(dataset: Selectable[Batch], indices: Tensor, stream: Key, *position: int) -> Batch:
    """Return the examples at these indices, with generators seeded for this part of a training.

    Args:
        dataset: The dataset.
        indices: The indices of the examples.
        stream: The sequence of batches, such as ``(seed, "train", epoch)``.
        *position: The position of the batch in the sequence.

    Raises:
        TypeError: The dataset returns something other than a batch.
    """
    if is_known_to_draw_nothing(dataset.select):
        return dataset.select(indices)
    with seeded_batch(stream, *position):
        batch = dataset.select(indices)
    require_batch(f"{type(dataset).__name__}.select", batch)
    return batch


@dataclass(frozen=True, eq=False)
class StepBatches(data.Dataset[list[Batch]]):
    """The batches of each step of an epoch, found by the step and the indices of its examples.

    Attributes:
        dataset: The training examples.
        stream: The seed of the epoch, see `select`.
        accumulate: The number of batches in a step.
        rank: The number of this process.
        keeps_empty: Whether to return empty batches too, for sharded models: each of their
            processes must run the same number of batches.
    """

    dataset: Selectable[Batch]
    stream: Key
    accumulate: int
    rank: int
    keeps_empty: bool

    def __getitem__(self, item: tuple[int, Tensor]) -> list[Batch]:
        step, indices = item
        first = self.rank * self.accumulate  # so that no two batches of a step draw the same
        return [
            select(self.dataset, part, self.stream, step, first + number)
            for number, part in enumerate(indices.tensor_split(self.accumulate))
            if len(part) or self.keeps_empty
        ]

    def fetched(
        self, items: list[tuple[int, Tensor]], num_workers: int, generator: torch.Generator
    ) -> Iterable[list[Batch]]:
        """Return the batches of each step, selected when needed or in advance by workers.

        Args:
            items: The number of each step, with the indices of its examples.
            num_workers: The number of worker processes; with 0, this process selects them.
            generator: Seeds what workers draw outside of `select`.
        """
        if num_workers == 0:
            return map(self.__getitem__, items)
        loader: data.DataLoader[Any] = data.DataLoader(
            self,
            batch_size=None,  # an item is a list of batches already
            sampler=items,
            num_workers=num_workers,
            generator=generator,
        )
        return loader
