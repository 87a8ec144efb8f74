"""Draw the pictures of the README: `python tools/pictures.py` writes them into docs/pictures."""

import contextlib
import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from shapezoo import trace
from shapezoo.cli import main
from shapezoo.models import InceptionBlock

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "docs/pictures"
COMMANDS = ("shapezoo prove examples.unet:UNet", "shapezoo trace lenet")

# rich's own template loads a font from the web
TEMPLATE = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>shapezoo in a terminal</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}}
.{unique_id}-title {{ font: 15px sans-serif; }}
{styles}
</style>
<defs><clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>{lines}</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">{matrix}</g>
</g>
</svg>
"""


def pictures() -> Iterator[tuple[str, str]]:
    """Yield the file name of each picture, and its SVG."""
    yield "terminal.svg", terminal({command: output(command) for command in COMMANDS})
    yield "inception.svg", trace(InceptionBlock(10)).to_svg()


def output(command: str) -> str:
    """Run a command and return what it prints, but for the time, which always differs."""
    printed = io.StringIO()
    with (
        patch.object(sys, "argv", command.split()),
        patch.object(sys, "path", [str(ROOT), *sys.path]),
        contextlib.redirect_stdout(printed),
        contextlib.suppress(SystemExit),
    ):
        main()
    return re.sub(r"\n  seconds .*", "", printed.getvalue())


def terminal(outputs: dict[str, str]) -> str:
    """Draw a terminal in which these commands have been run."""
    lines = [line for text in outputs.values() for line in text.splitlines()]
    console = Console(record=True, width=max(map(len, lines)), file=io.StringIO())
    for command, text in outputs.items():
        console.print(Text("$ ", "bold bright_cyan").append(command, "bold white"))
        printed = Text(text)
        printed.highlight_regex(r"\bproved\b|(?<=where         ).*", "bold bright_green")
        printed.highlight_regex(r"[├└│─]+", "bright_black")
        printed.highlight_regex(r"(?m)^  [a-z ]+?(?=  )", "bright_cyan")
        console.print(printed)
    return console.export_svg(
        title="shapezoo", theme=MONOKAI, code_format=TEMPLATE, unique_id="terminal"
    )


if __name__ == "__main__":
    for name, svg in pictures():
        (FOLDER / name).write_text(svg)
