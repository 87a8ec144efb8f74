"""Calls, and the places in them where tensors stand."""

import copy
import dataclasses
import inspect
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import NoneType
from typing import Any

from beartype.door import is_bearable
from torch import Tensor, nn

from shapezoo._modules import as_written
from shapezoo.contracts import (
    DictType,
    PlainType,
    RecordType,
    SequenceType,
    Signature,
    TensorType,
    TupleType,
    Type,
    TypedDictType,
    UnionType,
)
from shapezoo.contracts.axes import Extent, align, differences
from shapezoo.contracts.describing import describe


@dataclass(frozen=True, repr=False)
class Call:
    """What is called, and with what. Calling it does it.

    Attributes:
        function: A module, a class or a function.
        args: The positional arguments.
        kwargs: The keywords.
        sizes: The size of each axis that the contract leaves open.
        contract: The contract, with numbers for parts in braces.
    """

    function: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    sizes: dict[str, Any]
    contract: Signature

    def __call__(self) -> Any:
        """The result. What is given are copies, so that the call can be made again."""
        args, kwargs = copy.deepcopy((self.args, self.kwargs))
        return self.function(*args, **kwargs)

    def __repr__(self) -> str:
        owner = self.function
        if isinstance(owner, nn.Module):
            owner = type(as_written(owner))
        shown = (f"{key}={_shown(value)}" for key, value in self.arguments.items())
        return f"{owner.__name__}({', '.join(shown)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """How hypothesis prints it."""
        printer.text(repr(self))

    @property
    def arguments(self) -> dict[str, Any]:
        """The arguments by name; those of ``*args`` are a tuple, those of ``**kwargs`` a dict."""
        return self._bound().arguments

    @property
    def places(self) -> list["Place"]:
        """The places of tensors in the arguments, in the order in which they are checked."""
        given = self.arguments
        kinds = {argument.name: argument.collected for argument in self.contract.inputs}
        found = (places(kinds[name], value, name, (name,)) for name, value in given.items())
        return [place for some in found for place in some]

    def replaced(self, changes: Iterable[tuple["Place", Any]]) -> "Call":
        """The same call with other values in some places.

        Raises:
            ShapeError: A record refuses them when it is made.
        """
        bound = self._bound()
        changed = replaced(bound.arguments, {place.keys: value for place, value in changes})
        bound.arguments.update(changed)
        return dataclasses.replace(self, args=bound.args, kwargs=bound.kwargs)

    def _bound(self) -> inspect.BoundArguments:
        return signature_of(self.function).bind(*self.args, **self.kwargs)


def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """The parameters of a function, or of the forward of a module."""
    if isinstance(function, nn.Module):
        module = as_written(function)  # whose class has the contract
        function = type(module).forward.__get__(module)
    return inspect.signature(function)


def owner_of(function: object) -> object:
    """The object whose ``self`` a function gets: a module, or what a method is bound to."""
    if isinstance(function, nn.Module):
        return as_written(function)
    return getattr(function, "__self__", None)


@dataclass(frozen=True)
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

    def axes(self, name: str) -> list[int]:
        """The positions of the axes of this name, where the type is known."""
        if len(self.kinds) > 1:
            return []
        pairs = align(self.kinds[0].axes, tuple(self.tensor.shape)) or ()
        return [position for position, axis, _ in pairs if axis.key == name]

    def axis(self, name: str) -> int | None:
        """The position of the axis of this name, where there is one."""
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
    inside: list[tuple[Type, Any, str, object]]
    match kind:
        case TensorType():
            if isinstance(value, Tensor):
                yield Place(path, keys, (kind,), value)
            return
        case UnionType(parts=parts):
            options = [part for part in parts if not _is_none(part)]
            if value is None:
                return
            if len(options) == 1:
                yield from places(options[0], value, path, keys)
            elif isinstance(value, Tensor) and not any(_takes_any(o, value) for o in options):
                tensors = tuple(option for option in options if isinstance(option, TensorType))
                yield Place(path, keys, tensors, value, is_option=True)
            return
        case PlainType():
            return
        case TupleType(parts=parts):
            pairs = enumerate(zip(parts, value, strict=True))
            inside = [(part, item, f"[{i}]", i) for i, (part, item) in pairs]
        case SequenceType(parts=(part,)):
            inside = [(part, item, f"[{i}]", i) for i, item in enumerate(value)]
        case DictType(parts=(_, part)):
            pairs = value.items()
            inside = [(part, item, f"[{reprlib.repr(key)}]", key) for key, item in pairs]
        case TypedDictType(parts=parts, keys=names):
            items = zip(names, parts, strict=True)
            inside = [(part, value[n], f"[{n!r}]", n) for n, part in items if n in value]
        case RecordType(parts=parts, fields=fields):
            named = zip(fields, parts, strict=True)
            inside = [(part, getattr(value, name), f".{name}", name) for name, part in named]
    for part, item, step, key in inside:
        yield from places(part, item, path + step, (*keys, key))


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
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {key: replaced(getattr(value, key), more) for key, more in inside.items()}
        return dataclasses.replace(value, **fields)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        fields = {key: replaced(getattr(value, key), more) for key, more in inside.items()}
        return value._replace(**fields)  # type: ignore[attr-defined]  # a NamedTuple
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


def _is_none(kind: Type) -> bool:
    return isinstance(kind, PlainType) and kind.annotation is NoneType


def _takes_any(kind: Type, value: Tensor) -> bool:
    """Whether a type without shapes takes a tensor."""
    return isinstance(kind, PlainType) and is_bearable(value, kind.annotation)


def _shown(value: object) -> str:
    """A value in a few words; the numbers of short tensors of whole numbers."""
    if isinstance(value, Tensor) and not value.is_floating_point() and value.numel() <= 16:
        return (
            f"{describe(value)} {value.tolist()}"
            if value.device.type != "meta"
            else describe(value)
        )
    return describe(value)
