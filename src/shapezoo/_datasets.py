"""What training and data agree on: datasets that are asked for batches by index."""

from typing import Protocol, Self, TypeVar, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader

B_co = TypeVar("B_co", covariant=True)


@runtime_checkable
class Batch(Protocol):
    """Examples that a model can learn from."""

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments of the model."""
        ...

    @property
    def targets(self) -> Tensor:
        """What the loss compares the output with."""
        ...

    def to(self, device: torch.device) -> Self:
        """The same examples on a device, except for what a model wants elsewhere."""
        ...


@runtime_checkable
class Selectable(Protocol[B_co]):
    """A dataset that returns several examples at once, as a batch."""

    def __len__(self) -> int:
        """The number of examples."""
        ...

    def select(self, indices: Tensor, /) -> B_co:
        """The examples at these indices, as a batch."""
        ...


_batch_types = set[type]()  # that were found to be batches, which takes 7 µs


def require_batch(name: str, batch: object) -> None:
    """Raise TypeError unless given a batch, and say how to make one.

    Args:
        name: What returned the batch, or the argument that it was given as.
        batch: What was given.
    """
    if type(batch) in _batch_types:
        return
    if not isinstance(batch, Batch):
        raise TypeError(
            f"{name}: expected a batch with inputs, targets and to(device), got a "
            f"{type(batch).__name__}; shapezoo.data has TensorBatch((images,), labels), and "
            "as_dataset makes such batches of a dataset for PyTorch's DataLoader"
        )
    _batch_types.add(type(batch))


def require_selectable(name: str, dataset: object) -> None:
    """Raise TypeError unless given a dataset with ``select``, and say how to make one.

    Args:
        name: The argument that the dataset was given as.
        dataset: What was given.
    """
    if isinstance(dataset, DataLoader):
        size = "" if dataset.batch_size is None else f"batch_size={dataset.batch_size} and "
        raise TypeError(
            f"{name}: expected a dataset, got a DataLoader, whose batch size, order and workers "
            f"would be ignored; pass as_dataset({name}.dataset, collate={name}.collate_fn) from "
            f"shapezoo.data, with {size}num_workers={dataset.num_workers}"
        )
    if not isinstance(dataset, Selectable):
        wrapped = name
        if isinstance(dataset, tuple) and all(isinstance(part, Tensor) for part in dataset):
            wrapped = f"torch.utils.data.TensorDataset(*{name})"
        raise TypeError(
            f"{name}: expected a dataset with select(indices), got {type(dataset).__name__}; "
            f"pass as_dataset({wrapped}) from shapezoo.data"
        )
