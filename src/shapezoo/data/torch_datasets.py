"""Adapting datasets written for PyTorch's DataLoader to `fit`."""

from collections.abc import Iterable, Sized
from dataclasses import dataclass, replace
from typing import Any, Self, overload

import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Subset, TensorDataset, default_collate

from shapezoo._dataset_errors import require_dataset
from shapezoo._datasets import Batch, MapStyle, Selectable, is_selectable
from shapezoo._seeding import draws_nothing, restored_after_examples, seed_example
from shapezoo.data.collating import Collate, TensorBatch, collated
from shapezoo.data.memory import InMemory


@overload
def as_dataset(dataset: object) -> Selectable[TensorBatch]: ...
@overload
def as_dataset(dataset: object, *, collate: Collate) -> Selectable[Any]: ...
def as_dataset(dataset: object, *, collate: Collate = default_collate) -> Selectable[Any]:
    """Adapt a map-style dataset of PyTorch to `shapezoo.train.fit`.

    Accepts torchvision's datasets, `TensorDataset`, `Subset`, lists of tuples and any other object
    with a length and integer indices. Random transforms are seeded by `fit` for each example, as
    with `seeded_example`; random numbers drawn in `collate` are seeded for each batch.

    Args:
        dataset: The examples. The tensors of a `TensorDataset` are indexed as a whole, which is
            much faster. A `Subset` may also contain a dataset returned by `as_dataset`, or one of
            `shapezoo.data`, so `torch.utils.data.random_split` works before and after.
        collate: Makes a batch from a list of examples, like the ``collate_fn`` of a DataLoader. It
            returns tensors ``(*inputs, targets)``, the last of which is compared by the loss, or an
            object with ``inputs``, ``targets`` and ``to(device)``.

    Raises:
        TypeError: The dataset has no length or no indices, or is not a dataset: a DataLoader, a
            path, or tensors such as ``(images, labels)``. Selecting examples raises it for types
            that `collate` does not support, and if `collate` returns something else.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.data import as_dataset
        >>> dataset = as_dataset([(torch.zeros(3), 0), (torch.ones(3), 1)])
        >>> dataset.select(torch.tensor([1, 0])).targets
        tensor([1, 0])

        ```
    """
    # another collate function may take the rows of a tensor as examples
    require_dataset("dataset", dataset, may_be_tensors=collate is not default_collate)
    if type(dataset) is Subset and (subset := _selectable_subset(dataset)) is not None:
        if collate is not default_collate:
            raise TypeError(
                f"collate: {type(dataset.dataset).__name__}, of which this is a Subset, makes "
                "batches itself; leave collate out, or pass it to as_dataset before the split"
            )
        return subset
    examples = _map_style(dataset)
    is_plain = type(examples) is TensorDataset and collate is default_collate
    if is_plain and isinstance(dataset, TensorDataset) and len(dataset.tensors) > 1:
        return TensorRows(dataset.tensors[:-1], dataset.tensors[-1])
    return _Collated(examples, collate)


@dataclass(frozen=True, eq=False)
class TensorRows(InMemory[TensorBatch]):
    """The tensors of a `TensorDataset`: row ``i`` of each belongs to example ``i``."""

    inputs: tuple[Tensor, ...]
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @draws_nothing
    def select(self, indices: Tensor) -> TensorBatch:
        """Return the examples at these indices as a batch."""
        inputs = tuple(tensor[indices] for tensor in self.inputs)
        return TensorBatch(inputs, self.targets[indices])

    def subset(self, indices: Tensor) -> Self:
        """Return the examples at these indices as a dataset."""
        inputs = tuple(tensor[indices] for tensor in self.inputs)
        return replace(self, inputs=inputs, targets=self.targets[indices])


@dataclass(frozen=True, eq=False)
class _Collated:
    """Examples that are selected one by one and collated."""

    examples: MapStyle
    collate: Collate

    def __len__(self) -> int:
        return len(self.examples)

    def select(self, indices: Tensor) -> Batch:
        """Return the examples at these indices as a batch."""
        if len(indices) == 0:
            return self._empty()
        return collated(self._selected(indices.tolist()), self.collate)

    def _selected(self, indices: list[int]) -> list[Any]:
        if _is_deterministic(self.examples):  # seeding takes 9 µs per example
            return [self.examples[index] for index in indices]
        selected = []
        with restored_after_examples():
            for index in indices:
                seed_example(index)
                selected.append(self.examples[index])
        return selected

    def _empty(self) -> TensorBatch:
        """Return an empty batch with the shapes of an example; an empty list cannot be collated."""
        if len(self) == 0:
            raise ValueError("dataset: it is empty; expected at least one example")
        first = self.select(torch.tensor([0]))
        return TensorBatch(tuple(tensor[:0] for tensor in first.inputs), first.targets[:0])


@dataclass(frozen=True, eq=False)
class _Selected:
    """Some of the examples of a dataset with ``select``."""

    dataset: Selectable[Any]
    indices: Tensor

    def __len__(self) -> int:
        return len(self.indices)

    def select(self, indices: Tensor) -> Any:
        """Return the examples at these indices as a batch."""
        return self.dataset.select(self.indices[indices])


def _selectable_subset(subset: Subset[Any]) -> Selectable[Any] | None:
    """Return a subset as a dataset with ``select``, or None if indices of PyTorch's will do."""
    dataset: object = subset.dataset
    if type(dataset) is Subset:
        dataset = _selectable_subset(dataset)
    if isinstance(dataset, MapStyle) or not is_selectable(dataset):
        return None
    indices = torch.as_tensor(subset.indices, dtype=torch.int64)
    return dataset.subset(indices) if isinstance(dataset, InMemory) else _Selected(dataset, indices)


def _is_deterministic(examples: object) -> bool:
    """Whether selecting these examples is known to draw no random numbers."""
    if type(examples) is Subset:
        return _is_deterministic(examples.dataset)
    if type(examples) is ConcatDataset:
        return all(map(_is_deterministic, examples.datasets))
    return type(examples) in (list, tuple, TensorDataset)


def _map_style(dataset: object) -> MapStyle:
    """Return the dataset, or raise a TypeError that says what to pass instead."""
    if not isinstance(dataset, MapStyle):
        missing = "__getitem__" if isinstance(dataset, Sized) else "__len__"
        advice = f"add {missing}, or pass a list of examples"
        if is_selectable(dataset):
            advice = "it has select already, so pass it to fit unchanged"
        elif isinstance(dataset, Iterable):
            advice = "pass as_dataset(list(dataset))"
        raise TypeError(
            f"dataset: expected a dataset with __len__ and __getitem__, but "
            f"{type(dataset).__name__} has no {missing}; {advice}"
        )
    return dataset
