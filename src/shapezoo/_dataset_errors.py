"""Errors about what is passed in place of a dataset or a batch by mistake.

They name what came, such as a path, a DataLoader or a pair of tensors, because the advice for each
is another one. An object that only needs `as_dataset` is told so, and nothing else is: advice must
not lead to the next error.
"""

import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeGuard

import numpy as np
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset

from shapezoo._datasets import MapStyle, is_batch, is_selectable

_batch_types = set[type]()  # classes known to be batches; the protocol check takes 7 µs


def require_batch(name: str, batch: object) -> None:
    """Raise TypeError unless given a batch, and say how to make one.

    Args:
        name: The argument that the batch was passed as, or the function that returned it.
        batch: The object to check.
    """
    if type(batch) in _batch_types:
        return
    if not is_batch(batch):
        raise TypeError(
            f"{name}: expected a batch with inputs, targets and to(device), got "
            f"{_described(batch)}; write {_tensor_batch(batch)}, or use the batches of "
            "loader(as_dataset(dataset), batch_size), all from shapezoo.data"
        )
    _batch_types.add(type(batch))


def require_batch_or_list(name: str, batch: object) -> None:
    """Raise TypeError unless given a batch or a list of batches.

    Args:
        name: The argument that it was passed as.
        batch: The object to check.
    """
    if isinstance(batch, DataLoader) or (is_selectable(batch) and not is_batch(batch)):
        batches = name if isinstance(batch, DataLoader) else f"loader({name}, batch_size)"
        raise TypeError(
            f"{name}: expected a batch, got {_described(batch)}; iterate over {batches} and pass "
            "one batch at a time"
        )
    # [images, labels], as a DataLoader returns it, is one batch
    is_list = isinstance(batch, list) and not any(isinstance(part, Tensor) for part in batch)
    for part in batch if is_list else [batch]:  # type: ignore[attr-defined]
        require_batch(name, part)


def require_batches(name: str, batches: object) -> None:
    """Raise TypeError for what is often passed in place of an iterable of batches.

    What the iterable yields is left to `require_batch`.

    Args:
        name: The argument that it was passed as.
        batches: The object to check.
    """
    if is_batch(batches):
        advice = f"pass a list: [{name}]"
    elif isinstance(batches, Tensor | Mapping | str) or _has_tensors(batches):
        advice = f"pass a list of batches: [{_tensor_batch(batches)}], from shapezoo.data"
    elif _are_datasets(batches) and not is_batch(batches[0]):  # some classes are both
        advice = f"pass loader({_first(name, batches)}, batch_size) from shapezoo.data"
    elif isinstance(batches, Iterable):
        return
    elif is_selectable(batches):
        advice = f"pass loader({name}, batch_size) from shapezoo.data"
    elif _is_iterable(batches):
        return
    else:
        advice = "pass loader(dataset, batch_size) from shapezoo.data, or a list of batches"
    raise TypeError(f"{name}: expected an iterable of batches, got {_described(batches)}; {advice}")


def require_selectable(name: str, dataset: object) -> None:
    """Raise TypeError unless given a dataset with ``select``, and say how to make one.

    Args:
        name: The argument that the dataset was passed as.
        dataset: The object to check.
    """
    if is_selectable(dataset):
        return
    require_dataset(name, dataset)
    require_examples(name, dataset)
    advice = _ANY_DATASET
    if isinstance(dataset, MapStyle):
        advice = f"pass as_dataset({name}) from shapezoo.data"
    elif isinstance(dataset, Iterable):
        advice = f"pass as_dataset(list({name})) from shapezoo.data"
    raise TypeError(
        f"{name}: expected a dataset with __len__ and select(indices), got {_described(dataset)}; "
        f"{advice}"
    )


def require_dataset(name: str, dataset: object) -> None:
    """Raise TypeError for what is often passed in place of a dataset.

    Args:
        name: The argument that the dataset was passed as.
        dataset: The object to check.
    """
    if advice := _advice(name, dataset):
        raise TypeError(f"{name}: expected a dataset, got {_described(dataset)}{advice}")


def require_examples(name: str, dataset: object) -> None:
    """Raise TypeError for tensors such as ``(images, labels)`` in place of a list of examples.

    Args:
        name: The argument that the dataset was passed as.
        dataset: The object to check.
    """
    if isinstance(dataset, Tensor):
        columns = f"{name}, labels"
    elif isinstance(dataset, np.ndarray):
        columns = f"torch.as_tensor({name}), torch.as_tensor(labels)"
    elif _are_columns(dataset):
        columns = _as_tensors(dataset, name)
    elif _is_example(dataset):
        raise TypeError(
            f"{name}: expected a dataset, got {_described(dataset)}, which is a single example; "
            f"pass as_dataset([{name}]) from shapezoo.data"
        )
    else:
        return
    raise TypeError(
        f"{name}: expected a dataset, got {_described(dataset)}; pass "
        f"as_dataset(torch.utils.data.TensorDataset({columns})) from shapezoo.data"
    )


_SHOWN = 5  # parts of a list, at most
_ANY_DATASET = (
    "pass a dataset of shapezoo.data, or as_dataset(dataset) for a list of examples or a dataset "
    "of PyTorch"
)


