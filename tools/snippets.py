"""Write the Python code of the documentation to files, one for each page, for a type checker.

    python tools/snippets.py FOLDER

Blocks of one page follow each other, as they are run in tests. Sessions with ``>>>`` are there for
the names that they define, but are not checked: they show mistakes, and values that may be None.
"""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/**/*.md"))]
BLOCK = re.compile(r"^```(python|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def code_of(page: str) -> str:
    """The code of a page, each line at the number that it has there."""
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
    """Write the files of the pages that have code."""
    for page in PAGES:
        if code := code_of(page.read_text()):
            name = "_".join(page.relative_to(ROOT).with_suffix(".py").parts)
            (folder / name).write_text(f"{code}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
