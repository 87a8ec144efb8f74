"""Files are written atomically, and only regular files are read or replaced."""

import errno
import os
import resource
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from shapezoo._files import leftovers, replacing, require_regular


def test_a_link_is_replaced_and_its_target_left_alone(tmp_path: Path) -> None:
    """A link into a cache, whose files are named by their checksums, must not change the cache."""
    blob, link = tmp_path / "blob", tmp_path / "model.safetensors"
    blob.write_text("cached")
    link.symlink_to(blob)
    with replacing(link) as temporary:
        temporary.write_text("mine")
    assert blob.read_text() == "cached"
    assert not link.is_symlink()
    assert link.read_text() == "mine"


def test_a_link_to_nothing_is_replaced_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with replacing(tmp_path / "link") as temporary:
        temporary.write_text("mine")
    assert [file.name for file in tmp_path.iterdir()] == ["link"]


def test_a_linked_folder_is_written_into(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "run").symlink_to(tmp_path / "disk")
    with replacing(tmp_path / "run/file") as temporary:
        temporary.write_text("mine")
    assert (tmp_path / "disk/file").read_text() == "mine"
    assert (tmp_path / "run").is_symlink()


def test_folders_pipes_and_devices_are_never_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe", Path("/dev/null"), Path("/dev/full"), Path("/")):
        before = os.stat(path).st_mode
        with pytest.raises(OSError, match=r"[Nn]ot a|Is a dir") as error, replacing(path):
            pytest.fail("nothing must be written")
        assert error.value.filename == str(path)
        assert os.stat(path).st_mode == before
        with pytest.raises(OSError, match=r"[Nn]ot a|Is a dir"):
            require_regular(path)
    assert [file.name for file in tmp_path.iterdir()] == ["pipe"]


@pytest.mark.parametrize(
    ("name", "message"), [("nowhere/file", "No such file"), ("x" * 255, "name too long")]
)
def test_errors_have_the_name_that_the_caller_passed(
    name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(OSError, match=message) as error, replacing(tmp_path / name):
        pytest.fail("nothing must be written")
    assert error.value.filename == str(tmp_path / name)


def test_a_name_with_a_null_character_is_refused() -> None:
    with pytest.raises(OSError, match="null"):
        require_regular("null\0byte")


@pytest.fixture
def small_files() -> Iterator[None]:
    """The system refuses files of more than 20,000 bytes, as it does when a disk is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_write_that_the_system_refuses_has_the_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(OSError, match="File too large") as error, replacing(path) as temporary:
        temporary.write_bytes(bytes(30_000))
    assert (error.value.errno, error.value.filename) == (errno.EFBIG, str(path))
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_errors_about_other_files_and_of_other_kinds_stay(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="other"), replacing(tmp_path / "file"):
        (tmp_path / "other").read_text()
    with pytest.raises(OSError, match=r"^in words$"), replacing(tmp_path / "file"):
        raise OSError("in words")
    with pytest.raises(ZeroDivisionError), replacing(tmp_path / "file"):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_two_threads_may_write_the_same_file(tmp_path: Path) -> None:
    def write(barrier: threading.Barrier, text: str) -> None:
        with replacing(tmp_path / "file") as temporary:
            barrier.wait(timeout=60)
            temporary.write_text(text)
            barrier.wait(timeout=60)
            assert temporary.read_text() == text

    barrier = threading.Barrier(2)
    failures: list[BaseException] = []

    def guarded(text: str) -> None:
        try:
            write(barrier, text)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(text,)) for text in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert (tmp_path / "file").read_text() in ("one", "two")


def test_a_full_disk_is_reported_with_the_name_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("old")

    def write() -> None:
        with replacing(file):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.raises(OSError, match=r"No space left on device: .*file'$") as raised:
        write()
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(file))
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_only_temporary_files_of_these_names_are_left_over(tmp_path: Path) -> None:
    ours = {".a.json.12-3.tmp", ".b.7-7.tmp"}
    others = {
        *(".c.1-2.tmp", ".a.json.tmp", ".a.json.1.tmp", ".a.json.x-1.tmp", ".axjson.1-1.tmp"),
        *(".notes.tmp", "a.json"),
    }
    for name in ours | others:
        (tmp_path / name).touch()
    (tmp_path / ".b.8-8.tmp").mkdir()
    assert {path.name for path in leftovers(tmp_path, ["a.json", "b"])} == ours
    with replacing(tmp_path / "b") as temporary:
        assert temporary in leftovers(tmp_path, ["b"])
