"""Downloading a file, with a timeout for a server that stops sending."""

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
"""Seconds without data after which a connection is closed."""


def download_to(file: Path, url: str, *, hash_prefix: str, title: str) -> None:
    """Download a file; it appears under its name only when its checksum has been verified.

    `torch.hub.download_url_to_file` waits forever for a server that has stopped sending; only
    `socket.setdefaulttimeout`, for all sockets of the process, would change that.

    Args:
        file: Where to write it.
        url: Its address.
        hash_prefix: The first digits of its SHA-256 sum.
        title: Its name in errors and beside the progress bar.

    Raises:
        WeightsError: It cannot be downloaded or written, or has another checksum.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with replacing(file) as temporary:
            digest = _fetch(url, temporary, title)
            if not digest.startswith(hash_prefix):
                raise WeightsError(
                    f"{title}: the download from {url} is damaged: its SHA-256 sum is {digest}, "
                    f"expected one that starts with {hash_prefix}; try again"
                )
    except (OSError, http.client.HTTPException) as error:
        # urllib wraps errors of connecting in a URLError, but not those of reading
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        is_silent = isinstance(cause, TimeoutError)
        reason = f"the server sent nothing for {TIMEOUT:g} seconds" if is_silent else str(error)
        raise WeightsError(
            f"{title} cannot be downloaded from {url}: {reason}; check the network, "
            f"or put the file at {os.fspath(file)!r}"
        ) from error


def _fetch(url: str, path: Path, title: str) -> str:
    """Write the content of an address to a file, and return its SHA-256 sum."""
    from rich.console import Console  # imported here, so that `import shapezoo` stays fast
    from rich.progress import wrap_file

    request = urllib.request.Request(url, headers={"User-Agent": "shapezoo"})
    with urllib.request.urlopen(request, timeout=TIMEOUT) as response, path.open("wb") as out:
        console = Console(stderr=True)
        with wrap_file(
            response,
            response.length or 0,
            description=title,
            console=console,
            disable=not console.is_terminal,
        ) as reader:
            shutil.copyfileobj(reader, out, 1 << 20)
    with path.open("rb") as written:
        return hashlib.file_digest(written, "sha256").hexdigest()
