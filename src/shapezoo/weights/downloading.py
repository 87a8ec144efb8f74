"""Downloading a file, with a limit on how long the server may be silent."""

import hashlib
import http.client
import os
import shutil
import urllib.error
import urllib.request
from pathlib import Path

from shapezoo._files import replacing
from shapezoo.weights.strict_loading import WeightsError

TIMEOUT = 60.0
"""Seconds after which a connection on which nothing arrives is given up."""


def download_to(file: Path, url: str, *, hash_prefix: str, called: str) -> None:
    """Download a file; it appears under its name only when its checksum has been verified.

    `torch.hub.download_url_to_file` waits forever for a server that has stopped sending, and can
    only be told otherwise by a setting for all sockets of the process.

    Args:
        file: Where to put it.
        url: Its address.
        hash_prefix: How its SHA-256 sum starts.
        called: What to call it in errors and beside the progress bar.

    Raises:
        WeightsError: It cannot be downloaded or written, or has another checksum.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            found = _fetch(url, temporary, called)
            if not found.startswith(hash_prefix):
                raise WeightsError(
                    f"{called}: what came from {url} is damaged: its SHA-256 sum is {found}, "
                    f"expected one that starts with {hash_prefix}; try again"
                )
    except (OSError, http.client.HTTPException) as error:
        # urllib wraps what happens while it connects
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        is_silent = isinstance(cause, TimeoutError)
        reason = f"the server sent nothing for {TIMEOUT:g} seconds" if is_silent else str(error)
        raise WeightsError(
            f"{called} cannot be downloaded from {url}: {reason}; check the network, "
            f"or put the file at {os.fspath(file)!r}"
        ) from error


def _fetch(url: str, path: Path, called: str) -> str:
    """Write what is at an address to a file, and return its SHA-256 sum."""
    from rich.console import Console  # only who downloads waits for it
    from rich.progress import wrap_file

    request = urllib.request.Request(url, headers={"User-Agent": "shapezoo"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, path.open("wb") as out:
        console = Console(stderr=True)
        with wrap_file(
            response,
            response.length or 0,
            description=called,
            console=console,
            disable=not console.is_terminal,
        ) as reader:
            shutil.copyfileobj(reader, out, 1 << 20)
    with path.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()
