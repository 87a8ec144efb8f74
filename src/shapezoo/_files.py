"""Writing files so that a reader never sees half of one."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path to write to, renamed to `path` once the block has succeeded.

    The content reaches the disk before the name does. If the block fails, the temporary file
    is removed and whatever stood at `path` stays.
    """
    target = Path(path).resolve()  # a link stays a link
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            temporary.touch()
        except OSError as error:  # told with the name that the caller knows
            raise OSError(error.errno, error.strerror, str(path)) from error
        mode = temporary.stat().st_mode  # some writers make private files; this is the usual mode
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        try:
            temporary.replace(target)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)
