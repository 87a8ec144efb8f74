"""Reading safetensors files and files of `torch.save`, recognised by their content.

The first bytes decide, not the name: ``.bin``, ``.pt``, ``.pth`` and ``.ckpt`` are used for both
formats. No code in a file is ever run.
"""

import os
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor

from shapezoo._files import require_regular
from shapezoo.weights.strict_loading import WeightsError
from shapezoo.weights.unsafe_pickles import unsafe_pickle_error

_UNSUPPORTED = re.compile(r"nsupported (?:global: )?GLOBAL ([\w.]+)")
"""How `torch.load` reports an object that is not a tensor; only the message has its type."""

_CHECKPOINT = "shapezoo checkpoint"
"""A key, or the start of the format, in the metadata of a `shapezoo.train.save_checkpoint` file."""

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
"""How a pickle begins, and so a file that `torch.save` wrote before PyTorch 1.6."""


def read_weights(path: str | os.PathLike[str]) -> Any:
    """Read a weights file.

    Args:
        path: A safetensors file, or a file that `torch.save` wrote with nothing but tensors,
            numbers, strings and containers of them.

    Returns:
        What was saved: usually a state dict, or a dict that has one as an entry. Tensors are on
        the CPU.

    Raises:
        WeightsError: The file is missing or damaged, has another format, or holds other objects.
    """
    start = _first_bytes(path)
    if _is_safetensors(start):
        return _read_safetensors(path)
    if start.startswith((_ZIP, _PICKLE)):
        return _read_pickle(path, is_zip=start.startswith(_ZIP))
    content = f"a file that starts with {start!r}" if start else "an empty file"
    raise WeightsError(
        f"{os.fspath(path)!r} is not a weights file: expected a safetensors file or a file that "
        f"torch.save wrote, got {content}"
    )


def loading_code(path: str | os.PathLike[str]) -> str:
    """Return an expression that loads a weights file, for the advice in errors."""
    if _is_safetensors(_first_bytes(path)):
        return f"safetensors.torch.load_file({os.fspath(path)!r})"
    return f"torch.load({os.fspath(path)!r}, map_location='cpu', weights_only=True)"


def _first_bytes(path: str | os.PathLike[str]) -> bytes:
    """Return the nine bytes that tell the format."""
    try:
        require_regular(path)
        with Path(path).open("rb") as file:
            return file.read(9)
    except FileNotFoundError as error:
        where = "" if os.path.isabs(path) else f" in the working directory {os.getcwd()!r}"
        raise WeightsError(f"no weights file at {os.fspath(path)!r}{where}") from error
    except OSError as error:
        raise WeightsError(f"{os.fspath(path)!r} cannot be read: {error.strerror}") from error


def _is_safetensors(start: bytes) -> bool:
    return start[8:] == b"{"  # eight bytes of length, then a header in JSON


def _read_safetensors(path: str | os.PathLike[str]) -> Mapping[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if _CHECKPOINT in metadata or metadata.get("format", "").startswith(_CHECKPOINT):
                raise _checkpoint_error(os.fspath(path))
        return load_file(path)
    except WeightsError:
        raise
    except Exception as error:  # SafetensorError, or what torch raises for a dtype it lacks
        raise _damage_error(path, "safetensors", error) from error


def _read_pickle(path: str | os.PathLike[str], *, is_zip: bool) -> Any:
    try:
        if is_zip:
            _require_intact_weights(os.fspath(path))
        # given a path, torch.load would read it as safetensors if its name says so
        with Path(path).open("rb") as file:
            return torch.load(file, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # of many types, depending on where the file is damaged
        if unsupported := _UNSUPPORTED.search(str(error)):
            raise unsafe_pickle_error(path, unsupported[1]) from error
        raise _damage_error(path, "PyTorch", error) from error


def _require_intact_weights(file: str) -> None:
    """Verify the checksums in a zip file, which `torch.load` does not.

    Raises:
        WeightsError: It is a TorchScript archive.
        zipfile.BadZipFile: A checksum is wrong.
    """
    with zipfile.ZipFile(file) as archive:
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            raise WeightsError(
                f"{file!r} is a TorchScript archive, which holds code as well as weights; write "
                f"its weights to a file of their own:\n"
                f"  torch.save(torch.jit.load({file!r}).state_dict(), 'weights.pth')"
            )
        if wrong := archive.testzip():
            raise zipfile.BadZipFile(f"the checksum of {wrong!r} is wrong")


def _checkpoint_error(file: str) -> WeightsError:
    """Return the error for a checkpoint of a training, which holds more than weights."""
    return WeightsError(
        f"{file!r} is a checkpoint of shapezoo.train.fit, not a weights file; build the model "
        f"without it, then take the weights from the checkpoint:\n"
        f"  from shapezoo.train import install, load_checkpoint\n"
        f"  checkpoint, _ = load_checkpoint({file!r})\n"
        f"  install(model, checkpoint.state)"
    )


def _damage_error(path: str | os.PathLike[str], format_: str, error: Exception) -> WeightsError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    # a forged file could put control characters of the terminal into the message
    reason = re.sub(r"\x1b\[\d*m", "", reason)
    printable = "".join(letter if letter.isprintable() else "?" for letter in reason)
    return WeightsError(f"{os.fspath(path)!r} is damaged, or not a {format_} file: {printable}")
