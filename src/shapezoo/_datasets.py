"""The interface between data and training: datasets that return batches, and the batches."""

from typing import Any, Protocol, Self, TypeGuard, TypeVar, runtime_checkable

import torch
from torch import Tensor

B_co = TypeVar("B_co", covariant=True)


@runtime_checkable
class Batch(Protocol):
    """Several examples and their targets."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments of the model."""
        ...

    @property
    def targets(self) -> Tensor:
        """What the loss compares the output of the model with."""
        ...

    def to(self, device: torch.device) -> Self:
        """Return the same examples on a device; some tensors may stay on the CPU."""
        ...


@runtime_checkable
class Selectable(Protocol[B_co]):
    """A dataset that returns several examples at once, as a batch."""

    def __len__(self) -> int:
        """Return the number of examples."""
        ...

    def select(self, indices: Tensor, /) -> B_co:
        """Return the examples at these indices as a batch."""
        ...


@runtime_checkable
class MapStyle(Protocol):
    """A dataset that returns one example at a time for its index, as PyTorch's do."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


def is_batch(value: object) -> TypeGuard[Batch]:
    """Whether this is a batch; a class is not, though it has the attributes too."""
    return isinstance(value, Batch) and not isinstance(value, type)


def is_selectable(value: object) -> TypeGuard[Selectable[Any]]:
    """Whether this is a dataset with ``select``, which classes and tensors have too."""
    return isinstance(value, Selectable) and not isinstance(value, type | Tensor)
