"""Walk through nested containers of any structure: the one walker for values without a type.

`shapezoo.contracts.language.walking` does the same for values with an annotated type.
"""

import dataclasses
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from torch import Tensor


def items_of(value: Any) -> Iterable[tuple[Any, Any]] | None:
    """Return the keys and items of a container; None for any other value.

    Containers are lists, tuples, deques, mappings and instances of dataclasses. The key is the
    index, the key of the mapping, or the name of the field of a NamedTuple or dataclass.
    """
    if isinstance(value, list | tuple | deque):
        return zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    if isinstance(value, Mapping):
        return value.items()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        # A field without init may not have been set yet.
        return [(f.name, getattr(value, f.name, None)) for f in dataclasses.fields(value)]
    return None


def leaves_of(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield everything in a value that is not a container, with its path, in order.

    Args:
        value: The value.
        path: The path of the value itself, to which ``[0]``, ``['key']`` or ``.field`` is added.
    """
    items = items_of(value)
    if items is None:
        yield path, value
        return
    for key, item in items:
        is_field = isinstance(key, str) and not isinstance(value, Mapping)
        yield from leaves_of(item, f"{path}.{key}" if is_field else f"{path}[{key!r}]")


def tensors_of(value: Any) -> Iterator[Tensor]:
    """Yield every tensor in a value, in order."""
    if isinstance(value, Tensor):
        yield value
        return
    for _, item in items_of(value) or ():
        yield from tensors_of(item)


def shapes_of(value: Any) -> Iterator[tuple[Any, ...]]:
    """Yield the shape of every tensor in a value, in order."""
    return (tuple(tensor.shape) for tensor in tensors_of(value))