def _advice(name: str, dataset: object) -> str | None:
    """Return how an error about this object goes on; None if it may be a dataset."""
    match dataset:
        case None:
            return f"; {_ANY_DATASET}"
        case type():
            return "; pass an instance of the class"
        case str() | bytes() | os.PathLike():
            return (
                "; pass a dataset that reads the files: for a folder of images, "
                f"as_dataset(torchvision.datasets.ImageFolder({name}, transform=transform))"
            )
        case IterableDataset():
            return (
                ", which has no indices, so training cannot shuffle, distribute or resume it; pass "
                f"as_dataset(list({name})) if its examples fit into memory, or give it __len__ and "
                "__getitem__"
            )
        case DataLoader():
            return _advice_for_loader(name, dataset)
        case Mapping() if _are_arrays(columns := [*dataset.values()]):
            arguments = _as_tensors(columns, f"{name}.values()")
            return f"; pass as_dataset(torch.utils.data.TensorDataset({arguments}))"
        case Mapping():
            keys = ", ".join(map(repr, dataset))
            return f" with the keys {keys}; pass one of its values"
        case _ if _are_datasets(dataset):
            return f"; use one of them, such as {_first(name, dataset)}"
        case _ if (part := _without_indices(dataset)) is not None:
            return (
                f" with a {type(part).__name__} in it, which has no __getitem__; combine the "
                "datasets before as_dataset, as in as_dataset(ConcatDataset([first, second]))"
            )
    return None


def _advice_for_loader(name: str, loader: DataLoader[Any]) -> str:
    if loader.batch_sampler is None:  # as from `shapezoo.data.loader`
        return ", whose items are batches already; pass the dataset that it was made from"
    if isinstance(loader.dataset, IterableDataset):
        return f" of an IterableDataset{_advice(f'{name}.dataset', loader.dataset)}"
    size = "" if loader.batch_size is None else f"batch_size={loader.batch_size} and "
    return (
        ", whose batch size, order and workers would be ignored; pass "
        f"as_dataset({name}.dataset, collate={name}.collate_fn) from shapezoo.data, and "
        f"{size}num_workers={loader.num_workers} to fit or loader"
    )


def _tensor_batch(batch: object) -> str:
    """Return code that makes a batch of as many tensors as these."""
    count = len(batch) - 1 if _has_tensors(batch) else 1
    names = ", ".join(f"input_{number}" for number in range(1, count + 1))
    return f"TensorBatch(({names}), targets)" if count > 1 else "TensorBatch((images,), labels)"


def _as_tensors(columns: Sequence[object], name: str) -> str:
    """Return code that unpacks columns of this name as tensors."""
    if all(isinstance(column, Tensor) for column in columns):
        return f"*{name}"
    return f"*map(torch.as_tensor, {name})"


def _described(value: object) -> str:
    """Return how an error describes a value: by its type, and that of tensors in it."""
    if value is None:
        return "None"
    if isinstance(value, type):
        return f"the class {value.__name__}"
    if isinstance(value, str | bytes | os.PathLike):
        return reprlib.repr(os.fspath(value))
    if isinstance(value, np.ndarray):
        return "a NumPy array"
    if is_batch(value):
        return "a single batch"
    if is_selectable(value):
        return "a dataset"
    name = type(value).__name__
    if _are_datasets(value):
        name += f" of {len(value)} datasets"
    elif isinstance(value, list | tuple) and len(value) <= _SHOWN and any(map(_is_array, value)):
        name += f" of ({', '.join(type(part).__name__ for part in value)})"
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _is_iterable(value: object) -> bool:
    """Whether a value can be iterated over; ``__getitem__`` without ``__iter__`` is enough."""
    try:
        iter(value)  # type: ignore[call-overload]
    except TypeError:
        return False
    return True


def _has_tensors(value: object) -> TypeGuard[Sequence[object]]:
    """Whether this is one batch as a list or tuple, such as ``[images, labels]``."""
    return isinstance(value, list | tuple) and any(isinstance(part, Tensor) for part in value)


def _is_array(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _are_arrays(values: object) -> TypeGuard[Sequence[Tensor | np.ndarray[Any, Any]]]:
    if not isinstance(values, list | tuple) or not values:
        return False
    return all(map(_is_array, values))


def _are_columns(value: object) -> TypeGuard[Sequence[Tensor | np.ndarray[Any, Any]]]:
    """Whether this is like ``(images, labels)``; in a list of images all have as many axes."""
    if not _are_arrays(value) or any(part.ndim == 0 for part in value):
        return False
    return isinstance(value, tuple) or len({part.ndim for part in value}) > 1


def _is_example(value: object) -> bool:
    """Whether this is like ``(image, label)``, where the label is a number."""
    if not isinstance(value, tuple) or not any(map(_is_array, value)):
        return False
    return any(not _is_array(part) or part.ndim == 0 for part in value)


def _are_datasets(value: object) -> TypeGuard[Sequence[object]]:
    """Whether this is like what `random_split` returns."""
    if not isinstance(value, list | tuple) or not value:
        return False
    return all(isinstance(part, Dataset) or is_selectable(part) for part in value)


def _first(name: str, datasets: Sequence[object]) -> str:
    """Return code for the first of these datasets, with ``select``."""
    return f"{name}[0]" if is_selectable(datasets[0]) else f"as_dataset({name}[0])"


def _without_indices(dataset: object) -> object:
    """Return a dataset that has no ``__getitem__`` though a wrapper of PyTorch needs it, or None.

    A `Subset` does not need it, see `as_dataset`.
    """
    while type(dataset) is Subset:
        dataset = dataset.dataset
    if is_selectable(dataset):
        return None
    parts = (part for part in _parts(dataset) if is_selectable(part))
    return next((part for part in parts if not isinstance(part, MapStyle)), None)


def _parts(dataset: object) -> Iterator[object]:
    """Yield the datasets that PyTorch's wrappers in this one pick examples from."""
    match dataset:
        case Subset():
            yield from _parts(dataset.dataset)
        case ConcatDataset():
            for part in dataset.datasets:
                yield from _parts(part)
        case _:
            yield dataset
