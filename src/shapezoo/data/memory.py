"""Datasets that are held in memory and return batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, Self, TypeVar

import torch
from torch import Tensor

B = TypeVar("B")
D = TypeVar("D", bound="InMemory[Any]")


class InMemory(ABC, Generic[B]):
    """Base class of datasets in memory; subclasses define how examples are selected."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def select(self, indices: Tensor) -> B:
        """Return the examples at these indices as a batch."""

    @abstractmethod
    def subset(self, indices: Tensor) -> Self:
        """Return the examples at these indices as a dataset."""

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[B]:
        """Iterate once over all examples in batches; the last one may be smaller.

        Args:
            batch_size: The number of examples in a batch, at least 1.
            generator: Shuffles the examples; without it they keep the order in which they are
                stored.

        Raises:
            ValueError: The batch size is not positive.
        """
        return map(self.select, index_batches(len(self), batch_size, generator))


class Split(NamedTuple, Generic[D]):
    """A dataset in two parts that have no example in common.

    Attributes:
        train: The examples to train a model on.
        test: The examples to evaluate it on.
    """

    train: D
    test: D


def split(dataset: D, *, test_size: int, generator: torch.Generator | None = None) -> Split[D]:
    """Set examples aside for testing.

    Args:
        dataset: All examples.
        test_size: The number of examples to set aside.
        generator: Chooses them at random; without it the last ones are taken.

    Raises:
        ValueError: There are fewer examples than that, or `test_size` is negative.
    """
    if not 0 <= test_size <= len(dataset):
        raise ValueError(
            f"test_size must be from 0 to {len(dataset)}, the number of examples, got {test_size}"
        )
    sizes = [len(dataset) - test_size, test_size]
    train, test = torch.split(order(len(dataset), generator), sizes)
    return Split(dataset.subset(train), dataset.subset(test))


def index_batches(
    count: int, batch_size: int, generator: torch.Generator | None
) -> tuple[Tensor, ...]:
    """Return the indices of the examples of each batch."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    return torch.split(order(count, generator), batch_size) if count else ()


def order(count: int, generator: torch.Generator | None) -> Tensor:
    """Return the indices of all examples, shuffled if there is a generator."""
    if generator is None:
        return torch.arange(count)
    return torch.randperm(count, generator=generator)


def require_classes(labels: Tensor, classes: Sequence[str], name: str = "labels") -> None:
    """Raise ValueError if a label is not the index of a class.

    Args:
        labels: The labels to check.
        classes: The names of the classes.
        name: What the error calls the labels.
    """
    for index in ((labels < 0) | (labels >= len(classes))).nonzero()[:1].flatten().tolist():
        raise ValueError(
            f"{name}[{index}] must be from 0 to {len(classes) - 1}, got {labels[index]}"
        )
