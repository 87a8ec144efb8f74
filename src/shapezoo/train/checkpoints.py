"""Checkpoints in files: a training in one safetensors file, with all that it goes on from.

Tensors are stored as tensors. What they are nested in is JSON in the metadata of the file, with a
digest of the whole. It is the only entry of the metadata, because safetensors writes several
entries in a random order, and equal checkpoints are to be equal files.
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
from shapezoo.train.checkpoint_trees import decoded, encoded
from shapezoo.train.loop import Checkpoint

_KEY = "shapezoo checkpoint"
_VERSION = 2  # of the format; the first one had several entries in the metadata


class CheckpointError(ValueError):
    """A checkpoint is missing, is damaged, or is not a checkpoint."""

    __module__ = "shapezoo.train"


def save_checkpoint(
    checkpoint: Checkpoint, path: str | os.PathLike[str], *, about: str = ""
) -> None:
    """Write a checkpoint to a safetensors file.

    The file appears under its name only when it is whole and on the disk. Equal checkpoints give
    equal files, byte for byte.

    Args:
        checkpoint: What `fit` hands to its `save`.
        path: The file; one that exists is replaced.
        about: A note to keep with it, such as the settings of the training.

    Raises:
        OSError: The file cannot be written.
        ValueError: A value cannot be stored: the parameters lie in parts on several processes, for
            example, or the optimizer keeps a sparse tensor.
    """
    try:
        tree, tensors = encoded(checkpoint)
        record = {"version": _VERSION, "about": about, "tree": tree}
        record["digest"] = _digest(record, tensors)
        text = _dumped(record)
    except RecursionError as error:
        raise ValueError("checkpoint: it is nested too deeply to be stored") from error
    with replacing(path) as temporary:
        try:
            save_file(tensors, temporary, {_KEY: text})
        except SafetensorError as error:  # how the library reports a full disk
            raise OSError(f"{os.fspath(path)!r} cannot be written: {error}") from error


def load_checkpoint(
    path: str | os.PathLike[str], *, device: torch.device | None = None
) -> tuple[Checkpoint, str]:
    """Read a checkpoint.

    No code is run, whatever the file holds. The digest detects damage; it is not a signature.

    Args:
        path: A file that `save_checkpoint` wrote.
        device: Where to go on; without it on the CPU.

    Returns:
        The checkpoint, and the note that was kept with it.

    Raises:
        CheckpointError: The file is missing, is not a checkpoint, is of another version of the
            format, or is not as it was written.
    """
    shown = repr(os.fspath(path))
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            record = _record(metadata, shown)
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
        raise CheckpointError(f"{shown} cannot be read: {error}") from error
    except (SafetensorError, ValueError) as error:
        raise CheckpointError(f"{shown} is damaged, or not a checkpoint: {error}") from error


def _tensors(file: Any) -> dict[str, Tensor]:
    """The tensors of an open file, by name.

    Raises:
        ValueError: The header states a shape that no tensor can have.
    """
    try:
        return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # not a dict
    except (TypeError, RuntimeError) as error:  # torch's, of several lines
        raise ValueError(str(error).partition("\n")[0]) from error


def _record(metadata: dict[str, str], shown: str) -> dict[str, Any]:
    """The JSON in the metadata of a file, if it is a checkpoint of this version."""
    record: Any = json.loads(metadata.get(_KEY, "null"))
    if metadata.get("format") == "shapezoo checkpoint 1":
        record = {"version": 1}
    match record:
        case {"version": int(version)} if version != _VERSION:
            raise CheckpointError(
                f"{shown} has version {version} of the checkpoint format, and this shapezoo reads "
                f"version {_VERSION}; resume the training with the shapezoo that began it"
            )
        case {"version": int(), "about": str(), "tree": _, "digest": str()} if len(record) == 4:
            return dict(record)
    raise CheckpointError(f"{shown} is not a checkpoint")


def _dumped(record: object) -> str:
    return json.dumps(record, sort_keys=True, separators=(",", ":"))


def _digest(record: object, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(_dumped(record).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
