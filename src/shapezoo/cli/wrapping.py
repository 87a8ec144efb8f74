"""Printing for a person, whose terminal would break lines in the middle of words, and as JSON."""

import json
import re
import shutil
import sys
import textwrap
from typing import TextIO

SHALLOW = 4
"""The indentation of a continued line whose last column begins too far to the right."""


def print_wrapped(text: object, stream: TextIO | None = None) -> None:
    """Print a text; wrap it at words if it goes to a terminal.

    Continuation lines are indented to the last column, as in ``label  text``. Commands, on indented
    lines of their own, stay whole, so that they can be copied. In a file or a pipe every line stays
    as it is, so that other programs can read it.

    Args:
        text: The text.
        stream: Where to print it; by default the standard output.
    """
    output = stream or sys.stdout
    lines = str(text).splitlines()
    if output.isatty():
        width = shutil.get_terminal_size().columns
        lines = [part for line in lines for part in _wrapped(line, width)]
    print("\n".join(lines), file=output)


def _wrapped(line: str, width: int) -> list[str]:
    columns = re.match(r" *(\S+( \S+)* {2,})*", line)
    indent = len(columns[0]) if columns else 0
    if len(line) <= width or line.lstrip().startswith("shapezoo "):
        return [line]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * (indent if indent <= width / 2 else SHALLOW),
        break_long_words=False,
        break_on_hyphens=False,
    )


def print_json(data: object) -> None:
    """Print data as JSON."""
    print(json.dumps(data, indent=2))
