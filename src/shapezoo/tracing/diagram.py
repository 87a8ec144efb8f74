"""Block diagrams: as text for Mermaid, and as SVG that graphlay lays out."""

import hashlib
import html
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from shapezoo.tracing.blocks import Arrow, Block, Graph, Kind

BLOCK_FONT, LABEL_FONT = 13, 11
CHARACTER = 0.62
"""The width of a character of any common monospaced font, to its size; rounded up."""

LINE = 18
"""The distance between the two lines of a block."""

MARGIN = 12

OPTIONS = {
    "direction": "topbottom",
    "spacing": {"layer_gap": 14, "node_gap": 28},
    "routing": {"style": "diagonal"},
}
"""How graphlay is to lay out; all other options are as its preset has them."""

CLASSES = {Kind.TENSOR: "fill:none,stroke:none", Kind.FAILED: "fill:#d6454524,stroke:#d64545"}
"""How Mermaid is to draw some kinds of blocks."""

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
    """A rectangle, by its centre."""

    x: float
    y: float
    width: float
    height: float

    def __str__(self) -> str:
        return (
            f'x="{self.x - self.width / 2:.1f}" y="{self.y - self.height / 2:.1f}" '
            f'width="{self.width:.1f}" height="{self.height:.1f}"'
        )


class Places(NamedTuple):
    """Where the parts of a graph are to be.

    Attributes:
        blocks: The places of its blocks.
        labels: Those of the labels that its arrows have.
        lines: The corners of its arrows.
    """

    blocks: list[Box]
    labels: list[Box]
    lines: list[list[Point]]


def mermaid(graph: Graph) -> str:
    """The graph as a flowchart in Mermaid's language."""
    brackets = {
        Kind.LAYER: ("[", "]"),
        Kind.FAILED: ("[", "]:::failed"),
        Kind.FUNCTION: ("(", ")"),
        Kind.TENSOR: ("[", "]:::tensor"),
    }
    lines = ["flowchart TD"]
    kinds = {block.kind for block in graph.blocks}
    lines += [
        f"  classDef {kind.value} {style}" for kind, style in CLASSES.items() if kind in kinds
    ]
    for number, block in enumerate(graph.blocks):
        left, right = brackets.get(block.kind, ("([", "])"))
        text = "<br>".join(map(_entities, _lines(block)))
        lines.append(f'  n{number}{left}"{text}"{right}')
    for arrow in graph.arrows:
        line = "-->" if _has_head(arrow, graph) else "---"
        label = f'|"{_entities(arrow.label)}"|' if arrow.label else ""
        lines.append(f"  n{arrow.source} {line}{label} n{arrow.target}")
    return "\n".join(lines) + "\n"


def svg(graph: Graph, title: str) -> str:
    """The graph as an SVG picture.

    Args:
        graph: The graph.
        title: What readers of screens are told.

    Raises:
        ImportError: graphlay is not installed.
    """
    places = _layout(graph)
    ends = (Box(*point, 0, 0) for line in places.lines for point in line)
    whole = _around([*places.blocks, *places.labels, *ends])
    labels = [arrow.label for arrow in graph.arrows if arrow.label]
    drawn = [
        *(_block(block, box) for block, box in zip(graph.blocks, places.blocks, strict=True)),
        *(_text(t, box.x, box.y, "shape") for t, box in zip(labels, places.labels, strict=True)),
    ]
    arrows = [
        _arrow(line, has_head=_has_head(arrow, graph))
        for arrow, line in zip(graph.arrows, places.lines, strict=True)
    ]
    gaps = [f'<path fill="#000" d="{_outline(box)}"/>' for box in places.labels]
    mask = hashlib.sha256("".join([*drawn, *arrows]).encode()).hexdigest()[:12]
    corner = f"{whole.x - whole.width / 2:.1f} {whole.y - whole.height / 2:.1f}"
    window = f'viewBox="{corner} {whole.width:.1f} {whole.height:.1f}" width="{whole.width:.0f}"'
    return "\n".join(
        [
            '<svg xmlns="http://www.w3.org/2000/svg" class="shapezoo-trace" role="img"',
            f'  {window} style="max-width: 100%; height: auto">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{STYLE}</style>",
            f'<mask id="{mask}" maskUnits="userSpaceOnUse" {whole}>',
            f'<path fill="#fff" d="{_outline(whole)}"/>',
            *gaps,
            f'</mask>\n<g mask="url(#{mask})">',
            *arrows,
            "</g>",
            *drawn,
            "</svg>\n",
        ]
    )


