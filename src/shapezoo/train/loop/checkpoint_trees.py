"""Nested Python objects as JSON beside named tensors, and back.

``{"list": [...]}``, ``{"tuple": [...]}``, ``{"dict": [[key, value], ...]}``, a record under the
name of its class, ``{"tensor": [name, axes]}``; numbers, strings and None stand for themselves.
Reading builds nothing but these, uses every tensor once and checks the type of every field of a
record, so a forged file can neither run code nor take much more memory than its own size.
"""

import types
from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any, Union, get_args, get_origin, get_type_hints

import torch
from torch import Tensor

from shapezoo.train.loop.events import Best, Checkpoint
from shapezoo.train.loop.example_order import ExampleOrder
from shapezoo.train.steps.state import State
from shapezoo.weights.weight_files import STORABLE

Json = Any

_RECORDS = {kind.__name__: kind for kind in (Best, Checkpoint, ExampleOrder, State)}


class TreeError(ValueError):
    """JSON that no object was encoded as."""


def encoded(value: Any) -> tuple[Json, dict[str, Tensor]]:
    """The same as JSON, and the tensors in it by the names that they have there.

    Args:
        value: Records, dicts, lists, tuples, tensors, numbers, strings and None.

    Raises:
        ValueError: Something else is among them.
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
            tensors[name] = _on_its_own(_plain(value).permute(axes), storages)
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


def _on_its_own(tensor: Tensor, storages: set[int]) -> Tensor:
    """A tensor as safetensors takes it: dense, and nothing else in its memory; a copy if need be.

    Args:
        tensor: The tensor.
        storages: The addresses of the memory in use, to which its own is added.
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
        advice = "for parameters in parts on several processes use torch.distributed.checkpoint"
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
    """The axes as they lie in memory, for a copy of the same layout: sums depend on it."""
    return sorted(range(tensor.ndim), key=lambda axis: -tensor.stride()[axis])


def decoded(tree: Json, tensors: Mapping[str, Tensor], device: torch.device | None) -> Checkpoint:
    """The checkpoint that was encoded.

    Args:
        tree: What `encoded` returned.
        tensors: The tensors by name.
        device: Where parameters and buffers go; without it they stay where they are.

    Raises:
        TreeError: This is not what a checkpoint was encoded as.
        RecursionError: It is nested too deeply.
    """
    unused = dict(tensors)
    value = _decoded(tree, unused, device)
    if not isinstance(value, Checkpoint):
        raise TreeError(f"expected a Checkpoint, got a {type(value).__name__}")
    if unused:
        raise TreeError(f"the tensor {min(unused)!r} belongs nowhere")
    return value


def _decoded(value: Json, unused: dict[str, Tensor], device: torch.device | None) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if not isinstance(value, dict) or len(value) != 1:
        raise TreeError(f"expected an object with one key, got a {type(value).__name__}")
    ((kind, content),) = value.items()
    if kind in _RECORDS:
        return _record(_RECORDS[kind], _decoded(content, unused, device), device)
    if kind == "tensor":
        return _tensor(content, unused)
    parts = _list(content)
    if kind == "dict":
        return _dict([_list(item) for item in parts], unused, device)
    if kind not in ("list", "tuple"):
        raise TreeError(f"there is no type {kind[:40]!r}")
    decoded_parts = [_decoded(part, unused, device) for part in parts]
    return tuple(decoded_parts) if kind == "tuple" else decoded_parts


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
    raise TreeError("a tensor is missing, is used twice, or has other axes")


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
        raise TreeError("a key stands twice in a dict")
    return result


def _record(record: type[Any], values: object, device: torch.device | None) -> Any:
    """A record of these fields; the parameters and buffers of a state go to the device."""
    hints = get_type_hints(record)
    if not isinstance(values, dict) or values.keys() != {field.name for field in fields(record)}:
        raise TreeError(f"{record.__name__} has other fields")
    for name, value in values.items():
        if not _fits(value, hints[name]):
            raise TreeError(f"{record.__name__}.{name} cannot be a {type(value).__name__}")
    if record is State:  # the optimizer brings its own tensors to where the parameters are
        for name in ("parameters", "buffers"):
            values[name] = {key: tensor.to(device) for key, tensor in values[name].items()}
    return record(**values)


def _fits(value: object, hint: Any) -> bool:
    """Whether a value is of the annotated type of a field."""
    if hint is Any:
        return True
    if hint is float:
        return type(value) in (int, float)
    if hint is int:
        return type(value) is int
    if get_origin(hint) in (Union, types.UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is dict:
        of_keys, of_values = get_args(hint)
        return isinstance(value, dict) and all(
            _fits(key, of_keys) and _fits(part, of_values) for key, part in value.items()
        )
    return isinstance(value, hint)
