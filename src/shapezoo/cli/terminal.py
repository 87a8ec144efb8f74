"""Output that fits the terminal."""

import json
import re
import shutil
import textwrap
from typing import TextIO

SHALLOW = 4
"""The indentation of a continued line whose last column begins too far to the right."""


def wrapped(text: str, stream: TextIO) -> str:
    """Wrap long lines at words if a stream is a terminal, which would break them anywhere.

    Lines that continue another are indented like its last column. In a file or a pipe every line
    stays as it is, so that other programs can read it.
    """
    if not stream.isatty():
        return text
    width = shutil.get_terminal_size().columns
    return "\n".join(_wrapped_line(line, width) for line in text.split("\n"))


def _wrapped_line(line: str, width: int) -> str:
    if len(line) <= width:
        return line
    columns = re.match(r" *(\S+( \S+)* {2,})*", line)
    indent = columns.end() if columns else 0
    if indent > width // 2:
        indent = SHALLOW
    lines = textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return "\n".join(lines)


def print_json(data: object) -> None:
    """Print data as JSON."""
    print(json.dumps(data, indent=2))
