"""Block diagrams: as text for Mermaid, and as SVG with a layout by graphlay."""

import hashlib
import html
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from shapezoo.tracing.blocks import Arrow, Block, Graph

BLOCK_FONT, LABEL_FONT = 13, 11
CHARACTER = 0.62
"""The width of a character relative to the font size, in any common monospaced font; rounded up."""

LINE = 18
"""The distance between the two lines of text in a block."""

MARGIN = 12

OPTIONS = {
    "direction": "topbottom",
    "spacing": {"layer_gap": 14, "node_gap": 28},
    "routing": {"style": "diagonal"},
}
"""Options for graphlay that differ from its preset."""

BRACKETS = {
    "layer": ("[", "]"),
    "failed": ("[", "]:::failed"),
    "function": ("(", ")"),
    "tensor": ("[", "]:::tensor"),
}
"""What Mermaid draws as each type of block; other types have round ends."""

CLASSES = {"tensor": "fill:none,stroke:none", "failed": "fill:#d6454524,stroke:#d64545"}
"""Styles for Mermaid."""

STYLE = f"""
:root.shapezoo-trace {{ color: #1f2430; }}
@media (prefers-color-scheme: dark) {{ :root.shapezoo-trace {{ color: #e6e6ea; }} }}
.shapezoo-trace text {{ fill: currentColor; text-anchor: middle; font: {BLOCK_FONT}px
  ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace; }}
.shapezoo-trace .name {{ font-weight: bold; }}
.shapezoo-trace .shape {{ font-size: {LABEL_FONT}px; }}
.shapezoo-trace .arrow {{ fill: none; stroke: currentColor; stroke-opacity: 0.55; }}
.shapezoo-trace .head {{ fill: currentColor; fill-opacity: 0.55; }}
.shapezoo-trace rect {{ fill-opacity: 0.14; }}
.shapezoo-trace .layer {{ fill: #4f6bed; stroke: #4f6bed; }}
.shapezoo-trace .failed {{ fill: #d64545; stroke: #d64545; }}
.shapezoo-trace .function {{ fill: #8a8f9c; stroke: #8a8f9c; }}
.shapezoo-trace .input, .shapezoo-trace .output {{ fill: #d9902f; stroke: #d9902f; }}
"""


Point = tuple[float, float]


class Box(NamedTuple):
    """A rectangle, given by its centre."""

    x: float
    y: float
    width: float
    height: float

    @property
    def left(self) -> float:
        """The x coordinate of its left side."""
        return self.x - self.width / 2

    @property
    def top(self) -> float:
        """The y coordinate of its upper side."""
        return self.y - self.height / 2

    def __str__(self) -> str:
        return (
            f'x="{self.left:.1f}" y="{self.top:.1f}" '
            f'width="{self.width:.1f}" height="{self.height:.1f}"'
        )


class Layout(NamedTuple):
    """The positions of the parts of a graph.

    Attributes:
        blocks: The boxes of its blocks.
        labels: The labels of arrows, with their boxes.
        lines: The corners of its arrows.
    """

    blocks: list[Box]
    labels: list[tuple[str, Box]]
    lines: list[list[Point]]


def mermaid(graph: Graph) -> str:
    """Return the graph as a flowchart in Mermaid's language."""
    types = {block.type_ for block in graph.blocks}
    lines = ["flowchart TD"]
    lines += [f"  classDef {t} {style}" for t, style in CLASSES.items() if t in types]
    for number, block in enumerate(graph.blocks):
        left, right = BRACKETS.get(block.type_, ("([", "])"))
        text = "<br>".join(map(_entities, block.lines))
        lines.append(f'  n{number}{left}"{text}"{right}')
    for arrow in graph.arrows:
        line = "-->" if _has_head(arrow, graph) else "---"
        label = f'|"{_entities(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  n{arrow.source} {line}{label} n{arrow.target}")
    return "\n".join(lines) + "\n"


def svg(graph: Graph, title: str) -> str:
    """Return the graph as an SVG picture.

    Args:
        graph: The graph.
        title: The title, which screen readers read.

    Raises:
        ImportError: graphlay is not installed.
    """
    layout = _layout(graph)
    corners = (Box(*point, 0, 0) for line in layout.lines for point in line)
    page = _around([*layout.blocks, *(box for _, box in layout.labels), *corners])
    drawn = [
        *(_block(block, box) for block, box in zip(graph.blocks, layout.blocks, strict=True)),
        *(_text(label, box.x, box.y, "shape") for label, box in layout.labels),
    ]
    arrows = [
        _arrow(line, has_head=_has_head(arrow, graph))
        for arrow, line in zip(graph.arrows, layout.lines, strict=True)
    ]
    gaps = [f'<path fill="#000" d="{_outline(box)}"/>' for _, box in layout.labels]
    # Ids are global to a page: two pictures must not use each other's mask.
    mask = hashlib.sha256("".join([*drawn, *arrows]).encode()).hexdigest()[:12]
    corner = f"{page.left:.1f} {page.top:.1f}"
    window = f'viewBox="{corner} {page.width:.1f} {page.height:.1f}" width="{page.width:.0f}"'
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" class="shapezoo-trace" role="img"',
            f'  {window} style="max-width: 100%; height: auto">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<mask id="{mask}" maskUnits="userSpaceOnUse" {page}>',
            f'<path fill="#fff" d="{_outline(page)}"/>',
            *gaps,
            f'</mask>\n<g mask="url(#{mask})">',
            *arrows,
            "</g>",
            *drawn,
            "</svg>\n",
        ]
    )


