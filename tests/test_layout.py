"""The source stays small enough to find one's way in it."""

from collections import Counter
from pathlib import Path

import shapezoo

SOURCE = Path(shapezoo.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
MOST_FILES = 16
MOST_LINES = 420


def crowded(files: list[Path]) -> list[Path]:
    counts = Counter(file.parent for file in files)
    return [folder for folder, count in counts.items() if count > MOST_FILES]


def ambiguous(files: list[Path]) -> set[str]:
    names = [file.stem.strip("_") for file in files if file.stem not in ("__init__", "__main__")]
    return {name for name, count in Counter(names).items() if count > 1}


def test_no_folder_has_too_many_files() -> None:
    assert crowded(FILES) == []
    assert crowded([Path(f"models/{n}.py") for n in range(MOST_FILES + 1)]) == [Path("models")]


def test_no_two_files_have_the_same_name() -> None:
    assert ambiguous(FILES) == set()
    assert ambiguous([Path("proving/values.py"), Path("tracing/values.py")]) == {"values"}


def test_no_file_is_too_long() -> None:
    code = [file for file in FILES if file.name != "__init__.py"]  # the others list what is public
    assert [file for file in code if len(file.read_text("utf-8").splitlines()) > MOST_LINES] == []


def test_only_packages_of_the_first_level_export_names() -> None:
    """So what is public is what these export; everything below may change."""
    inner = [file for file in SOURCE.glob("*/**/__init__.py") if file.parent.parent != SOURCE]
    assert inner
    assert [file for file in inner if "import" in file.read_text("utf-8")] == []
