"""Arguments that keep a contract, made from it."""

from collections.abc import Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import torch

from shapezoo.contracts.axes import BRACES, Axis, computed
from shapezoo.contracts.errors import ContractError
from shapezoo.contracts.signatures import Argument, ArgumentKind, Signature
from shapezoo.contracts.types import (
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    TupleType,
    Type,
    TypedDictType,
    UnionType,
    tensors,
)

LENGTHS = "lengths"
"""The argument that, by convention, tells how many positions of each sequence are no padding."""


def free_axes(contract: Signature) -> tuple[str, ...]:
    """The names of axes whose sizes a caller chooses, in order: those of required arguments."""
    given = [argument.type for argument in contract.inputs if _is_given(argument)]
    axes = [axis for kind in given for tensor in tensors(kind) for axis in tensor.axes]
    return tuple(dict.fromkeys(axis.name for axis in axes if axis.name))


def example_arguments(
    contract: Signature,
    sizes: Mapping[str, int],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
    is_other: bool = False,
) -> tuple[list[Any], dict[str, Any]]:
    """Positional arguments and keywords that keep a contract: the required ones, all zeros.

    Zero is an index in any vocabulary. A tensor ``lengths`` gets the size of the axis that
    stands beside its own in another argument, and stays on the CPU, where torch wants it, if a
    device is given. A variadic axis is one axis if it has a name, and none otherwise; ``*args`` is
    one argument. What is no tensor is None, False, or the first of a ``Literal``.

    Args:
        contract: The contract.
        sizes: The size of each of `free_axes`, and of parts in braces, such as
            ``{self.in_channels}``; numbers, or symbols of them.
        device: Where to put the tensors.
        dtype: The dtype of those that may be floating-point.
        is_other: Whether to give other values where shapes can depend on them: lengths that
            fall to 1, and masks of ones.

    Raises:
        ContractError: Nothing is known of an argument, or of the size of an axis, or such
            a size is below zero.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    for argument in contract.inputs:
        if not _is_given(argument):
            continue
        is_lengths = argument.name == LENGTHS and isinstance(argument.type, TensorType)
        try:
            home = "cpu" if is_lengths and device is not None else device
            value = _example(argument.type, sizes, home, dtype)
            counted = _counted(contract, argument) if is_lengths else ""
            if counted in sizes:
                longest = sizes[counted]
                value = value + longest
                if is_other:
                    value = torch.arange(len(value), 0, -1).clamp(max=longest).to(value)
            elif is_other and isinstance(value, torch.Tensor) and value.dtype == torch.bool:
                value = ~value
        except ContractError as error:
            raise ContractError(
                f"{contract.name}: cannot make an example of argument {str(argument)!r}: {error}"
            ) from error
        if argument.kind is ArgumentKind.KEYWORD_ONLY:
            kwargs[argument.name] = value
        else:
            args.append(value)
    return args, kwargs


def _counted(contract: Signature, lengths: Argument) -> str:
    """The axis whose positions lengths count: the one beside theirs in another argument, or seq."""
    own = {axis.name for axis in next(tensors(lengths.type)).axes}
    others = (argument.type for argument in contract.inputs if argument is not lengths)
    for tensor in (tensor for kind in others for tensor in tensors(kind)):
        names = [axis.name for axis in tensor.axes if axis.name]
        if own & {*names} and (beside := [name for name in names if name not in own]):
            return beside[0]
    return "seq"


def _is_given(argument: Argument) -> bool:
    """Whether an example of a call has this argument."""
    return argument.is_required or argument.kind is ArgumentKind.VAR_POSITIONAL


def _example(
    kind: Type, sizes: Mapping[str, int], device: torch.device | str | None, dtype: torch.dtype
) -> Any:
    match kind:
        case TensorType():
            shape = [_size(axis, sizes) for axis in kind.axes if axis.name or not axis.variadic]
            return torch.zeros(shape, dtype=_dtype(kind, dtype), device=device)
        case TupleType():
            return tuple(_example(part, sizes, device, dtype) for part in kind.parts)
        case SequenceType():
            items = [_example(kind.parts[0], sizes, device, dtype)] * 2
            return tuple(items) if kind.container is tuple else items
        case RecordType():
            parts = [_example(part, sizes, device, dtype) for part in kind.parts]
            return kind.record(**dict(zip(kind.fields, parts, strict=True)))
        case TypedDictType():
            parts = [_example(part, sizes, device, dtype) for part in kind.parts]
            return dict(zip(kind.keys, parts, strict=True))
        case PlainType() if kind.annotation is NoneType:
            return None
        case PlainType() if kind.annotation is bool:
            return False
        case PlainType() if get_origin(kind.annotation) is Literal:
            return get_args(kind.annotation)[0]
        case UnionType():
            options = [part for part in kind.parts if next(tensors(part), None)]
            return _example(options[0] if options else kind.parts[0], sizes, device, dtype)
    raise ContractError(f"it is no tensor with a shape, but {kind}")


def _size(axis: Axis, sizes: Mapping[str, int]) -> int:
    """The size of an axis; a variadic one stands for one axis here."""
    if axis.fixed is not None:
        return axis.fixed
    if axis.name is not None:
        return sizes[axis.name]
    if axis.expression is None or not {*axis.needs, *axis.braces} <= sizes.keys():
        raise ContractError(f"the size of axis {str(axis)!r} is not known")
    values = {text: f"braces_{place}" for place, text in enumerate(axis.braces)}
    expression = BRACES.sub(lambda part: values[part[0]], axis.expression)
    size = computed(expression, {values.get(name, name): size for name, size in sizes.items()})
    if not isinstance(size, int | torch.SymInt) or size < 0:
        raise ContractError(f"axis {str(axis)!r} is no size for {dict(sizes)}, but {size}")
    return size  # type: ignore[return-value]  # a symbol of a number does what a number does


def _dtype(kind: TensorType, floating: torch.dtype) -> torch.dtype:
    """A dtype that a contract allows: a floating-point one if that is among them."""
    names = vars(torch).values()
    dtypes = [floating, torch.int64, *(value for value in names if isinstance(value, torch.dtype))]
    allowed = filter(kind.allows, dtypes)
    if found := next(allowed, None):
        return found
    raise ContractError(f"torch has no dtype of {kind.dtype}")
