"""Extract the Python code of the documentation for a type checker, into one file per page.

    python tools/snippets.py FOLDER

The blocks of a page are concatenated, as in the tests. Sessions with ``>>>`` are included because
later blocks use the names that they define, but their errors are ignored: they show mistakes on
purpose, and use values that may be None.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_of(page: str) -> str:
    """Return the code of a page; each line keeps its line number, for the error messages."""
    lines = [""] * page.count("\n")
    for block in BLOCK.finditer(page):
        kind, text = block.groups()
        start = page.count("\n", 0, block.start(2))
        for number, line in enumerate(text.splitlines(), start):
            if kind == "python":
                lines[number] = line
            elif line.startswith((">>>", "...")):
                lines[number] = f"{line[4:]}  # pyright: ignore"
    return "\n".join(lines).rstrip()


def main(folder: Path) -> None:
    """Write a file for each page that has code."""
    for page in PAGES:
        if code := code_of(page.read_text()):
            name = "_".join(page.relative_to(ROOT).with_suffix(".py").parts)
            (folder / name).write_text(f"{code}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
