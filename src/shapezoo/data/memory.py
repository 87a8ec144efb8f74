"""Examples that are held in memory and handed out in batches."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, Generic, NamedTuple, Self, TypeVar

import torch
from torch import Tensor

B = TypeVar("B")
D = TypeVar("D", bound="InMemory[Any]")


class InMemory(ABC, Generic[B]):
    """A dataset in memory. A concrete one says how examples are picked."""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def select(self, indices: Tensor) -> B:
        """The examples at these indices, as a batch."""

    @abstractmethod
    def subset(self, indices: Tensor) -> Self:
        """The examples at these indices, as a dataset."""

    def batches(self, batch_size: int, generator: torch.Generator | None = None) -> Iterator[B]:
        """All examples once, in batches of which the last may be smaller.

        Args:
            batch_size: Examples of a batch, at least 1.
            generator: Draws the order; without it the examples come as they are stored.

        Raises:
            ValueError: The batch size is not positive.
        """
        return map(self.select, index_batches(len(self), batch_size, generator))


class Split(NamedTuple, Generic[D]):
    """A dataset in two parts that share no example.

    Attributes:
        train: What a model learns from.
        test: What it is measured on.
    """

    train: D
    test: D


def split(dataset: D, *, test_size: int, generator: torch.Generator | None = None) -> Split[D]:
    """Set examples aside for testing.

    Args:
        dataset: All examples.
        test_size: How many of them to set aside.
        generator: Draws them at random; without it the last ones are taken.
    """
    sizes = [len(dataset) - test_size, test_size]
    train, test = torch.split(order(len(dataset), generator), sizes)
    return Split(dataset.subset(train), dataset.subset(test))


def index_batches(
    count: int, batch_size: int, generator: torch.Generator | None
) -> tuple[Tensor, ...]:
    """The indices of the examples of each batch."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    return torch.split(order(count, generator), batch_size) if count else ()


def order(count: int, generator: torch.Generator | None) -> Tensor:
    """Indices in the order that the generator draws, or as they are."""
    if generator is None:
        return torch.arange(count)
    return torch.randperm(count, generator=generator)


def require_classes(labels: Tensor, classes: Sequence[str], name: str = "labels") -> None:
    """Refuse labels, or what their name is, that have no class."""
    for index in ((labels < 0) | (labels >= len(classes))).nonzero()[:1].flatten().tolist():
        raise ValueError(
            f"{name}[{index}] must be from 0 to {len(classes) - 1}, got {labels[index]}"
        )