def _layout(graph: Graph) -> Layout:
    try:
        import graphlay
    except ImportError as error:
        message = "diagrams need graphlay: pip install 'shapezoo[diagrams]'"
        raise ImportError(message) from error
    request = graphlay.Graph()
    for number, block in enumerate(graph.blocks):
        request.node(number, **_block_size(block))
    for number, arrow in enumerate(graph.arrows):
        if arrow.source == arrow.target:
            request.edge(arrow.source, arrow.target, label_size=_label_size(arrow.label))
            continue
        way = [arrow.source, arrow.target]
        if arrow.label:  # as a node on the way, so that nothing else is put there
            way.insert(1, request.node(f"label {number}", **_label_size(arrow.label)))
        for start, end in itertools.pairwise(way):
            request.edge(start, end)
    result = graphlay.layout(request, options=OPTIONS)
    boxes = [Box(**node["center"], **node["size"]) for node in result.nodes]
    layout = Layout(boxes[: len(graph.blocks)], [], [])
    middles, edges = iter(boxes[len(graph.blocks) :]), iter(result.edges)
    for arrow in graph.arrows:
        edge = next(edges)
        points = edge["points"]
        if arrow.source == arrow.target:
            box = Box(**edge["label_anchor"], **_label_size(arrow.label))
            layout.labels.append((arrow.label, box))
        elif arrow.label:
            layout.labels.append((arrow.label, next(middles)))
            points = [*points, *next(edges)["points"]]
        layout.lines.append([(point["x"], point["y"]) for point in points])
    return layout


def _block(block: Block, box: Box) -> str:
    if block.type_ == "tensor":
        return _text(block.name, box.x, box.y, "shape")
    radius = 5 if block.type_ in ("layer", "failed") else box.height / 2
    first = box.y - (len(block.lines) - 1) * LINE / 2
    texts = [
        _text(line, box.x, first + row * LINE, "detail" if row else "name")
        for row, line in enumerate(block.lines)
    ]
    return f'<rect class="{block.type_}" {box} rx="{radius:.1f}"/>{"".join(texts)}'


def _arrow(points: Sequence[Point], *, has_head: bool) -> str:
    """Return a line with rounded corners, and with a head where it has one."""
    path = [_at("M", points[0])]
    for before, corner, after in zip(points, points[1:], points[2:], strict=False):
        radius = min(10, math.dist(before, corner) / 2, math.dist(corner, after) / 2)
        path += [_at("L", _towards(corner, before, radius)), _at("Q", corner)]
        path.append(_at("", _towards(corner, after, radius)))
    tip = points[-1]
    if not has_head:
        return f'<path class="arrow" d="{"".join(path)}{_at("L", tip)}"/>'
    x, y = _towards(tip, points[-2], 8)
    across, along = (tip[1] - y) / 2, (x - tip[0]) / 2
    head = _at("M", tip) + _at("L", (x + across, y + along)) + _at("L", (x - across, y - along))
    line = "".join(path) + _at("L", (x, y))
    return f'<path class="arrow" d="{line}"/><path class="head" d="{head}Z"/>'


def _text(text: str, x: float, y: float, class_: str) -> str:
    return f'<text class="{class_}" x="{x:.1f}" y="{y:.1f}" dy="0.35em">{html.escape(text)}</text>'


def _outline(box: Box) -> str:
    return f"M{box.left:.1f} {box.top:.1f}h{box.width:.1f}v{box.height:.1f}h{-box.width:.1f}z"


def _around(boxes: Sequence[Box]) -> Box:
    """Return the smallest box around others, with a margin."""
    left = min(box.left for box in boxes) - MARGIN
    right = max(box.x + box.width / 2 for box in boxes) + MARGIN
    top = min(box.top for box in boxes) - MARGIN
    bottom = max(box.y + box.height / 2 for box in boxes) + MARGIN
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _towards(start: Point, end: Point, distance: float) -> Point:
    """Return the point at a distance from the start of a line."""
    share = distance / (math.dist(start, end) or 1)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _at(command: str, point: Point) -> str:
    return f"{command}{point[0]:.1f} {point[1]:.1f} "


def _block_size(block: Block) -> dict[str, Any]:
    if block.type_ == "tensor":
        return _label_size(block.name)
    width = max(map(len, block.lines)) * BLOCK_FONT * CHARACTER + 2 * MARGIN
    return {"width": width, "height": len(block.lines) * LINE + MARGIN}


def _label_size(text: str) -> dict[str, Any]:
    return {"width": len(text) * LABEL_FONT * CHARACTER, "height": LABEL_FONT + 4}


def _entities(text: str) -> str:
    """Return a text with the entities that Mermaid needs between quotation marks."""
    return re.sub(r"[&<>\"'`#]", lambda match: f"#{ord(match[0])};", text)


def _has_head(arrow: Arrow, graph: Graph) -> bool:
    """Whether an arrow ends at a block that reads the tensor, not at the label of the tensor."""
    return graph.blocks[arrow.target].type_ != "tensor"
