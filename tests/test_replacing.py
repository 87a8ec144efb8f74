"""A file is replaced as a whole, and errors name it."""

import errno
import os
from pathlib import Path

import pytest

from shapezoo._files import leftovers, replacing


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


@pytest.mark.parametrize("name", ["missing/file", "folder"])
def test_errors_name_the_file_and_not_the_temporary_one(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder" / "full").mkdir(parents=True)

    def write() -> None:
        with replacing(tmp_path / name) as temporary:
            temporary.write_text("new")

    with pytest.raises(OSError, match=f"{name}'$"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_errors_about_other_files_stay_as_they_are(tmp_path: Path) -> None:
    def write() -> None:
        with replacing(tmp_path / "file"):
            (tmp_path / "other").read_text()

    with pytest.raises(FileNotFoundError, match=r"other'$"):
        write()


def test_only_temporary_files_of_these_names_are_left_over(tmp_path: Path) -> None:
    ours = {".a.json.12.tmp", ".b.7.tmp"}
    others = {".c.12.tmp", ".a.json.tmp", ".a.json.x.tmp", ".axjson.1.tmp", ".notes.tmp", "a.json"}
    for name in ours | others:
        (tmp_path / name).touch()
    (tmp_path / ".b.8.tmp").mkdir()
    assert {path.name for path in leftovers(tmp_path, ["a.json", "b"])} == ours
    with replacing(tmp_path / "b") as temporary:
        assert temporary in leftovers(tmp_path, ["b"])
