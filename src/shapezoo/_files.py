"""Read only regular files, and write files so that a reader never sees half of one."""

import contextlib
import errno
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path


def require_regular(path: str | os.PathLike[str]) -> None:
    """Raise an OSError that names the path unless it is a regular file, or a link to one.

    Opening a named pipe would block until somebody writes to it, and a device may never end.

    Raises:
        OSError: There is nothing (`FileNotFoundError`), or a folder, a pipe or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # the path contains a null character
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Is a pipe or a device, not a regular file", os.fspath(path))


def read_text(path: Path, *, errors: str = "strict") -> str:
    """Read a text file in UTF-8.

    Raises:
        OSError: It cannot be read, or is not a regular file.
        UnicodeDecodeError: It is not UTF-8.
    """
    require_regular(path)
    return path.read_text(encoding="utf-8", errors=errors)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `path` once the block has succeeded.

    The content reaches the disk before the name does. If the block fails, the temporary file is
    removed and an existing file at `path` is kept.

    A symbolic link at `path` is replaced by the file, and its target is left alone: that may be a
    blob in a cache whose name is its checksum, or the weights of another run.

    Raises:
        OSError: The file cannot be written; the error names `path`, not the temporary file.
    """
    target = Path(path).absolute()
    unique = f"{os.getpid()}-{threading.get_native_id()}"
    temporary = target.parent / f".{target.name}.{unique}.tmp"
    try:
        # A rename would replace a pipe or a device, which is hardly what the caller wants.
        if not target.is_symlink():
            with contextlib.suppress(FileNotFoundError):
                require_regular(target)
        temporary.touch()
        mode = temporary.stat().st_mode  # some writers make private files; this is the default
        yield temporary
        temporary.chmod(mode)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)
    except OSError as error:
        is_own = error.filename in (None, *map(str, (temporary, target)), temporary, target)
        if not is_own or error.errno is None:  # an error without a number was raised in the block
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(OSError):  # an earlier error is more useful
            temporary.unlink(missing_ok=True)


def leftovers(folder: Path, names: Iterable[str]) -> list[Path]:
    """Return temporary files that `replacing` left behind when its process was killed.

    Args:
        folder: The folder of the files.
        names: The names of the files.
    """
    pattern = re.compile(rf"\.({'|'.join(map(re.escape, names))})\.\d+-\d+\.tmp")
    files = folder.glob(".*.tmp")
    return [path for path in files if pattern.fullmatch(path.name) and path.is_file()]
