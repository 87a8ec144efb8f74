"""Finding the tensors in a value by its type, and putting others in their places."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from beartype.door import is_bearable
from torch import Tensor

from shapezoo.contracts import (
    Axis,
    PlainType,
    TensorType,
    Type,
    UnionType,
)
from shapezoo.contracts.language.axes import Extent, align, differences
from shapezoo.contracts.language.walking import intended_options, parts_of


@dataclass(frozen=True, eq=False)
class Place:
    """Where a tensor stands in a value.

    Attributes:
        path: The place, as an error names it: ``states[1]``.
        keys: The way to it: names of arguments and fields, keys and indices.
        kinds: What the tensor may be.
        tensor: The tensor.
        is_option: Whether it may be something else as well, so that an error names no axis.
    """

    path: str
    keys: tuple[Any, ...]
    kinds: tuple[TensorType, ...]
    tensor: Tensor
    is_option: bool = False

    @property
    def kind(self) -> TensorType:
        """The first of its types that the tensor is of."""
        shape, dtype = tuple(self.tensor.shape), self.tensor.dtype
        kinds = (k for k in self.kinds if k.allows(dtype) and differences(k.axes, shape, {}) == [])
        return next(kinds, self.kinds[0])

    @property
    def aligned(self) -> list[tuple[int, Axis, Extent]]:
        """Each axis of its type, with its position and its size."""
        return align(self.kind.axes, tuple(self.tensor.shape)) or []

    def axes(self, name: str) -> list[int]:
        """The positions of the axes of this name."""
        return [position for position, axis, _ in self.aligned if axis.key == name]

    def axis(self, name: str) -> int | None:
        """The position of the axis of this name, where there is just one."""
        found = self.axes(name)
        return found[0] if len(found) == 1 else None


def places(kind: Type, value: Any, path: str, keys: tuple[Any, ...] = ()) -> Iterator[Place]:
    """The places of tensors in a value that is of its type, in the order of their checks.

    A part of which an option of a union does not tell the type is left out.

    Args:
        kind: The type of the value.
        value: The value.
        path: Where it is, as an error names it.
        keys: The way to it.
    """
    match kind:
        case TensorType():
            if isinstance(value, Tensor):
                yield Place(path, keys, (kind,), value)
            return
        case UnionType():
            if value is None or any(_takes_any(part, value) for part in kind.parts):
                return
            options = intended_options(value, kind)
            if len(options) == 1:
                yield from places(options[0], value, path, keys)
            elif isinstance(value, Tensor):
                tensors = tuple(option for option in options if isinstance(option, TensorType))
                yield Place(path, keys, tensors, value, is_option=True)
            return
    for part in parts_of(value, kind):
        if part.keys:
            yield from places(part.type, part.value, path + part.step, keys + part.keys)


def replaced(value: Any, changes: Mapping[tuple[Any, ...], Any]) -> Any:
    """A copy of a value with other parts in it.

    Args:
        value: The value.
        changes: What to put into it, by the way there.

    Raises:
        ShapeError: A record on the way refuses it when it is made.
    """
    if not changes:
        return value
    if () in changes:
        return changes[()]
    inside: dict[Any, dict[tuple[Any, ...], Any]] = {}
    for (key, *rest), new in changes.items():
        inside.setdefault(key, {})[tuple(rest)] = new
    if isinstance(next(iter(inside)), str) and not isinstance(value, dict):  # names of fields
        fields = {name: replaced(getattr(value, name), more) for name, more in inside.items()}
        if isinstance(value, tuple):
            return value._replace(**fields)  # type: ignore[attr-defined]  # a NamedTuple
        return dataclasses.replace(value, **fields)
    if isinstance(value, tuple):
        return tuple(replaced(item, inside.get(i, {})) for i, item in enumerate(value))
    changed = copy.copy(value)
    for key, more in inside.items():
        changed[key] = replaced(value[key], more)
    return changed


def bind(place: Place, bound: dict[str, Extent]) -> None:
    """Bind the axes that a tensor names, as its check does."""
    shape, dtype = tuple(place.tensor.shape), place.tensor.dtype
    for kind in place.kinds:
        sizes = dict(bound)
        if kind.allows(dtype) and differences(kind.axes, shape, sizes) == []:
            bound.update(sizes)
            return


def _takes_any(kind: Type, value: Tensor) -> bool:
    """Whether a type without shapes takes a tensor."""
    return isinstance(kind, PlainType) and is_bearable(value, kind.annotation)
