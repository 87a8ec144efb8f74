"""Encode the nested objects of a checkpoint as JSON and named tensors, and decode them.

A list is ``{"list": [...]}``, a tuple ``{"tuple": [...]}``, a dict ``{"dict": [[key, value],
...]}``, a tensor ``{"tensor": [name, axes]}``, and a record an object with the name of its class as
the key; numbers, strings and None are written as they are.

The decoder builds only these types, uses every tensor exactly once and checks the type of every
field of a record. So a forged file can neither run code nor take much more memory than its size.
"""

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from shapezoo.train.loop.example_order import ExampleOrder
from shapezoo.train.loop.training_records import Best, Checkpoint
from shapezoo.train.steps.state import State
from shapezoo.weights.weight_files import STORABLE

Json = Any

_RECORDS = {class_.__name__: class_ for class_ in (Best, Checkpoint, ExampleOrder, State)}


class TreeError(ValueError):
    """The JSON is not the encoding of a checkpoint."""


def encoded(value: Any) -> tuple[Json, dict[str, Tensor]]:
    """Return a value as JSON, and the tensors in it by their names in the JSON.

    Args:
        value: Records, dicts, lists, tuples, tensors, numbers, strings and None.

    Raises:
        ValueError: The value contains an object of another type.
    """
    tensors: dict[str, Tensor] = {}
    return _encoded(value, tensors, set()), tensors


def _encoded(value: Any, tensors: dict[str, Tensor], storages: set[int]) -> Json:
    def inside(values: Iterable[Any]) -> list[Json]:
        return [_encoded(part, tensors, storages) for part in values]

    match value:
        case Tensor():
            _require_storable(value)
            name, axes = str(len(tensors)), _outer_first(value)
            tensors[name] = _unshared(_plain(value).permute(axes), storages)
            return {"tensor": [name, axes]}
        case dict():
            return {"dict": [inside(item) for item in value.items()]}
        case list() | tuple() if type(value) in (list, tuple):
            return {type(value).__name__: inside(value)}
        case Best() | Checkpoint() | ExampleOrder() | State():
            return {type(value).__name__: _encoded(vars(value), tensors, storages)}
        case None | bool() | int() | float() | str():
            return value
    raise ValueError(f"a {type(value).__name__} cannot be stored in a checkpoint: {value!r}")


def _plain(tensor: Tensor) -> Tensor:
    return tensor.detach().cpu().resolve_conj().resolve_neg()


def _unshared(tensor: Tensor, storages: set[int]) -> Tensor:
    """Return a contiguous tensor with a storage of its own, which safetensors requires.

    Args:
        tensor: The tensor, which is copied only if necessary.
        storages: The addresses of the storages in use, to which its own is added.
    """
    storage = tensor.untyped_storage()
    is_whole = tensor.is_contiguous() and storage.nbytes() == tensor.nbytes
    if not is_whole or storage.data_ptr() in storages:
        return tensor.clone(memory_format=torch.contiguous_format)
    storages.add(storage.data_ptr())
    return tensor


def _require_storable(tensor: Tensor) -> None:
    advice = None
    if type(tensor) is not Tensor:
        advice = "save parameters that are sharded with torch.distributed.checkpoint"
    elif tensor.is_meta:
        advice = "it is on the meta device and has no values"
    elif tensor.layout != torch.strided:
        advice = f"its layout is {tensor.layout}; convert it with .to_dense()"
    elif tensor.dtype not in STORABLE:
        advice = f"safetensors files cannot hold {tensor.dtype}"
    if advice is not None:
        raise ValueError(
            f"a {type(tensor).__name__} cannot be stored in a checkpoint; its shape is "
            f"{tuple(tensor.shape)}; {advice}"
        )


def _outer_first(tensor: Tensor) -> list[int]:
    """Return the axes in the order of memory, so that decoding can restore the memory format.

    A kernel may sum in the order of memory, so a channels-last tensor that came back contiguous
    would change the bits of a resumed training.
    """
    return sorted(range(tensor.ndim), key=lambda axis: -tensor.stride()[axis])


def decoded(tree: Json, tensors: Mapping[str, Tensor], device: torch.device | None) -> Checkpoint:
    """Return the checkpoint of an encoding.

    Args:
        tree: The JSON that `encoded` returned.
        tensors: The tensors by name.
        device: The device for parameters and buffers; None to leave them where they are.

    Raises:
        TreeError: This is not the encoding of a checkpoint.
        RecursionError: It is nested too deeply.
    """
    unused = dict(tensors)
    value = _decoded(tree, unused, device)
    if not isinstance(value, Checkpoint):
        raise TreeError(f"expected a Checkpoint, got a {type(value).__name__}")
    if unused:
        raise TreeError(f"the tensor {min(unused)!r} is not used")
    return value


def _decoded(value: Json, unused: dict[str, Tensor], device: torch.device | None) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise TreeError(f"expected an object with one key, got a {type(value).__name__}")
    ((type_name, content),) = value.items()
    if type_name in _RECORDS:
        return _record(_RECORDS[type_name], _decoded(content, unused, device), device)
    if type_name == "tensor":
        return _tensor(content, unused)
    parts = _list(content)
    if type_name == "dict":
        return _dict([_list(item) for item in parts], unused, device)
    if type_name not in ("list", "tuple"):
        raise TreeError(f"there is no type {type_name[:40]!r}")
    decoded_parts = [_decoded(part, unused, device) for part in parts]
    return tuple(decoded_parts) if type_name == "tuple" else decoded_parts


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise TreeError(f"expected a list, got a {type(value).__name__}")
    return value


def _tensor(content: Json, unused: dict[str, Tensor]) -> Tensor:
    match content:
        case [str(name), [*axes]] if name in unused and all(type(axis) is int for axis in axes):
            tensor = unused.pop(name)
            if sorted(axes) == list(range(tensor.ndim)):
                return tensor.permute([axes.index(axis) for axis in range(tensor.ndim)])
    raise TreeError("a tensor is missing, is used twice, or has the wrong axes")


def _dict(
    items: list[list[Json]], unused: dict[str, Tensor], device: torch.device | None
) -> dict[Any, Any]:
    result = {}
    for item in items:
        if len(item) != 2:
            raise TreeError(f"expected a key and a value, got {len(item)} parts")
        key, value = (_decoded(part, unused, device) for part in item)
        try:
            result[key] = value
        except TypeError as error:
            raise TreeError(f"a {type(key).__name__} cannot be a key: {error}") from error
    if len(result) != len(items):
        raise TreeError("a dict has a key twice")
    return result


def _record(record: type[Any], values: object, device: torch.device | None) -> Any:
    """Return a record with these fields; move the parameters and buffers of a state."""
    hints = get_type_hints(record)
    if not isinstance(values, dict) or values.keys() != {field.name for field in fields(record)}:
        raise TreeError(f"{record.__name__} has the wrong fields")
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise TreeError(f"{record.__name__}.{name} cannot be a {type(value).__name__}")
    if record is State:  # an optimizer moves its own tensors when it loads its state
        for name in ("parameters", "buffers"):
            values[name] = {key: tensor.to(device) for key, tensor in values[name].items()}
    return record(**values)


def _fits(value: object, hint: Any) -> bool:
    """Whether a value has the annotated type of a field."""
    if hint is Any:
        return True
    if hint is float:
        return type(value) in (int, float)
    if hint is int:
        return type(value) is int
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is dict:
        key_hint, value_hint = get_args(hint)
        return isinstance(value, dict) and all(
            _fits(key, key_hint) and _fits(part, value_hint) for key, part in value.items()
        )
    return isinstance(value, hint)
