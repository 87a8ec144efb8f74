"""Checkpoint files: everything that `fit` needs to resume, in one safetensors file.

One file, because a process may be killed at any moment: two files could belong to different steps.
It is written under a temporary name and renamed once it is on the disk, so a reader finds either
the previous checkpoint or the new one, never a part of one. safetensors rather than a pickle,
because reading a pickle can run any code.

The tensors are stored as tensors, and the structure around them as JSON in the metadata, with a
digest of both. The JSON is the only entry of the metadata: safetensors writes several entries in a
random order, but equal checkpoints must have equal files.
"""

import hashlib
import json
import os
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from shapezoo._files import require_regular
from shapezoo.train.loop.checkpoint_trees import decoded, encoded
from shapezoo.train.loop.training_records import Checkpoint
from shapezoo.train.steps.state import State
from shapezoo.weights.weight_files import write_safetensors

_KEY = "shapezoo checkpoint"
_VERSION = 2  # of the format; version 1 had several entries in the metadata

_ZIP = b"PK\x03\x04"
# the magic number with which torch.save began its files before PyTorch 1.6
_OLD_TORCH_SAVE = pickle.dumps(0x1950A86A20F9469CFC6C, protocol=2)


class CheckpointError(ValueError):
    """A checkpoint file is missing, damaged, or something other than a checkpoint."""

    __module__ = "shapezoo.train"


def save_checkpoint(
    checkpoint: Checkpoint, path: str | os.PathLike[str], *, about: str = ""
) -> None:
    """Write a checkpoint to a safetensors file.

    The file gets its name only when it is complete and on the disk. Equal checkpoints have equal
    files, byte for byte.

    Args:
        checkpoint: The checkpoint that `fit` passes to its `save`.
        path: The file; an existing file is replaced.
        about: A note to store with it, such as the settings of the training.

    Raises:
        OSError: The file cannot be written.
        TypeError: `checkpoint` is not a `Checkpoint`; it is a `State`, for example.
        ValueError: A value cannot be stored, because the parameters are sharded over several
            processes, for example, or the optimizer has a sparse tensor in its state.
    """
    _require_checkpoint(checkpoint)
    try:
        tree, tensors = encoded(checkpoint)
        record = {"version": _VERSION, "about": about, "tree": tree}
        record["digest"] = _digest(record, tensors)
        text = _dumped(record)
    except RecursionError as error:
        raise ValueError("checkpoint: it is nested too deeply to be stored") from error
    write_safetensors(tensors, path, {_KEY: text})


def load_checkpoint(
    path: str | os.PathLike[str], *, device: torch.device | None = None
) -> tuple[Checkpoint, str]:
    """Read a checkpoint file.

    Code in the file is never run. The digest detects damage; it is not a signature.

    Args:
        path: A file written by `save_checkpoint`.
        device: The device for parameters and buffers, the CPU by default; `fit` moves the rest.

    Returns:
        The checkpoint, and the note that was stored with it.

    Raises:
        CheckpointError: The file is missing, damaged, in another version of the format, or not a
            checkpoint. For weights and files of `torch.save`, the error says how to read them.
    """
    shown = repr(os.fspath(path))
    try:
        require_regular(path)
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            record = _record(metadata, shown, len(file.keys()))
            tensors = _tensors(file)
        is_as_written = metadata[_KEY] == _dumped(record)
        if record.pop("digest") != _digest(record, tensors) or not is_as_written:
            raise CheckpointError(f"{shown} is damaged: its content does not match its digest")
        return decoded(record["tree"], tensors, device), record["about"]
    except FileNotFoundError as error:
        raise CheckpointError(f"no checkpoint at {shown}") from error
    except CheckpointError:
        raise
    except RecursionError as error:
        raise CheckpointError(f"{shown} is not a checkpoint: it is nested too deeply") from error
    except OSError as error:
        raise CheckpointError(f"{shown} cannot be read: {error.strerror or error}") from error
    except (SafetensorError, ValueError) as error:
        if _is_of_torch_save(path):
            raise CheckpointError(
                f"{shown} was written by torch.save, not by save_checkpoint; read weights in it "
                f"with shapezoo.weights.load(model, {shown}), other content with torch.load"
            ) from error
        raise CheckpointError(f"{shown} is damaged, or not a checkpoint: {error}") from error


def _tensors(file: Any) -> dict[str, Tensor]:
    """Return the tensors of an open file by name.

    Raises:
        ValueError: The header has a shape that no tensor can have.
    """
    try:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (TypeError, RuntimeError) as error:  # raised by torch, with several lines
        raise ValueError(str(error).partition("\n")[0]) from error


def _is_of_torch_save(path: str | os.PathLike[str]) -> bool:
    """Whether `torch.save` wrote the file, judging by its first bytes, as a pickle can run code."""
    with Path(path).open("rb") as file:
        start = file.read(512)
    return start.startswith(_OLD_TORCH_SAVE) or (start.startswith(_ZIP) and b"/data.pkl" in start)


def _require_checkpoint(checkpoint: object) -> None:
    if isinstance(checkpoint, Checkpoint):
        return
    advice = "pass the checkpoint first, then the path"
    if isinstance(checkpoint, State):
        advice = "pass Checkpoint(state)"
    elif isinstance(checkpoint, nn.Module):
        advice = "shapezoo.weights.save(model, path) writes the weights of a model"
    raise TypeError(f"checkpoint: expected a Checkpoint, got {type(checkpoint).__name__}; {advice}")


def _record(metadata: dict[str, str], shown: str, num_tensors: int) -> dict[str, Any]:
    """Return the JSON in the metadata of a file, if it is a checkpoint of this version."""
    record: Any = json.loads(metadata.get(_KEY, "null"))
    if metadata.get("format") == "shapezoo checkpoint 1":
        record = {"version": 1}
    match record:
        case {"version": int(version)} if version != _VERSION:
            raise CheckpointError(
                f"{shown} has version {version} of the checkpoint format, and this release of "
                f"shapezoo reads version {_VERSION}; resume with the release that wrote it"
            )
        case {"version": int(), "about": str(), "tree": _, "digest": str()} if len(record) == 4:
            return dict(record)
    if _KEY in metadata or num_tensors == 0:
        raise CheckpointError(f"{shown} is not a checkpoint that save_checkpoint wrote")
    raise CheckpointError(
        f"{shown} is a safetensors file with {num_tensors} tensors, such as the weights of a "
        f"model, not a checkpoint; read weights with shapezoo.weights.load(model, {shown})"
    )


def _dumped(record: object) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def _digest(record: object, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(_dumped(record).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