def _layout(graph: Graph) -> Places:
    try:
        import graphlay
    except ImportError as error:
        message = "diagrams need graphlay: pip install 'shapezoo[diagrams]'"
        raise ImportError(message) from error
    request = graphlay.Graph()
    for number, block in enumerate(graph.blocks):
        width, height = _label_size(block.name)
        if block.kind is not Kind.TENSOR:
            lines = _lines(block)
            width = max(map(len, lines)) * BLOCK_FONT * CHARACTER + 2 * MARGIN
            height = len(lines) * LINE + MARGIN
        request.node(number, width=width, height=height)
    for number, arrow in enumerate(graph.arrows):
        width, height = _label_size(arrow.label)
        if arrow.source == arrow.target:
            label = {"width": width, "height": height}
            request.edge(arrow.source, arrow.target, label_size=label)
        elif arrow.label:  # a node on the way, so that nothing else is there
            middle = request.node(f"label {number}", width=width, height=height)
            request.edge(arrow.source, middle)
            request.edge(middle, arrow.target)
        else:
            request.edge(arrow.source, arrow.target)
    layout = graphlay.layout(request, options=OPTIONS)
    boxes = [
        Box(*_point(n["center"]), n["size"]["width"], n["size"]["height"]) for n in layout.nodes
    ]
    places = Places(boxes[: len(graph.blocks)], [], [])
    middles, edges = iter(boxes[len(graph.blocks) :]), iter(layout.edges)
    for arrow in graph.arrows:
        edge = next(edges)
        points = edge["points"]
        if arrow.source == arrow.target:
            places.labels.append(Box(*_point(edge["label_anchor"]), *_label_size(arrow.label)))
        elif arrow.label:
            places.labels.append(next(middles))
            points = [*points, *next(edges)["points"]]
        places.lines.append([_point(point) for point in points])
    return places


def _block(block: Block, box: Box) -> str:
    if block.kind is Kind.TENSOR:
        return _text(block.name, box.x, box.y, "shape")
    radius = 5 if block.kind in (Kind.LAYER, Kind.FAILED) else box.height / 2
    lines = _lines(block)
    first = box.y - (len(lines) - 1) * LINE / 2
    texts = [
        _text(line, box.x, first + row * LINE, "detail" if row else "name")
        for row, line in enumerate(lines)
    ]
    return f'<rect class="{block.kind.value}" {box} rx="{radius:.1f}"/>{"".join(texts)}'


def _arrow(points: Sequence[Point], *, has_head: bool) -> str:
    """A line with round corners, and its head if it has one."""
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


def _text(text: str, x: float, y: float, kind: str) -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" dy="0.35em">{html.escape(text)}</text>'


def _outline(box: Box) -> str:
    left, top = box.x - box.width / 2, box.y - box.height / 2
    return f"M{left:.1f} {top:.1f}h{box.width:.1f}v{box.height:.1f}h{-box.width:.1f}z"


def _around(boxes: Sequence[Box]) -> Box:
    """The least box around others, with a margin."""
    left = min(box.x - box.width / 2 for box in boxes) - MARGIN
    right = max(box.x + box.width / 2 for box in boxes) + MARGIN
    top = min(box.y - box.height / 2 for box in boxes) - MARGIN
    bottom = max(box.y + box.height / 2 for box in boxes) + MARGIN
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _towards(start: Point, end: Point, distance: float) -> Point:
    """The point at a distance from the start of a line."""
    share = distance / (math.dist(start, end) or 1)
    return start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share


def _at(command: str, point: Point) -> str:
    return f"{command}{point[0]:.1f} {point[1]:.1f} "


def _point(point: Any) -> Point:
    return point["x"], point["y"]


def _label_size(text: str) -> tuple[float, float]:
    return len(text) * LABEL_FONT * CHARACTER, LABEL_FONT + 4


def _lines(block: Block) -> list[str]:
    """What is written in a block."""
    return [block.name, block.detail] if block.detail else [block.name]


def _entities(text: str) -> str:
    """Text as Mermaid wants it between quotation marks."""
    return re.sub(r"[&<>\"'`#]", lambda match: f"#{ord(match[0])};", text)


def _has_head(arrow: Arrow, graph: Graph) -> bool:
    """Whether the tensor arrives here, and does not fan out only."""
    return graph.blocks[arrow.target].kind is not Kind.TENSOR
