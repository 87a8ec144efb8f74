"""Reading regular files only, and writing files so that a reader never sees half of one."""

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
        OSError: Nothing is there (`FileNotFoundError`), or a folder, a pipe or a device.
    """
    try:
        mode = os.stat(path).st_mode
    except ValueError as error:  # a null character, which no name of a file can have
        raise OSError(errno.EINVAL, str(error), os.fspath(path)) from error
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "Is a pipe or a device, not a regular file", os.fspath(path))


def read_text(path: Path, *, errors: str = "strict") -> str:
    """Read a text file in UTF-8, but nothing that is not a regular file.

    Raises:
        OSError: It cannot be read.
        UnicodeDecodeError: It is not UTF-8.
    """
    require_regular(path)
    return path.read_text(encoding="utf-8", errors=errors)


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path to write to; rename it to `path` once the block has succeeded.

    The content reaches the disk before the name does. If the block fails, the temporary file
    is removed and whatever stood at `path` stays.

    A symbolic link at `path` is replaced by the file, and what it points to is left alone: that
    may be a blob in a cache whose name is its checksum, or the weights of another run.

    Raises:
        OSError: The file cannot be written; the error names `path`, not the temporary file.
    """
    target = Path(path).absolute()
    unique = f"{os.getpid()}-{threading.get_native_id()}"
    temporary = target.parent / f".{target.name}.{unique}.tmp"
    try:
        with _errors_naming(path, temporary, target):
            _require_replaceable(target)
            temporary.touch()
            mode = temporary.stat().st_mode  # some writers make private files; this is the default
            yield temporary
            temporary.chmod(mode)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
    finally:
        with contextlib.suppress(OSError):  # the first error counts
            temporary.unlink(missing_ok=True)


def _require_replaceable(target: Path) -> None:
    """Raise an OSError for a folder, a pipe or a device, which a rename could replace."""
    if not target.is_symlink():
        with contextlib.suppress(FileNotFoundError):
            require_regular(target)


@contextlib.contextmanager
def _errors_naming(path: str | os.PathLike[str], *ours: Path) -> Iterator[None]:
    """Make an OSError of the block name the file that the caller asked for."""
    try:
        yield
    except OSError as error:
        is_other_file = error.filename not in (None, *map(str, ours), *ours)
        if is_other_file or error.errno is None:  # without a number the message is the raiser's
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def leftovers(folder: Path, names: Iterable[str]) -> list[Path]:
    """Temporary files that `replacing` left behind where its process was killed.

    Args:
        folder: The folder of the files.
        names: The names of the files.
    """
    ours = re.compile(rf"\.({'|'.join(map(re.escape, names))})\.\d+-\d+\.tmp")
    return [path for path in folder.glob(".*.tmp") if ours.fullmatch(path.name) and path.is_file()]
