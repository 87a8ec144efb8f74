"""Writing files so that a reader never sees half of one."""

import contextlib
import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A temporary path to write to, renamed to `path` once the block has succeeded.

    The content reaches the disk before the name does. If the block fails, the temporary file
    is removed and whatever stood at `path` stays. An OSError names `path`, not the temporary file.
    """
    target = Path(path).resolve()  # a link stays a link
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with _named(path, temporary):
            temporary.touch()
            mode = temporary.stat().st_mode  # some writers make private files; this is usual
            yield temporary
            temporary.chmod(mode)
            with temporary.open("rb") as written:
                os.fsync(written.fileno())
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _named(path: str | os.PathLike[str], temporary: Path) -> Iterator[None]:
    """Let errors name the file that the caller knows; that the disk is full names none."""
    try:
        yield
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(temporary)):
            raise  # it is about something else
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def leftovers(folder: Path, names: Iterable[str]) -> list[Path]:
    """Temporary files that `replacing` left behind where its process was killed.

    Args:
        folder: The folder of the files.
        names: The names of the files.
    """
    ours = re.compile(rf"\.({'|'.join(map(re.escape, names))})\.\d+\.tmp")
    return [path for path in folder.glob(".*.tmp") if ours.fullmatch(path.name) and path.is_file()]
