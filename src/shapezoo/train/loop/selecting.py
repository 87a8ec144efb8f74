"""Picking the examples of a training, by this process or by workers, with seeded augmentation."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils import data

from shapezoo._dataset_errors import require_batch
from shapezoo._datasets import Batch, Selectable
from shapezoo._seeding import Key, is_known_to_draw_nothing, seeded_batch


def select(dataset: Selectable[Batch], indices: Tensor, stream: Key, *place: int) -> Batch:
    """The examples at these indices, under generators seeded for this place in a training.

    Args:
        dataset: The examples.
        indices: Their indices.
        stream: Where the batch belongs, such as ``(seed, "train", epoch)``.
        *place: Which batch of the stream it is.

    Raises:
        TypeError: The dataset returns something other than a batch.
    """
    if is_known_to_draw_nothing(dataset.select):
        return dataset.select(indices)
    with seeded_batch(stream, *place):
        batch = dataset.select(indices)
    require_batch(f"{type(dataset).__name__}.select", batch)
    return batch


class Steps(data.Dataset[list[Batch]]):
    """The batches of an epoch's steps, each found by its step and the indices of its examples.

    Empty parts are left out unless parameters lie in parts on several processes, for then all of
    these must take as many.
    """

    def __init__(
        self,
        dataset: Selectable[Batch],
        stream: Key,
        *,
        accumulate: int,
        rank: int,
        with_empty: bool,
    ) -> None:
        self._dataset = dataset
        self._stream = stream
        self._accumulate = accumulate
        self._rank = rank
        self._with_empty = with_empty

    def __getitem__(self, item: tuple[int, Tensor]) -> list[Batch]:
        step, share = item
        first = self._rank * self._accumulate  # no two parts of a step draw the same numbers
        return [
            select(self._dataset, part, self._stream, step, first + number)
            for number, part in enumerate(share.tensor_split(self._accumulate))
            if len(part) or self._with_empty
        ]

    def fetched(
        self, items: list[tuple[int, Tensor]], num_workers: int, generator: torch.Generator
    ) -> Iterable[list[Batch]]:
        """The batches of these steps, picked here or ahead of time in worker processes.

        Args:
            items: Each step, with the indices of its examples.
            num_workers: The number of worker processes; 0 for none.
            generator: Seeds what workers draw outside of `select`.
        """
        if num_workers == 0:
            return map(self.__getitem__, items)
        loader: data.DataLoader[Any] = data.DataLoader(
            self,
            batch_size=None,  # an item is a batch already
            sampler=items,
            num_workers=num_workers,
            generator=generator,
        )
        return loader
