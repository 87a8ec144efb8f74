"""Checkpoints in files: a training in one safetensors file, with all that it goes on from.

Tensors are stored as tensors; what they are nested in stands as JSON in the metadata of the file,
beside a digest of the whole.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from shapezoo._files import replacing
from shapezoo.train.loop import Best, Checkpoint
from shapezoo.train.state import State

_FORMAT = "shapezoo checkpoint 1"
_UNSTORABLE = (torch.complex32, torch.complex128)  # the format has no such numbers
_RECORDS = {kind.__name__: kind for kind in (Best, Checkpoint, State)}


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or is damaged."""


def save_checkpoint(
    checkpoint: Checkpoint, path: str | os.PathLike[str], *, about: str = ""
) -> None:
    """Write a checkpoint to a safetensors file.

    The file appears under its name only when it is whole and on the disk.

    Args:
        checkpoint: What `fit` hands to its `save`.
        path: The file; one that exists is replaced.
        about: A note to keep with it, such as what the training was asked for.

    Raises:
        OSError: The file cannot be written.
        ValueError: The parameters lie in parts on several processes.
    """
    tensors: dict[str, Tensor] = {}
    tree = json.dumps(_encoded(checkpoint, tensors))
    metadata = {"format": _FORMAT, "about": about, "tree": tree}
    metadata["digest"] = _digest(metadata, tensors)
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, metadata)
        except SafetensorError as error:  # how the library tells of a full disk
            raise OSError(f"{os.fspath(path)!r} cannot be written: {error}") from error


def load_checkpoint(
    path: str | os.PathLike[str], *, device: torch.device | None = None
) -> tuple[Checkpoint, str]:
    """Read a checkpoint.

    Args:
        path: A file that `save_checkpoint` wrote.
        device: Where to go on; without it on the CPU.

    Returns:
        The checkpoint, and the note that was kept with it.

    Raises:
        CheckpointError: The file is missing, is no checkpoint, or is not as it was written.
    """
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    except FileNotFoundError as error:
        raise CheckpointError(f"no checkpoint at {os.fspath(path)!r}") from error
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{os.fspath(path)!r} is damaged, or no checkpoint: {error}"
        ) from error
    if metadata.get("format") != _FORMAT:
        raise CheckpointError(f"{os.fspath(path)!r} is no checkpoint of a training")
    if metadata.pop("digest", None) != _digest(metadata, tensors):
        raise CheckpointError(f"{os.fspath(path)!r} is damaged: it is not as it was written")
    checkpoint: Checkpoint = _decoded(json.loads(metadata["tree"]), tensors, device)
    return checkpoint, metadata["about"]


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _encoded(value: Any, tensors: dict[str, Tensor]) -> Any:
    """The same as JSON can hold it; tensors are put aside under a name."""
    match value:
        case Tensor() if value.dtype not in _UNSTORABLE:
            if type(value) is not Tensor:
                raise ValueError(
                    f"a {type(value).__name__} cannot be stored in a checkpoint; for parameters "
                    "that lie in parts on several processes use torch.distributed.checkpoint"
                )
            name, order = str(len(tensors)), _outer_first(value)
            # copies: the format has no views, and shared memory is refused
            rows = value.detach().cpu().permute(order)
            tensors[name] = rows.clone(memory_format=torch.contiguous_format)
            return {"tensor": [name, order]}
        case dict():
            return {"dict": [[_encoded(part, tensors) for part in item] for item in value.items()]}
        case list() | tuple() if type(value) in (list, tuple):
            return {type(value).__name__: [_encoded(part, tensors) for part in value]}
        case Best() | Checkpoint() | State():
            return {type(value).__name__: _encoded(vars(value), tensors)}
        case None | bool() | int() | float() | str():
            return value
    raise ValueError(f"a {type(value).__name__} cannot be stored in a checkpoint: {value!r}")


def _outer_first(tensor: Tensor) -> list[int]:
    """The axes as they lie in memory, for a copy of the same layout: sums depend on it."""
    return sorted(range(tensor.ndim), key=lambda axis: -tensor.stride()[axis])


def _decoded(value: Any, tensors: Mapping[str, Tensor], device: torch.device | None) -> Any:
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        name, order = content
        return tensors[name].permute([order.index(axis) for axis in range(len(order))])
    if kind in _RECORDS:
        fields = _decoded(content, tensors, device)
        if kind == "State":  # the optimizer brings its own tensors to where the parameters are
            for name in ("parameters", "buffers"):
                fields[name] = {key: tensor.to(device) for key, tensor in fields[name].items()}
        return _RECORDS[kind](**fields)
    parts = (_decoded(part, tensors, device) for part in content)
    if kind == "tuple":
        return tuple(parts)
    if kind == "list":
        return list(parts)
    return {
        _decoded(key, tensors, device): _decoded(part, tensors, device) for key, part in content
    }
