"""The data files of the package, verified whenever they are read."""

import hashlib
from pathlib import Path

FILES = Path(__file__).parent / "files"
CHECKSUMS = {
    "alice.txt": "90c43dec3d66aec95ac33def73cce5b938711fd1bd63b9c1d3da8769cdede401",
    "digits.safetensors": "2368626786ff35f80b63c9e5aefbf839091368ee2e6274f3cc17d63b184883fb",
    "names.tsv": "e40beb49e622a64af72bc1b855d04b4dc00b026f161e3bdc86af21e5b9ea9e55",
}
"""The SHA-256 checksum of each file; also in the NOTICE in their folder."""


class DatasetError(ValueError):
    """A dataset is missing, or its files cannot be read."""

    __module__ = "shapezoo.data"


def read_packaged(name: str) -> bytes:
    """Return the content of a data file of the package.

    Raises:
        DatasetError: It is missing or damaged.
    """
    path = FILES / name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DatasetError(f"a file of shapezoo is missing: {error}; reinstall shapezoo") from error
    if hashlib.sha256(content).hexdigest() != CHECKSUMS[name]:
        raise DatasetError(f"a file of shapezoo is damaged: {str(path)!r}; reinstall shapezoo")
    return content
