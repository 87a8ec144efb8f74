"""Datasets that were written for PyTorch's DataLoader, as datasets that `fit` takes."""

from collections.abc import Callable, Mapping, Sequence, Sized
from dataclasses import dataclass, replace
from typing import Any, Protocol, Self, TypeGuard, overload, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    IterableDataset,
    Subset,
    TensorDataset,
    default_collate,
)

from shapezoo._datasets import Batch, Selectable
from shapezoo._seeding import draws_nothing, kept_for_examples, seed_example
from shapezoo.data.memory import InMemory

Collate = Callable[[list[Any]], Any]
_TARGETS = ("label", "labels", "target", "targets", "y")  # usual keys in dataset dicts


@runtime_checkable
class _MapStyle(Protocol):
    """A dataset whose examples are found by their index."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> Any: ...


@dataclass(frozen=True, eq=False)
class TensorBatch:
    """Examples as plain tensors.

    Attributes:
        inputs: The arguments of the model.
        targets: What the loss compares its output with.
    """

    inputs: tuple[Tensor, ...]
    targets: Tensor

    def to(self, device: torch.device) -> Self:
        """The same examples on a device."""
        inputs = tuple(tensor.to(device) for tensor in self.inputs)
        return replace(self, inputs=inputs, targets=self.targets.to(device))

    def pin_memory(self) -> Self:
        """The same examples in page-locked memory; ``DataLoader(pin_memory=True)`` calls this."""
        inputs = tuple(tensor.pin_memory() for tensor in self.inputs)
        return replace(self, inputs=inputs, targets=self.targets.pin_memory())


@overload
def as_dataset(dataset: object) -> Selectable[TensorBatch]: ...
@overload
def as_dataset(dataset: object, *, collate: Collate) -> Selectable[Any]: ...
def as_dataset(dataset: object, *, collate: Collate = default_collate) -> Selectable[Any]:
    """Make a map-style dataset of PyTorch usable with `shapezoo.train.fit`.

    Takes torchvision's datasets, `TensorDataset`, `Subset`, lists of tuples and anything else with
    a length and integer indices. Transforms that draw at random are seeded in `fit` for each
    example, as `seeded_example` does; what `collate` draws is seeded for each batch.

    Args:
        dataset: The examples. The tensors of a `TensorDataset` are indexed as a whole, which is
            much faster.
        collate: Makes a batch from a list of examples, like the ``collate_fn`` of a DataLoader:
            tensors ``(*inputs, targets)``, of which the last is what the loss compares with, or
            an object with ``inputs``, ``targets`` and ``to(device)``.

    Raises:
        TypeError: The dataset has no length or no indices, or is a DataLoader. Selecting examples
            raises it if `collate` returns something else than the above.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.data import as_dataset
        >>> dataset = as_dataset([(torch.zeros(3), 0), (torch.ones(3), 1)])
        >>> dataset.select(torch.tensor([1, 0])).targets
        tensor([1, 0])

        ```
    """
    examples = _map_style(dataset)
    if type(examples) is TensorDataset and collate is default_collate and examples.tensors[1:]:
        *inputs, targets = examples.tensors
        return TensorRows(tuple(inputs), targets)
    return _Collated(examples, collate)


@dataclass(frozen=True, eq=False)
class TensorRows(InMemory[TensorBatch]):
    """The tensors of a `TensorDataset`, in which row ``i`` of each belongs to example ``i``."""

    inputs: tuple[Tensor, ...]
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    @draws_nothing
    def select(self, indices: Tensor) -> TensorBatch:
        """The examples at these indices, as a batch."""
        inputs = tuple(tensor[indices] for tensor in self.inputs)
        return TensorBatch(inputs, self.targets[indices])

    def subset(self, indices: Tensor) -> Self:
        """The examples at these indices, as a dataset."""
        inputs = tuple(tensor[indices] for tensor in self.inputs)
        return replace(self, inputs=inputs, targets=self.targets[indices])


@dataclass(frozen=True, eq=False)
class _Collated:
    """Examples that are picked one by one and made into a batch."""

    examples: _MapStyle
    collate: Collate

    def __len__(self) -> int:
        return len(self.examples)

    def select(self, indices: Tensor) -> Batch:
        """The examples at these indices, as a batch."""
        if len(indices) == 0:
            return self._empty()
        return _batch(self.collate(self._picked(indices.tolist())))

    def _picked(self, indices: list[int]) -> list[Any]:
        if _draw_nothing(self.examples):  # seeding takes 9 µs an example
            return [self.examples[index] for index in indices]
        picked = []
        with kept_for_examples():
            for index in indices:
                seed_example(index)
                picked.append(self.examples[index])
        return picked

    def _empty(self) -> TensorBatch:
        """No examples, with the shapes that one has: collating an empty list would fail."""
        if len(self) == 0:
            raise ValueError("dataset: there are no examples in it")
        one = self.select(torch.tensor([0]))
        return TensorBatch(tuple(tensor[:0] for tensor in one.inputs), one.targets[:0])


def _draw_nothing(examples: object) -> bool:
    """Whether picking these examples is known to draw no random numbers."""
    if type(examples) is Subset:
        return _draw_nothing(examples.dataset)
    if type(examples) is ConcatDataset:
        return all(map(_draw_nothing, examples.datasets))
    return type(examples) in (list, tuple, TensorDataset)


def _map_style(dataset: object) -> _MapStyle:
    """The same, or a TypeError that says what to pass instead."""
    if isinstance(dataset, IterableDataset):
        raise TypeError(
            "dataset: an IterableDataset has no indices, without which a training cannot shuffle, "
            "share out or resume; pass as_dataset(list(dataset)) if its examples fit into memory, "
            "or give it __len__ and __getitem__"
        )
    if isinstance(dataset, DataLoader):
        raise TypeError(
            "dataset: expected a dataset, got a DataLoader, whose batch size, order and workers "
            "would be ignored; pass as_dataset(loader.dataset, collate=loader.collate_fn)"
        )
    if isinstance(dataset, Mapping):
        raise TypeError(
            f"dataset: expected one dataset, got a {type(dataset).__name__} with the keys "
            f"{', '.join(map(repr, dataset))}; pass one of its values"
        )
    if not isinstance(dataset, _MapStyle):
        missing = "__getitem__" if isinstance(dataset, Sized) else "__len__"
        advice = f"add {missing}, or pass a list of its examples"
        if isinstance(dataset, Selectable):
            advice = "it has select already, so pass it to fit as it is"
        raise TypeError(f"dataset: {type(dataset).__name__} has no {missing}; {advice}")
    return dataset


def _batch(collated: object) -> Batch:
    """What a collate function returned, as a batch."""
    match collated:
        case tuple() | list() if len(collated) > 1 and _are_tensors(collated):
            return TensorBatch(tuple(collated[:-1]), collated[-1])
        case Batch():
            return collated
        case Mapping():
            raise TypeError(_advice_for_dict(list(collated)))
        case tuple() | list():
            came = f"({', '.join(type(part).__name__ for part in collated)})"
        case _:
            came = f"a {type(collated).__name__}"
    raise TypeError(
        f"collate: expected it to return tensors (*inputs, targets), got {came}; pass "
        "as_dataset(..., collate=...) a function that makes such a tuple from a list of examples"
    )


def _are_tensors(parts: Sequence[object]) -> TypeGuard[Sequence[Tensor]]:
    return all(isinstance(part, Tensor) for part in parts)


def _advice_for_dict(keys: list[object]) -> str:
    """Show a collate function for examples that are dicts with these keys."""
    target = next((key for key in keys if key in _TARGETS), keys[-1] if keys else "label")
    order = [*(key for key in keys if key != target), target]
    returned = ", ".join(f"batch[{key!r}]" for key in order)
    return (
        f"collate: expected it to return tensors (*inputs, targets), got a dict with the keys "
        f"{', '.join(map(repr, keys))}; say which are inputs and which is the target:\n"
        "    from torch.utils.data import default_collate\n"
        "    def collate(examples):\n"
        "        batch = default_collate(examples)\n"
        f"        return {returned}\n"
        "    as_dataset(dataset, collate=collate)"
    )
