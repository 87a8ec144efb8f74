"""Find the tensors in a value by its type, and replace them."""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from beartype.door import is_bearable
from torch import Tensor

from shapezoo.contracts import Axis, PlainType, TensorType, Type, UnionType
from shapezoo.contracts.language.axes import Extent, align, differences
from shapezoo.contracts.language.walking import intended_options, parts_of


@dataclass(frozen=True, eq=False)
class Place:
    """A tensor in a value, and where it is.

    Attributes:
        path: Its path, as in errors: ``states[1]``.
        keys: The names of arguments and fields, the keys and the indices that lead to it.
        kinds: The types that it may have.
        tensor: The tensor.
        is_option: Whether its annotation is a union of several types that it may have, so that an
            error names no axis.
    """

    path: str
    keys: tuple[Any, ...]
    kinds: tuple[TensorType, ...]
    tensor: Tensor
    is_option: bool = False

    @property
    def kind(self) -> TensorType:
        """The first of the types that the tensor matches."""
        matching = (type_ for type_ in self.kinds if _binds(self.tensor, type_, {}))
        return next(matching, self.kinds[0])

    @property
    def aligned(self) -> list[tuple[int, Axis, Extent]]:
        """Each axis of its type, with the position and the size."""
        return align(self.kind.axes, tuple(self.tensor.shape)) or []

    def axes(self, name: str) -> list[int]:
        """Return the positions of the axes with this name."""
        return [position for position, axis, _ in self.aligned if axis.key == name]

    def axis(self, name: str) -> int | None:
        """Return the position of the axis with this name; None unless there is exactly one."""
        positions = self.axes(name)
        return positions[0] if len(positions) == 1 else None


def places(type_: Type, value: Any, path: str, keys: tuple[Any, ...] = ()) -> Iterator[Place]:
    """Yield the tensors in a value that matches its type, in the order of their checks.

    Parts of a union are left out if they match an option without shapes, or more than one option
    with containers.

    Args:
        type_: The type of the value.
        value: The value.
        path: The path of the value, as in errors.
        keys: The keys that lead to the value.
    """
    match type_:
        case TensorType():
            if isinstance(value, Tensor):
                yield Place(path, keys, (type_,), value)
            return
        case UnionType():
            if value is None or any(_accepts_any_shape(part, value) for part in type_.parts):
                return
            options = intended_options(value, type_)
            if len(options) == 1:
                yield from places(options[0], value, path, keys)
            elif isinstance(value, Tensor):
                tensors = tuple(option for option in options if isinstance(option, TensorType))
                yield Place(path, keys, tensors, value, is_option=True)
            return
    for part in parts_of(value, type_):
        if part.keys:
            yield from places(part.type, part.value, path + part.step, keys + part.keys)


def replaced(value: Any, changes: Mapping[tuple[Any, ...], Any]) -> Any:
    """Return a copy of a value with other parts in it.

    Args:
        value: The value.
        changes: The new parts, by the keys that lead to them.

    Raises:
        ShapeError: A checked dataclass does not accept its new values.
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
    """Bind the axis names of a tensor, as its check does."""
    for type_ in place.kinds:
        sizes = dict(bound)
        if _binds(place.tensor, type_, sizes):
            bound.update(sizes)
            return


def _binds(tensor: Tensor, type_: TensorType, bound: dict[str, Extent]) -> bool:
    """Whether a tensor matches a type and the sizes so far, to which its own are added."""
    is_allowed = type_.allows(tensor.dtype)
    return is_allowed and differences(type_.axes, tuple(tensor.shape), bound) == []


def _accepts_any_shape(type_: Type, value: object) -> bool:
    """Whether a type without shapes accepts a value."""
    return isinstance(type_, PlainType) and is_bearable(value, type_.annotation)
