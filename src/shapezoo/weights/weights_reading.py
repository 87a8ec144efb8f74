"""Reading what others saved: safetensors files and files of `torch.save`, told apart by content.

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
from shapezoo.weights.unsafe_pickles import refused
from shapezoo.weights.strict_loading import WeightsError

_UNSUPPORTED = re.compile(r"nsupported (?:global: )?GLOBAL ([\w.]+)")
"""How `torch.load` reports an object that is not a tensor; its type stands nowhere else."""

_CHECKPOINT = "shapezoo checkpoint"
"""A key in the metadata of what `shapezoo.train.save_checkpoint` writes; once a format."""

_ZIP = b"PK\x03\x04"
_PICKLE = b"\x80"
"""How a pickle begins, and so a file that `torch.save` wrote before PyTorch 1.6."""


def read(path: str | os.PathLike[str]) -> Any:
    """Read a weights file.

    Args:
        path: A safetensors file, or a file that `torch.save` wrote with nothing but tensors,
            numbers, strings and containers of them.

    Returns:
        What was saved: usually a state dict, or a dict that has one as an entry. Tensors are on
        the CPU.

    Raises:
        WeightsError: The file is missing, damaged, of another format, or holds other objects.
    """
    start = _start(path)
    if _is_safetensors(start):
        return _read_safetensors(path)
    if start.startswith((_ZIP, _PICKLE)):
        return _read_pickle(path, is_zip=start.startswith(_ZIP))
    raise WeightsError(
        f"{os.fspath(path)!r} is not a weights file: expected a safetensors file or a file that "
        f"torch.save wrote, got {_described(start)}"
    )


def loading_code(path: str | os.PathLike[str]) -> str:
    """Return an expression that loads a weights file, for the advice in errors."""
    if _is_safetensors(_start(path)):
        return f"safetensors.torch.load_file({os.fspath(path)!r})"
    return f"torch.load({os.fspath(path)!r}, map_location='cpu', weights_only=True)"


def _start(path: str | os.PathLike[str]) -> bytes:
    """The first nine bytes of a file."""
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
    return start[8:] == b"{"  # the header in JSON, after its length


def _read_safetensors(path: str | os.PathLike[str]) -> Mapping[str, Tensor]:
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            if _CHECKPOINT in metadata or metadata.get("format", "").startswith(_CHECKPOINT):
                raise _checkpoint(path)
        return load_file(path)
    except WeightsError:
        raise
    except Exception as error:  # SafetensorError, or what torch raises for an odd dtype
        raise _damaged(path, "safetensors", error) from error


def _read_pickle(path: str | os.PathLike[str], *, is_zip: bool) -> Any:
    try:
        if is_zip:
            _require_intact_weights(path)
        with Path(path).open("rb") as file:  # torch.load believes names that end in .safetensors
            return torch.load(file, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:  # of many types, depending on where the file is damaged
        if found := _UNSUPPORTED.search(str(error)):
            raise refused(path, found[1]) from error
        raise _damaged(path, "PyTorch", error) from error


def _require_intact_weights(path: str | os.PathLike[str]) -> None:
    """Verify the checksums in a zip file, which `torch.load` does not.

    Raises:
        WeightsError: It is an archive of TorchScript.
        zipfile.BadZipFile: A checksum is wrong.
    """
    with zipfile.ZipFile(path) as archive:
        if any(name.endswith("/constants.pkl") for name in archive.namelist()):
            file = os.fspath(path)
            raise WeightsError(
                f"{file!r} is a TorchScript archive, which holds code as well as weights; write "
                f"its weights to a file of their own:\n"
                f"  torch.save(torch.jit.load({file!r}).state_dict(), 'weights.pth')"
            )
        if wrong := archive.testzip():
            raise zipfile.BadZipFile(f"the checksum of {wrong!r} is wrong")


def _checkpoint(path: str | os.PathLike[str]) -> WeightsError:
    """The error for a checkpoint of a training, which holds more than weights."""
    file = os.fspath(path)
    return WeightsError(
        f"{file!r} is a checkpoint of shapezoo.train.fit, not a weights file; build the model "
        f"without it, then take the weights from the checkpoint:\n"
        f"  from shapezoo.train import install, load_checkpoint\n"
        f"  checkpoint, _ = load_checkpoint({file!r})\n"
        f"  install(model, checkpoint.state)"
    )


def _damaged(path: str | os.PathLike[str], format_: str, error: Exception) -> WeightsError:
    reason = str(error).strip().partition("\n")[0] or type(error).__name__
    return WeightsError(
        f"{os.fspath(path)!r} is damaged, or not a {format_} file: {_plain(reason)}"
    )


def _plain(text: str) -> str:
    """Return a text without what would control a terminal."""
    coloured = re.sub(r"\x1b\[\d*m", "", text)
    return "".join(letter if letter.isprintable() else "?" for letter in coloured)


def _described(start: bytes) -> str:
    return f"a file that starts with {start!r}" if start else "an empty file"
