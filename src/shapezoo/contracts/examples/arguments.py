"""Make example arguments that satisfy a contract."""

import collections
import dataclasses
import inspect
from collections.abc import Callable, Container, Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import torch

from shapezoo.contracts.language.axes import BRACES, Axis, computed
from shapezoo.contracts.language.axis_names import PADDED_AXES
from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.language.signatures import Argument, ArgumentKind, Signature
from shapezoo.contracts.language.types import (
    PlainType,
    RecordType,
    SequenceType,
    TensorType,
    TupleType,
    Type,
    TypedDictType,
    UnionType,
    bindable_names,
    tensors,
)

LENGTHS = "lengths"
"""The argument that, by convention, holds the number of unpadded positions of each sequence."""


def free_axes(contract: Signature) -> tuple[str, ...]:
    """Return the axis names whose sizes a caller chooses: those of required arguments, in order."""
    types = [_narrowed(argument.type) for argument in example_inputs(contract)]
    axes = [axis for type_ in types for tensor in tensors(type_) for axis in tensor.axes]
    return tuple(dict.fromkeys(axis.name for axis in axes if axis.name))


Fill = Callable[[str, TensorType, tuple[int, ...]], Any]
"""A function that makes a tensor from its path (as in errors), its type and its shape."""


def example_arguments(
    contract: Signature,
    sizes: Mapping[str, int],
    *,
    device: torch.device | str | None = None,
    dtype: torch.dtype = torch.float32,
    preferred: torch.dtype | None = None,
    is_other: bool = False,
    fill: int = 0,
    transposed: Container[str] = (),
) -> tuple[list[Any], dict[str, Any]]:
    """Make positional and keyword arguments that satisfy a contract: the required ones, all zeros.

    Zero is a valid index in any vocabulary. A tensor ``lengths`` is filled with the size of the
    axis next to its own in another argument, and stays on the CPU, where PyTorch requires it. A
    variadic axis is one axis if it has a name, and none otherwise; ``*args`` is one argument. An
    argument that is not a tensor is None, False, or the first value of a ``Literal``.

    Args:
        contract: The contract.
        sizes: The size of each of `free_axes`, and the value of parts in braces, such as
            ``{self.in_channels}``; numbers or symbols.
        device: Where to put the tensors.
        dtype: The dtype of tensors that may be floating-point.
        preferred: The dtype of tensors that may have it, floating-point or not.
        is_other: Whether to use other values for arguments that shapes can depend on: lengths
            that decrease to 1, and masks of ones.
        fill: What to fill other tensors with.
        transposed: The names of arguments whose tensors have their axes in reverse order in
            memory.

    Raises:
        ContractError: There is no example for an argument, or the size of an axis is unknown or
            negative.
    """
    counted = counted_axis(contract)

    def example(path: str, type_: TensorType, shape: tuple[int, ...]) -> torch.Tensor:
        is_lengths = path == LENGTHS
        placed = "cpu" if is_lengths and device is not None else device
        own_dtype = dtype_of(type_, dtype if preferred is None else preferred, dtype)
        is_transposed = path.split(".")[0].split("[")[0] in transposed
        memory_shape = shape[::-1] if is_transposed else shape
        value = torch.zeros(memory_shape, dtype=own_dtype, device=placed)
        if is_transposed:
            value = value.permute(*range(len(shape))[::-1])
        if is_lengths and counted in sizes:
            longest = sizes[counted]
            value = value + longest
            if is_other:
                value = torch.arange(len(value), 0, -1).clamp(max=longest).to(value)
        elif is_other and value.dtype == torch.bool:
            value = ~value
        elif fill and value.dtype != torch.bool:
            value = value + fill
        return value

    return arguments(contract, sizes, example, {})


