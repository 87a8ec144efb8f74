"""The page about errors explains every kind of line that an error or a note has."""

import re
from pathlib import Path
from typing import Any

import pytest
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/shape-errors.md").read_text("utf-8")
MISTAKES = load_config(str(ROOT / "mkdocs.yml"))["hooks"]["tools/mistakes.py"]
MESSAGES = ROOT / "src/shapezoo/contracts/messages"


def explained() -> tuple[set[str], set[str]]:
    """The names of the lines in the table about errors, and in the table about notes."""
    parts = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    errors, notes = (next(p for p in parts if p.startswith(t)) for t in ("A ShapeE", "A note"))

    def names(part: str) -> set[str]:
        cells = re.findall(r"^\| (`.+?) \|", part, re.MULTILINE)
        return {name for cell in cells for name in re.findall(r"`([a-z]+)", cell)}

    return names(errors), names(notes)


@pytest.mark.parametrize("mistake", MISTAKES.MISTAKES, ids=lambda mistake: mistake.title)
def test_the_lines_of_a_message_are_explained(mistake: Any) -> None:
    said, (errors, notes) = MISTAKES.with_checks(mistake), explained()
    known = errors if said.startswith("ShapeError") else notes
    lines = re.findall(r"^  ([a-z]+)(?: \d+)? +", said, re.MULTILINE)
    assert lines
    assert set(lines) <= known


def test_the_tables_have_the_lines_that_the_code_writes() -> None:
    def written(file: str) -> set[str]:
        source = (MESSAGES / file).read_text("utf-8")
        return set(re.findall(r'f"  ([a-z]+) +[{a-z]', source))

    def titled(file: str) -> set[str]:
        return set(re.findall(r'_line\("([a-z]+)"', (MESSAGES / file).read_text("utf-8")))

    errors, notes = explained()
    assert written("explain.py") == errors
    assert titled("notes.py") == notes
