"""Wrapping what a person reads: a terminal would break its lines in the middle of words."""

import re
import shutil
import sys
import textwrap
from typing import TextIO


def print_wrapped(text: object, stream: TextIO | None = None) -> None:
    """Print a text; wrap it at words if it goes to a terminal.

    Continuation lines are indented to the column after a label, as in ``label  text``. Commands, on
    indented lines of their own, stay whole, so that they can be copied.

    Args:
        text: The text.
        stream: Where to print it; by default the standard output.
    """
    stream = stream or sys.stdout
    lines = str(text).splitlines()
    if stream.isatty():
        width = shutil.get_terminal_size().columns
        lines = [part for line in lines for part in _wrapped(line, width)]
    print("\n".join(lines), file=stream)


def _wrapped(line: str, width: int) -> list[str]:
    label = re.match(r" *(\S+ {2,})?", line)
    indent = len(label[0]) if label else 0
    if len(line) <= width or line.lstrip().startswith("shapezoo ") or indent > width / 2:
        return [line]
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