def arguments(
    contract: Signature, sizes: Mapping[str, int], fill: Fill, given: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Make the required positional and keyword arguments.

    Args:
        contract: The contract.
        sizes: The size of each of `free_axes`, and the value of parts in braces.
        fill: Makes the tensors.
        given: The values of arguments that need not be made, by name.

    Raises:
        ContractError: There is no example for an argument, or the size of an axis is unknown or
            negative.
    """
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    passed = example_inputs(contract)
    has_gap = False
    for argument in contract.inputs:
        if argument not in passed:
            has_gap = True
            continue
        name, is_several = argument.name, argument.kind is ArgumentKind.VAR_POSITIONAL
        try:
            path = f"{name}[0]" if is_several else name
            value = given[name] if name in given else _example(argument.type, path, sizes, fill)
        except ContractError as error:
            raise ContractError(
                f"{contract.name}: cannot make an example of argument {str(argument)!r}: {error}"
            ) from error
        is_by_name = has_gap and argument.kind is ArgumentKind.POSITIONAL_OR_KEYWORD
        if is_by_name or argument.kind is ArgumentKind.KEYWORD_ONLY:
            kwargs[name] = value
        else:
            args.append(value)
    return args, kwargs


def counted_axis(contract: Signature) -> str:
    """Return the axis whose positions ``lengths`` counts.

    It is an axis of another argument that has the axis of ``lengths`` too, preferably a time axis.
    Empty if there are no lengths; ``seq`` if there is no such axis.
    """
    types = {argument.name: argument.type for argument in contract.inputs}
    lengths = next(tensors(types.pop(LENGTHS)), None) if LENGTHS in types else None
    if lengths is None or not is_whole(lengths):
        return ""
    own = {axis.name for axis in lengths.axes}
    for tensor in (tensor for type_ in types.values() for tensor in tensors(type_)):
        names = [axis.name for axis in tensor.axes if axis.name]
        if own & {*names} and (others := [name for name in names if name not in own]):
            return next((name for name in others if name in PADDED_AXES), others[0])
    return "seq"


def example_inputs(contract: Signature) -> list[Argument]:
    """Return the arguments of an example call.

    These are the required ones and, if they do not bind all axes of the result, the first optional
    ones that do.
    """
    star = ArgumentKind.VAR_POSITIONAL
    given = [a for a in contract.inputs if a.is_required or a.kind is star]
    for argument in contract.inputs:
        unbound = contract.unbound(given)
        if argument not in given and unbound & bindable_names(argument.type):
            given.append(argument)
    return [argument for argument in contract.inputs if argument in given]


def _narrowed(type_: Type) -> Type:
    """Replace each union in a type by the option that `_example` uses."""
    if isinstance(type_, UnionType):
        return _narrowed(_option(type_))
    parts: Any = tuple(map(_narrowed, type_.parts))  # as many as before
    return dataclasses.replace(type_, parts=parts) if parts else type_


def _option(union: UnionType) -> Type:
    """Return the first option of a union that has tensors, or else the first."""
    return next((part for part in union.parts if any(tensors(part))), union.parts[0])


def plain_values(type_: Type) -> list[Any]:
    """Return all values of a type without shapes; empty if they are many or unknown."""
    annotation = type_.annotation if isinstance(type_, PlainType) else None
    if annotation is NoneType:
        return [None]
    if annotation is bool:
        return [False, True]
    return list(get_args(annotation)) if get_origin(annotation) is Literal else []


def _example(type_: Type, path: str, sizes: Mapping[str, int], fill: Fill) -> Any:
    match type_:
        case TensorType():
            axes = (axis for axis in type_.axes if axis.name or not axis.variadic)
            return fill(path, type_, tuple(size_of(axis, sizes) for axis in axes))
        case TupleType(parts=parts):
            return tuple(
                _example(part, f"{path}[{i}]", sizes, fill) for i, part in enumerate(parts)
            )
        case SequenceType(parts=(part,)):
            items = [_example(part, f"{path}[{i}]", sizes, fill) for i in range(2)]
            return _container(type_.container, items)
        case RecordType():
            fields: dict[str, Any] = {}
            for name, part in zip(type_.fields, type_.parts, strict=True):
                try:
                    fields[name] = _example(part, f"{path}.{name}", sizes, fill)
                except ContractError:
                    if name not in _defaults(type_.record):
                        raise
            return type_.record(**fields)
        case TypedDictType():
            pairs = zip(type_.keys, type_.parts, strict=True)
            return {key: _example(part, f"{path}[{key!r}]", sizes, fill) for key, part in pairs}
        case _ if values := plain_values(type_):
            return values[0]
        case UnionType():
            return _example(_option(type_), path, sizes, fill)
    raise ContractError(f"{type_} does not say which tensors, of which shapes")


def _container(class_: type, items: list[Any]) -> Any:
    """Build a container of the annotated class, which may be abstract."""
    concrete = (list, tuple, collections.deque, set, frozenset)
    return next((builtin for builtin in concrete if issubclass(builtin, class_)), class_)(items)


def _defaults(record: Any) -> set[str]:
    """Return the fields of a dataclass or NamedTuple that have a default."""
    parameters = inspect.signature(record).parameters.values()
    return {p.name for p in parameters if p.default is not p.empty}


def size_of(axis: Axis, sizes: Mapping[str, int]) -> int:
    """Return the size of an axis; a variadic one is a single axis here.

    Args:
        axis: The axis.
        sizes: The sizes of axes by name, and the values of parts in braces.

    Raises:
        ContractError: Its size is unknown or negative.
    """
    if axis.fixed is not None:
        return axis.fixed
    if axis.name is not None:
        return sizes[axis.name]
    if axis.expression is None or not {*axis.needs, *axis.braces} <= sizes.keys():
        raise ContractError(f"the size of axis {str(axis)!r} is not known")
    names = {text: f"braces_{index}" for index, text in enumerate(axis.braces)}
    expression = BRACES.sub(lambda part: names[part[0]], axis.expression)
    size = computed(expression, {names.get(name, name): size for name, size in sizes.items()})
    if not isinstance(size, int | torch.SymInt) or size < 0:
        raise ContractError(
            f"axis {str(axis)!r} evaluates to {size} for {dict(sizes)}, which is not a valid size"
        )
    return size  # type: ignore[return-value]  # a SymInt works like an int


def is_whole(type_: TensorType) -> bool:
    """Whether a tensor holds integers only."""
    return type_.allows(torch.int64) and not type_.allows(torch.float32)


def dtype_of(type_: TensorType, *preferred: torch.dtype) -> torch.dtype:
    """Return the first dtype that a contract allows, of the preferred ones and then of all others.

    Raises:
        ContractError: PyTorch has no such dtype.
    """
    all_dtypes = (value for value in vars(torch).values() if isinstance(value, torch.dtype))
    for dtype in (*preferred, torch.float32, torch.int64, *all_dtypes):
        if type_.allows(dtype):
            return dtype
    raise ContractError(f"torch has no dtype of {type_.dtype}")
