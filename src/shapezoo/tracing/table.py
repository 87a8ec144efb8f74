"""A trace as a table: for terminals, for Markdown and for notebooks."""

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
"""Columns that are left out, in this order, where a table would be too wide."""

NUMBERS = ("parameters", "MACs", "activations")

NO_LIMIT = 10_000
"""The width of a line where there is no terminal."""


class Row(NamedTuple):
    """A call of a module in words.

    Attributes:
        call: The call.
        branch: The lines of the tree before it.
        cells: What stands in each of `COLUMNS`.
    """

    call: Call
    branch: str
    cells: tuple[str, ...]


def rows(call: Call, depth: int | None = None) -> list[Row]:
    """Return the rows of a call and of the calls in it, in order, down to a depth."""
    require_depth(depth)
    return list(_rows(call, "", "", "", depth))


def summary(call: Call, multiples: Mapping[str, int]) -> str:
    """Return the totals, and what the axes must be multiples of for the expressions to hold."""
    totals = {
        "parameters": f"{call.parameters:,}",
        "MACs": _count(call.macs),
        "activations": _bytes(call.activation_bytes),
    }
    lines = [f"{name:<12} {total}" for name, total in totals.items()]
    lines += [f"{axis:<12} a multiple of {n}" for axis, n in multiples.items()]
    return "\n".join(lines)


def text(rows: Sequence[Row], width: int | None = None) -> str:
    """The rows as plain text, by default as wide as the terminal, if there is one."""
    from rich.console import Console, JustifyMethod
    from rich.table import Table

    if width is None:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else NO_LIMIT
    columns = _fitting(rows, width)
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in columns:
        justify: JustifyMethod = "right" if name in NUMBERS else "left"
        table.add_column(name, justify=justify, overflow="fold")
    for row in rows:
        cells: dict[str, str] = dict(zip(COLUMNS, row.cells, strict=True))
        table.add_row(f"{row.branch}{row.cells[0]}", *(cells[name] for name in columns[1:]))
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
    for one, _, (_, *cells) in rows(call, depth):
        layer = _code(one.path) if one.path else ""
        layer += "" if one.times == 1 else f" ×{_plain(str(one.times))}"
        lines.append(f"| {' | '.join([layer, _plain(one.kind), *map(_plain, cells)])} |")
    totals = [f"- {_plain(line)}" for line in summary(call, multiples).splitlines()]
    return "\n".join([*lines, "", *totals])


def html(call: Call, multiples: Mapping[str, int]) -> str:
    """Return the table and its summary in HTML, in the colours of the page around it."""
    sides = ["right" if name in NUMBERS else "left" for name in COLUMNS]
    head = _cells("th", COLUMNS, sides)
    body = [
        f"<tr>{_cells('td', [row.branch + row.cells[0], *row.cells[1:]], sides)}</tr>"
        for row in rows(call)
    ]
    table = f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    totals = markup.escape(summary(call, multiples))
    style = "white-space:pre;font-family:monospace;border-spacing:0"
    return f"<table style='{style}'>{table}</table><pre>{totals}</pre>"


def _cells(tag: str, texts: Sequence[str], sides: Sequence[str]) -> str:
    return "".join(
        f"<{tag} style='text-align:{side};padding:0 1em 0 0'>{markup.escape(text)}</{tag}>"
        for text, side in zip(texts, sides, strict=True)
    )


def shapes(shapes: Sequence[Shape]) -> str:
    """Shapes in a line."""
    return ", ".join(map(str, shapes))


def _rows(call: Call, above: str, branch: str, stem: str, depth: int | None) -> Iterator[Row]:
    """A call and those in it: the branch leads to the call, the stem to those below."""
    name = call.path.removeprefix(f"{above}.") if above else call.path
    layer = f"{name}: {call.kind}" if name else call.kind
    if call.times != 1:
        layer += f" ×{call.times}"
    output = "failed" if call.has_failed else shapes(call.outputs)
    numbers = f"{call.parameters:,}", _count(call.macs), _bytes(call.activation_bytes)
    yield Row(call, branch, (layer, shapes(call.inputs), output, *numbers))
    inner = call.calls if depth is None or depth > 0 else ()
    for number, below in enumerate(inner, 1):
        fork, further = ("└─ ", "   ") if number == len(inner) else ("├─ ", "│  ")
        deeper = None if depth is None else depth - 1
        yield from _rows(below, call.path, stem + fork, stem + further, deeper)


def _fitting(rows: Sequence[Row], width: int) -> list[str]:
    """The names of the columns that fit into a line."""
    longest = {
        name: max(len(name), *(len(row.cells[i]) + len(row.branch) * (i == 0) for row in rows))
        for i, name in enumerate(COLUMNS)
    }
    left_out: list[str] = []
    for name in OPTIONAL:
        kept = [column for column in COLUMNS if column not in left_out]
        if sum(longest[column] + 2 for column in kept) - 2 <= width:
            break
        left_out.append(name)
    return [column for column in COLUMNS if column not in left_out]


def _count(count: Size) -> str:
    """A count in thousands, millions and so on; an expression as it is."""
    if isinstance(count, str) or count < 10_000:
        return str(count)
    return _scaled(count)


def _bytes(count: Size) -> str:
    """A number of bytes in kB, MB and so on; an expression as it is."""
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
    """Text as Markdown wants it, so that it shows what it says."""
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", markup.escape(text, quote=False))


def _code(text: str) -> str:
    """Code in a cell of a table in Markdown."""
    if not re.search(r"[`|]", text):
        return f"`{text}`"
    entities = re.sub(r"[^\w.]|_", lambda match: f"&#{ord(match[0])};", text)
    return f"<code>{entities}</code>"
