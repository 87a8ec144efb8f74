"""Checks of arguments that should be datasets or batches, with errors that show the fix.

Each check accepts what works and otherwise says what to write for the object at hand: a path, a
DataLoader and a pair of tensors each need different code. The code in an error must work when it
is run. So the checks are ordered: an object for which `as_dataset` would raise gets the advice of
that error at once.
"""

import os
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Subset

from shapezoo._datasets import MapStyle, is_batch, is_selectable

_MAX_TYPES_SHOWN = 5
_ANY_DATASET = (
    "pass a dataset of shapezoo.data, or as_dataset(dataset) for a list of examples or a dataset "
    "of PyTorch"
)
_batch_types = set[type]()  # classes known to be batches; the protocol check takes 7 µs


def require_batch(name: str, batch: object) -> None:
    """Raise TypeError unless given a batch.

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
    # [images, labels], which a DataLoader returns, is one batch
    is_list = isinstance(batch, list) and not _has_tensors(batch)
    for item in _items(batch) if is_list else [batch]:
        require_batch(name, item)


def require_batches(name: str, batches: object) -> None:
    """Raise TypeError for what is often passed in place of an iterable of batches.

    The items of the iterable are checked by `require_batch`.

    Args:
        name: The argument that it was passed as.
        batches: The object to check.
    """
    if is_batch(batches):
        advice = f"pass a list: [{name}]"
    elif isinstance(batches, Tensor | Mapping | str) or _has_tensors(batches):
        advice = f"pass a list of batches: [{_tensor_batch(batches)}], from shapezoo.data"
    elif _are_datasets(batches) and not is_batch(_items(batches)[0]):  # some classes are both
        advice = f"pass loader({_first_dataset(name, batches)}, batch_size) from shapezoo.data"
    elif isinstance(batches, Iterable) or (not is_selectable(batches) and _is_iterable(batches)):
        return
    else:
        dataset = name if is_selectable(batches) else "dataset"
        advice = f"pass loader({dataset}, batch_size) from shapezoo.data, or a list of batches"
    raise TypeError(f"{name}: expected an iterable of batches, got {_described(batches)}; {advice}")


def require_selectable(name: str, dataset: object) -> None:
    """Raise TypeError unless given a dataset with ``select``.

    Args:
        name: The argument that the dataset was passed as.
        dataset: The object to check.
    """
    if is_selectable(dataset):
        return
    require_dataset(name, dataset)
    advice = _ANY_DATASET
    if isinstance(dataset, MapStyle):
        advice = f"pass as_dataset({name}) from shapezoo.data"
    elif isinstance(dataset, Iterable):
        advice = f"pass as_dataset(list({name})) from shapezoo.data"
    raise TypeError(
        f"{name}: expected a dataset with __len__ and select(indices), got {_described(dataset)}; "
        f"{advice}"
    )


def require_dataset(name: str, dataset: object, *, may_be_tensors: bool = False) -> None:
    """Raise TypeError for what is often passed in place of a dataset.

    Args:
        name: The argument that the dataset was passed as.
        dataset: The object to check.
        may_be_tensors: Whether each row of a tensor, or each tensor of a list, may be an example.
    """
    advice = _advice(name, dataset)
    if advice is None and not may_be_tensors:
        advice = _advice_for_tensors(name, dataset)
    if advice is not None:
        raise TypeError(f"{name}: expected a dataset, got {_described(dataset)}{advice}")


def _advice(name: str, dataset: object) -> str | None:
    """Return the end of an error about this object, or None if it may be a dataset."""
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
        case Mapping() if dataset and all(map(_is_array, dataset.values())):
            return _tensor_dataset(_unpacked(f"{name}.values()", dataset.values()))
        case Mapping():
            keys = ", ".join(map(repr, dataset))
            return f" with the keys {keys}; pass one of its values"
    if _are_datasets(dataset):
        return f"; use one of them, such as {_first_dataset(name, dataset)}"
    if (part := _part_without_indices(dataset)) is not None:
        return (
            f" with a {type(part).__name__} in it, which has no __getitem__; combine the "
            "datasets before as_dataset, as in as_dataset(ConcatDataset([first, second]))"
        )
    return None


def _advice_for_loader(name: str, loader: DataLoader[Any]) -> str:
    if loader.batch_sampler is None:  # as in the result of `shapezoo.data.loader`
        return ", whose items are batches already; pass the dataset that it was made from"
    if isinstance(loader.dataset, IterableDataset):
        return f" of an IterableDataset{_advice(f'{name}.dataset', loader.dataset)}"
    size = "" if loader.batch_size is None else f"batch_size={loader.batch_size} and "
    return (
        ", whose batch size, order and workers would be ignored; pass "
        f"as_dataset({name}.dataset, collate={name}.collate_fn) from shapezoo.data, and "
        f"{size}num_workers={loader.num_workers} to fit or loader"
    )


def _advice_for_tensors(name: str, dataset: object) -> str | None:
    """Return the end of an error if this is tensors, such as ``(images, labels)``, else None."""
    items = _items(dataset)
    if isinstance(dataset, Tensor):
        return _tensor_dataset(f"{name}, labels")
    if isinstance(dataset, np.ndarray):
        return _tensor_dataset(f"torch.as_tensor({name}), torch.as_tensor(labels)")
    if _are_columns(dataset):
        return _tensor_dataset(_unpacked(name, items))
    # a tuple such as (image, label), where the label is a number
    if isinstance(dataset, tuple) and any(map(_is_array, items)) and any(map(_is_scalar, items)):
        return f", which is a single example; pass as_dataset([{name}]) from shapezoo.data"
    return None


def _tensor_dataset(columns: str) -> str:
    return f"; pass as_dataset(torch.utils.data.TensorDataset({columns})) from shapezoo.data"


def _unpacked(name: str, columns: Iterable[object]) -> str:
    """Return code that unpacks the columns of this name as tensors."""
    if all(isinstance(column, Tensor) for column in columns):
        return f"*{name}"
    return f"*map(torch.as_tensor, {name})"


def _tensor_batch(batch: object) -> str:
    """Return code that makes a batch of as many tensors as these."""
    count = len(_items(batch)) - 1 if _has_tensors(batch) else 1
    names = ", ".join(f"input_{number}" for number in range(1, count + 1))
    return f"TensorBatch(({names}), targets)" if count > 1 else "TensorBatch((images,), labels)"


def _first_dataset(name: str, datasets: object) -> str:
    """Return code for the first of these datasets, with ``select``."""
    return f"{name}[0]" if is_selectable(_items(datasets)[0]) else f"as_dataset({name}[0])"


def _described(value: object) -> str:
    """Return a short description of a value: its type, and those of tensors in it."""
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
    name, items = type(value).__name__, _items(value)
    if _are_datasets(value):
        name += f" of {len(items)} datasets"
    elif len(items) <= _MAX_TYPES_SHOWN and any(map(_is_array, items)):
        name += f" of ({', '.join(type(item).__name__ for item in items)})"
    return f"{'an' if name[0] in 'AEIOUaeiou' else 'a'} {name}"


def _is_iterable(value: object) -> bool:
    """Whether a value can be iterated over; ``__getitem__`` without ``__iter__`` is enough."""
    try:
        iter(value)  # type: ignore[call-overload]  # that is the question
    except TypeError:
        return False
    return True


def _items(value: object) -> Sequence[Any]:
    """Return the items of a list or tuple; nothing for other objects."""
    return value if isinstance(value, list | tuple) else ()


def _is_array(value: object) -> bool:
    return isinstance(value, Tensor | np.ndarray)


def _is_scalar(value: Any) -> bool:
    return not _is_array(value) or value.ndim == 0


def _has_tensors(value: object) -> bool:
    """Whether this is one batch as a list or tuple, such as ``[images, labels]``."""
    return any(isinstance(item, Tensor) for item in _items(value))


def _are_columns(value: object) -> bool:
    """Whether this is like ``(images, labels)``, unlike a list of images of equally many axes."""
    items = _items(value)
    if not items or any(map(_is_scalar, items)):
        return False
    return isinstance(value, tuple) or len({item.ndim for item in items}) > 1


def _are_datasets(value: object) -> bool:
    """Whether this is a list or tuple of datasets, such as the result of `random_split`."""
    items = _items(value)
    return bool(items) and all(isinstance(i, Dataset) or is_selectable(i) for i in items)


def _part_without_indices(dataset: object) -> object:
    """Return a dataset without ``__getitem__`` in one of PyTorch's wrappers, which call it.

    `as_dataset` replaces a `Subset` of such a dataset, so there it is allowed.
    """
    while type(dataset) is Subset:
        dataset = dataset.dataset
    if is_selectable(dataset):
        return None
    parts = (part for part in _wrapped(dataset) if is_selectable(part))
    return next((part for part in parts if not isinstance(part, MapStyle)), None)


def _wrapped(dataset: object) -> Iterator[object]:
    """Yield the datasets in the wrappers of PyTorch."""
    match dataset:
        case Subset():
            yield from _wrapped(dataset.dataset)
        case ConcatDataset():
            for part in dataset.datasets:
                yield from _wrapped(part)
        case _:
            yield dataset
