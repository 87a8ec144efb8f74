"""Tensors in a value, each with the type that a contract gives it."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from shapezoo._containers import items_of
from shapezoo.contracts import PlainType, Signature, TensorType, Type, UnionType, signature
from shapezoo.contracts.language.axes import Axis, Extent, align
from shapezoo.contracts.language.walking import is_container, parts_of
from shapezoo.tracing.records import Shape, Size


class TypedTensor(NamedTuple):
    """A tensor with its type; None where no contract gives it one."""

    tensor: Tensor
    type_: TensorType | None = None

    @property
    def shape(self) -> Shape:
        """Its shape, with the names of its axes; the sizes of a nested tensor are unknown."""
        dtype = str(self.tensor.dtype).removeprefix("torch.")
        if self.tensor.is_nested:
            return Shape(("?",) * self.tensor.dim(), dtype)
        sizes = tuple(int(size) for size in self.tensor.shape)
        names: list[str | None] = [None] * len(sizes)
        for position, axis, _ in self._aligned:
            if not axis.variadic:
                names[position] = axis.name or axis.label
        return Shape(sizes, dtype, tuple(names) if any(names) else ())

    @property
    def bound_axes(self) -> dict[str, Size]:
        """The axis names that it binds, with their sizes."""
        return {
            axis.name: size
            for _, axis, size in self._aligned
            if axis.name and isinstance(size, int) and (size != 1 or not axis.broadcast)
        }

    @property
    def _aligned(self) -> list[tuple[int, Axis, Extent]]:
        if self.type_ is None or self.tensor.is_nested:
            return []
        return align(self.type_.axes, tuple(self.tensor.shape)) or []


def typed_tensors(value: Any, type_: Type | None = None) -> Iterator[TypedTensor]:
    """Yield the tensors in a value, in order.

    Args:
        value: A tensor, or nested containers of tensors. A packed sequence counts as its data.
        type_: The type of the value in the contract. Parts that do not fit it get no type.
    """
    if isinstance(value, PackedSequence):
        value, type_ = value.data, None
    if isinstance(type_, UnionType):
        type_ = next((option for option in type_.parts if _fits(value, option)), None)
    if isinstance(value, Tensor):
        yield TypedTensor(value, type_ if isinstance(type_, TensorType) else None)
        return
    types: dict[object, Type] = {}
    if type_ is not None and is_container(value, type_):
        types = {part.keys[-1]: part.type for part in parts_of(value, type_) if part.keys}
    for key, item in items_of(value) or ():
        yield from typed_tensors(item, types.get(key))


def argument_tensors(
    module: nn.Module, contract: Signature | None, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> dict[str, list[TypedTensor]]:
    """Return the tensors in the arguments of a call, by the name of the argument."""
    types = {a.name: a.collected for a in contract.inputs} if contract else {}
    try:
        arguments = dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):  # the arguments do not fit, and the call is about to fail
        arguments = {str(position): value for position, value in enumerate(args)} | dict(kwargs)
    return {name: list(typed_tensors(value, types.get(name))) for name, value in arguments.items()}


def result_tensors(contract: Signature | None, result: object) -> list[TypedTensor]:
    """Return the tensors in the result of a call, in order."""
    return list(typed_tensors(result, contract.output if contract else None))


def contract_of(module: nn.Module) -> Signature | None:
    """Return the contract of a module; None if its annotations are not one."""
    try:
        return signature(module)
    except Exception:  # the annotations of other people's modules may be anything
        return None


def _fits(value: object, type_: Type) -> bool:
    """Whether a value matches a type, as far as the names of axes depend on it."""
    match type_:
        case TensorType():
            if not isinstance(value, Tensor) or not type_.allows(value.dtype):
                return False
            pairs = align(type_.axes, tuple(value.shape))
            return pairs is not None and all(a.fixed in (None, size) for _, a, size in pairs)
        case UnionType(parts=options):
            return any(_fits(value, option) for option in options)
        case PlainType():
            return not isinstance(value, Tensor)
    return is_container(value, type_) and all(
        _fits(part.value, part.type) for part in parts_of(value, type_)
    )
