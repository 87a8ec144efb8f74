"""The tensors in a value, with the names that a contract gives their axes."""

import dataclasses
import inspect
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from shapezoo.contracts import (
    PlainType,
    Signature,
    TensorType,
    Type,
    UnionType,
    signature,
)
from shapezoo.contracts.language.axes import align
from shapezoo.contracts.language.walking import is_container, parts_of
from shapezoo.tracing.records import Shape, Size


class Leaf(NamedTuple):
    """A tensor in a value, and what its contract says of it, if there is one."""

    tensor: Tensor
    kind: TensorType | None

    @property
    def shape(self) -> Shape:
        """Its shape, with the names of its axes; the sizes of a nested tensor are unknown."""
        dtype = str(self.tensor.dtype).removeprefix("torch.")
        if self.tensor.is_nested:
            return Shape(("?",) * self.tensor.dim(), dtype)
        sizes = tuple(int(size) for size in self.tensor.shape)
        names: list[str | None] = [None] * len(sizes)
        for position, axis, _ in self._axes:
            if not axis.variadic:
                names[position] = axis.name or axis.label
        return Shape(sizes, dtype, tuple(names) if any(names) else ())

    @property
    def bound(self) -> dict[str, Size]:
        """The axis names that it binds, with their sizes."""
        return {
            axis.name: size
            for _, axis, size in self._axes
            if axis.name and isinstance(size, int) and (size != 1 or not axis.broadcast)
        }

    @property
    def _axes(self) -> list[Any]:
        if self.kind is None or self.tensor.is_nested:
            return []
        return align(self.kind.axes, tuple(self.tensor.shape)) or []


def leaves(value: object, kind: Type | None = None) -> Iterator[Leaf]:
    """The tensors in a value, in order.

    Args:
        value: A tensor, or lists, tuples, mappings and dataclasses of such. Of a packed sequence
            only the data count.
        kind: What the contract says of it.
    """
    if isinstance(kind, UnionType):
        kind = next((part for part in kind.parts if _fits(value, part)), None)
    if isinstance(value, Tensor):
        yield Leaf(value, kind if isinstance(kind, TensorType) else None)
        return
    types: dict[object, Type] = {}
    if kind is not None and is_container(value, kind):
        types = {part.keys[-1]: part.type for part in parts_of(value, kind) if part.keys}
    for key, part in _inside(value):
        yield from leaves(part, types.get(key))


def _inside(value: Any) -> Iterator[tuple[Any, Any]]:
    """What a value holds, with the index, key or name of the field of each part."""
    if isinstance(value, PackedSequence):
        yield "data", value.data
    elif isinstance(value, list | tuple | deque):
        yield from zip(getattr(value, "_fields", range(len(value))), value, strict=True)
    elif isinstance(value, Mapping):
        yield from value.items()
    elif dataclasses.is_dataclass(value):
        yield from ((f.name, getattr(value, f.name, None)) for f in dataclasses.fields(value))


def contract_of(module: nn.Module) -> Signature | None:
    """The contract of a module, or None where it has none."""
    try:
        return signature(module)
    except Exception:  # the annotations of other people's modules may be anything
        return None


def named_arguments(
    module: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, Any]:
    """The arguments of a call by name; by place, where they do not fit the module."""
    try:
        return inspect.signature(module.forward).bind(*args, **kwargs).arguments
    except (TypeError, ValueError):  # the call will say so
        return {str(place): value for place, value in enumerate(args)} | dict(kwargs)


def argument_leaves(module: nn.Module, arguments: Mapping[str, Any]) -> list[Leaf]:
    """The tensors in the arguments of a call, in order."""
    contract = contract_of(module)
    kinds = {a.name: a.collected for a in contract.inputs} if contract else {}
    return [leaf for name, value in arguments.items() for leaf in leaves(value, kinds.get(name))]


def result_leaves(module: nn.Module, result: object) -> list[Leaf]:
    """The tensors in the result of a call, in order."""
    contract = contract_of(module)
    return list(leaves(result, contract.output if contract else None))


def _fits(value: object, kind: Type) -> bool:
    """Whether a value looks like one of a type, as far as names of axes depend on it."""
    match kind:
        case TensorType():
            if not isinstance(value, Tensor) or not kind.allows(value.dtype):
                return False
            pairs = align(kind.axes, tuple(value.shape))
            return pairs is not None and all(a.fixed in (None, size) for _, a, size in pairs)
        case UnionType(parts=options):
            return any(_fits(value, option) for option in options)
        case PlainType():
            return not isinstance(value, Tensor)
    return is_container(value, kind) and all(_fits(p.value, p.type) for p in parts_of(value, kind))
