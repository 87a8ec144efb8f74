"""Tables of traces: for terminals, for Markdown and for notebooks."""

import html as markup
import re
import shutil
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from shapezoo.tracing.records import Call, Shape, Size, require_depth

COLUMNS = ("layer", "input", "output", "parameters", "MACs", "activations")
OPTIONAL = ("activations", "MACs", "input")
"""Columns that are left out if a table is too wide, in this order."""

NUMBERS = ("parameters", "MACs", "activations")

NO_LIMIT = 10_000
"""The width of a line if the output does not go to a terminal."""


class Row(NamedTuple):
    """The row of a call.

    Attributes:
        call: The call.
        cells: The text in each of `COLUMNS`. The first one begins with the branch of the tree that
            leads to the call: ``│  └─``.
    """

    call: Call
    cells: tuple[str, ...]


def rows(call: Call, depth: int | None = None) -> list[Row]:
    """Return the rows of a call and of the calls in it, in order, down to a depth."""
    require_depth(depth)
    return list(_rows(call, "", "", "", depth))


def summary(call: Call, multiples: Mapping[str, int]) -> str:
    """Return the totals, and what the axes must be multiples of for the expressions to hold."""
    lines = [*zip(NUMBERS, _numbers(call), strict=True)]
    lines += [(axis, f"shown for multiples of {n}") for axis, n in multiples.items()]
    return "\n".join(f"{name:<12} {value}" for name, value in lines)


def text(rows: Sequence[Row], width: int | None = None) -> str:
    """Return the rows as plain text, by default as wide as the terminal, if there is one."""
    from rich.console import Console
    from rich.table import Table

    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else NO_LIMIT
    columns = _fitting(rows, width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        table.add_column(name, justify="right" if name in NUMBERS else "left", overflow="fold")
    for row in rows:
        cells: dict[str, str] = dict(zip(COLUMNS, row.cells, strict=True))
        table.add_row(*(cells[name] for name in columns))
    console = Console(width=width, color_system=None, markup=False, emoji=False, highlight=False)
    with console.capture() as capture:
        console.print(table)
    lines = [line.rstrip() for line in capture.get().splitlines()]
    if left_out := [name for name in COLUMNS if name not in columns]:
        lines += textwrap.wrap(f"(too wide to show: {', '.join(left_out)})", width)
    return "\n".join(lines)


def markdown(call: Call, multiples: Mapping[str, int], depth: int | None) -> str:
    """Return the table and its summary in Markdown."""
    names = ("layer", "class", *COLUMNS[1:])
    lines = [
        f"| {' | '.join(names)} |",
        f"|{'|'.join('---:' if name in NUMBERS else '---' for name in names)}|",
    ]
    for inner, (_, *cells) in rows(call, depth):
        layer = _code(inner.path) if inner.path else ""
        layer += "" if inner.times == 1 else f" ×{_plain(str(inner.times))}"
        lines.append(f"| {' | '.join([layer, _plain(inner.kind), *map(_plain, cells)])} |")
    totals = [f"- {_plain(line)}" for line in summary(call, multiples).splitlines()]
    return "\n".join([*lines, "", *totals])


def html(call: Call, multiples: Mapping[str, int]) -> str:
    """Return the table and its summary in HTML, in the colours of the page around it."""
    body = [_html_row("td", row.cells) for row in rows(call)]
    table = f"<thead>{_html_row('th', COLUMNS)}</thead><tbody>{''.join(body)}</tbody>"
    totals = markup.escape(summary(call, multiples))
    style = "white-space:pre;font-family:monospace;border-spacing:0"
    return f"<table style='{style}'>{table}</table><pre>{totals}</pre>"


def _html_row(tag: str, texts: Sequence[str]) -> str:
    cells = [
        f"<{tag} style='text-align:{'right' if name in NUMBERS else 'left'};padding:0 1em 0 0'>"
        f"{markup.escape(text)}</{tag}>"
        for name, text in zip(COLUMNS, texts, strict=True)
    ]
    return f"<tr>{''.join(cells)}</tr>"


def shapes(shapes: Sequence[Shape]) -> str:
    """Return shapes separated by commas."""
    return ", ".join(map(str, shapes))


def _rows(call: Call, parent: str, branch: str, stem: str, depth: int | None) -> Iterator[Row]:
    """Yield the rows of a call and of the calls in it.

    Args:
        call: The call.
        parent: The path of the module that made it, which its own path begins with.
        branch: The branch of the tree that leads to it.
        stem: What the branches of the calls in it begin with.
        depth: How deep to go; None for the whole tree.
    """
    name = call.path.removeprefix(f"{parent}.") if parent else call.path
    layer = branch + (f"{name}: {call.kind}" if name else call.kind)
    if call.times != 1:
        layer += f" ×{call.times}"
    output = "failed" if call.has_failed else shapes(call.outputs)
    yield Row(call, (layer, shapes(call.inputs), output, *_numbers(call)))
    if depth == 0:
        return
    deeper = None if depth is None else depth - 1
    for number, inner in enumerate(call.calls, 1):
        is_last = number == len(call.calls)
        fork, further = ("└─ ", "   ") if is_last else ("├─ ", "│  ")
        yield from _rows(inner, call.path, stem + fork, stem + further, deeper)


def _numbers(call: Call) -> tuple[str, ...]:
    """Return the text of each of `NUMBERS`."""
    return f"{call.parameters:,}", _count(call.macs), _bytes(call.activation_bytes)


def _fitting(rows: Sequence[Row], width: int) -> list[str]:
    """Return the names of the columns that fit into a line."""
    longest = {
        name: max(map(len, [name, *(row.cells[index] for row in rows)]))
        for index, name in enumerate(COLUMNS)
    }
    columns: list[str] = list(COLUMNS)
    for name in OPTIONAL:
        if sum(longest[column] + 2 for column in columns) - 2 <= width:
            break
        columns.remove(name)
    return columns


def _count(count: Size) -> str:
    """Return a count in thousands, millions and so on; an expression as it is."""
    return str(count) if isinstance(count, str) or count < 10_000 else _scaled(count)


def _bytes(count: Size) -> str:
    """Return a number of bytes in kB, MB and so on; an expression as it is."""
    if isinstance(count, str):
        is_sum = re.search(r"[-+]", re.sub(r"\(.*?\)", "", count))
        return f"({count}) B" if is_sum else f"{count} B"
    return f"{_scaled(count)}B"


def _scaled(count: int) -> str:
    for power, prefix in ((12, "T"), (9, "G"), (6, "M"), (3, "k")):
        if count >= 1000 and round(count / 10**power, 2) >= 1:
            return f"{count / 10**power:.2f} {prefix}"
    return f"{count} "


def _plain(text: str) -> str:
    """Return a text with the escapes that Markdown needs to show it literally."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", markup.escape(text, quote=False))


def _code(text: str) -> str:
    """Return code for a cell of a table in Markdown."""
    # A pipe ends the cell even within code, where a backslash does not escape it.
    if not re.search(r"[`|]", text):
        return f"`{text}`"
    entities = re.sub(r"[^\w.]|_", lambda match: f"&#{ord(match[0])};", text)
    return f"<code>{entities}</code>"
