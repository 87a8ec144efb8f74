"""The diagram and the layers of a model, in HTML for its page; the search index leaves them out."""

import functools
import html
import re

from model_facts import traced

from shapezoo import ModelInfo
from shapezoo.tracing.table import Row, rows

HEIGHT, WIDTH = 1200, 420
"""The size of a diagram, in pixels, that can be shown beside the facts without making it small."""


def diagram(name: str) -> str:
    """Return the diagram with as many levels as can be shown beside the facts."""
    svg = _shown(name)
    region = ""
    if _size(svg)[1] > HEIGHT:  # it is scrolled, with the keyboard too
        region = f' class="zoo-tall" role="region" aria-label="Diagram of {name}" tabindex="0"'
    return f'<figure class="zoo-diagram" data-search-exclude>\n<div{region}>\n{svg}</div></figure>'


def layers(info: ModelInfo) -> str:
    """Return the section with the tables of layers, and the larger diagram if there is one."""
    call = traced(info.name).call
    sizes = {axis: size for axis, size in call.axes.items() if isinstance(size, int)}
    command = f"shapezoo trace {info.name}" + "".join(f" --{a} {size}" for a, size in sizes.items())
    multiples = traced(info.name).multiples
    outer, everything = rows(call, 1), rows(call)
    parts = [
        "## Layers\n",
        _layer_table(f"Layers of {info.name}", outer),
        "",
        *(
            f"The expressions hold where {axis} is a multiple of {n}.\n"
            for axis, n in multiples.items()
        ),
        f"`{command}` prints all layers; [Traces](../traces.md) explains the columns.",
    ]
    if len(everything) > len(outer):
        content = _layer_table(f"All layers of {info.name}", everything)
        parts += ["", _details(f"All {len(everything) - 1} layers", content)]
    full, _ = _diagrams(info.name)
    if full != _shown(info.name):
        label = f"Larger diagram of {info.name}"
        region = (
            f'<div class="zoo-deep" role="region" aria-label="{label}" tabindex="0">{full}</div>'
        )
        parts += ["", _details("Diagram with more levels", region)]
    return "\n".join([*parts, ""])


def table(label: str, heads: tuple[str, ...], body: str, class_: str) -> str:
    """Return a table that can be scrolled with the keyboard; the search index leaves it out."""
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return f"""\
<div class="zoo-scroll" role="region" aria-label="{label}" tabindex="0" data-search-exclude>
<table class="{class_}" aria-label="{label}">
<thead><tr>{head}</tr></thead>
<tbody>
{body}
</tbody>
</table>
</div>"""


def _shown(name: str) -> str:
    full, folded = _diagrams(name)
    width, height = _size(full)
    return full if width <= WIDTH and height <= HEIGHT else folded


def _size(svg: str) -> tuple[float, float]:
    """Return the width and height of a picture."""
    width, height = re.findall(r'viewBox="\S+ \S+ (\S+) (\S+)"', svg)[0]
    return float(width), float(height)


@functools.cache
def _diagrams(name: str) -> tuple[str, str]:
    """Return the diagram with all levels that fit into it, and the one with a single level."""
    return traced(name).to_svg(), traced(name).to_svg(depth=1)


def _layer_table(label: str, layers: list[Row]) -> str:
    heads = ("Layer", "Class", "Input", "Output", "Parameters", "MACs", "Activations")
    return table(label, heads, "\n".join(map(_layer, layers)), "zoo-layers")


def _layer(row: Row) -> str:
    call, (_, *cells) = row
    name = f"<code>{html.escape(call.path)}</code>" if call.path else "the model"
    times = "" if call.times == 1 else f" ×{call.times}"
    rest = "".join(f"<td>{_breakable(text)}</td>" for text in (call.kind, *cells))
    return f'<tr><th scope="row">{name}{html.escape(times)}</th>{rest}</tr>'


def _breakable(text: str) -> str:
    """Return a text in HTML in which long expressions may continue on the next line."""
    return html.escape(text, quote=False).replace("*", "*<wbr>")


def _details(summary: str, content: str) -> str:
    return f"<details>\n<summary>{summary}</summary>\n{content}\n</details>"
