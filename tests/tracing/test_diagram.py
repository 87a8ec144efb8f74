"""Traces as pictures: Mermaid's text, and the geometry of SVG."""

import functools
import html
import itertools
import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
import torch
import torchvision
from tests.zoo.subjects import before_a_release, shell
from torch import Tensor, nn

from shapezoo import Trace, create_model, list_models, signature, trace
from shapezoo.contracts.examples.arguments import free_axes
from shapezoo.models import Backbone
from shapezoo.models.course.inception_small import InceptionBlock
from shapezoo.tracing.blocks import Graph, graph_of
from shapezoo.tracing.diagram import BLOCK_FONT, CHARACTER, LABEL_FONT

SVG = "{http://www.w3.org/2000/svg}"

BORROWED: dict[str, tuple[Callable[[], nn.Module], tuple[int | None, ...]]] = {
    "resnet18": (torchvision.models.resnet18, (None, 1, 2, 3)),
    "googlenet": (lambda: torchvision.models.googlenet(init_weights=False), (1, 2)),
    "densenet121": (torchvision.models.densenet121, (None, 2)),
    "shufflenet_v2_x0_5": (torchvision.models.shufflenet_v2_x0_5, (None, 1)),
    "vit_b_32": (torchvision.models.vit_b_32, (None, 4)),
    "swin_t": (torchvision.models.swin_t, (None, 1)),
}

SMALL = list_models(published=False)
BACKBONES = [name for name in SMALL if isinstance(shell(name), Backbone)]
FOR_ALL_SIZES = " for all sizes"
SUBJECTS = [*SMALL, *before_a_release(name + FOR_ALL_SIZES for name in BACKBONES)]
"""Small models; of large images, or for all sizes, which takes twenty runs of a backbone."""

ODD_NAMES = ("[red]", "a|b", "c*d*_e_", "<&>\"'", "`f`g", "#h;", "1")


class Named(nn.Module):
    """Layers with names that contain special characters of some format."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Linear(3, 4) for name in ODD_NAMES})

    def forward(self, x: Tensor) -> list[Tensor]:
        return [layer(x) for layer in self.layers.values()]


class Fan(nn.Module):
    """Parallel branches that read the same tensor and are concatenated."""

    def __init__(self, branches: int) -> None:
        super().__init__()
        self.branch = nn.ModuleList(nn.Linear(3, n + 1) for n in range(branches))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branch], dim=-1)


@functools.cache
def traced(name: str) -> Trace:
    if name in BORROWED:
        with torch.device("meta"):
            return trace(BORROWED[name][0]().eval(), torch.zeros(1, 3, 224, 224))
    if name in BACKBONES:
        model = create_model(name).eval()
        sizes = {axis: 1 if axis == "batch" else 224 for axis in free_axes(signature(model))}
        return trace(model, sizes=sizes)
    return trace(create_model(name.removesuffix(FOR_ALL_SIZES)).eval())


def graph_at(traced: Trace) -> Graph:
    return graph_of(traced.call, traced.inputs, traced.outputs, None)


# Mermaid's text

TEXT = r"(?:[^\"'`<>#&]|&(?:amp|lt|gt|quot);|#\d+;|<br>)+"
SHAPES = rf'\["({TEXT})"\](?::::tensor)?|\("({TEXT})"\)|\(\["({TEXT})"\]\)'
NODE = re.compile(rf"  (n\d+)(?:{SHAPES})")
ARROW = re.compile(rf'  (n\d+) (?:-->|---)(?:\|"({TEXT})"\|)? (n\d+)')
CLASS = "  classDef tensor fill:none,stroke:none"


class Flowchart(NamedTuple):
    """The lines in each node, and each arrow as source, label and target."""

    nodes: list[list[str]]
    arrows: list[tuple[str, str, str]]


def plain(text: str) -> str:
    return html.unescape(re.sub(r"#(\d+);", r"&#\1;", text))


def read(text: str) -> Flowchart:
    """Parse a flowchart strictly: first all nodes, then arrows, and nothing else."""
    first, *lines = text.removesuffix("\n").split("\n")
    if first != "flowchart TD" or (CLASS in lines) != (":::tensor" in text):
        raise ValueError(text)
    nodes: dict[str, list[str]] = {}
    arrows: list[tuple[str, str, str]] = []
    for line in lines[CLASS in lines :]:
        if (node := NODE.fullmatch(line)) and node[1] not in nodes and not arrows:
            nodes[node[1]] = list(map(plain, str(node[node.lastindex or 0]).split("<br>")))
        elif (arrow := ARROW.fullmatch(line)) and {arrow[1], arrow[3]} <= nodes.keys():
            arrows.append((nodes[arrow[1]][0], plain(arrow[2] or ""), nodes[arrow[3]][0]))
        else:
            raise ValueError(line)
    return Flowchart(list(nodes.values()), arrows)


def flowchart(graph: Graph) -> Flowchart:
    """Return what the text of a graph should be parsed as."""
    names = [block.name for block in graph.blocks]
    return Flowchart(
        [[block.name, block.detail] if block.detail else [block.name] for block in graph.blocks],
        [(names[a.source], a.label, names[a.target]) for a in graph.arrows],
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", [*SUBJECTS, "googlenet", "swin_t"])
def test_mermaid_text_reads_as_the_graph(name: str) -> None:
    graph = graph_at(traced(name))
    assert read(traced(name).to_mermaid()) == flowchart(graph)


def test_mermaid_text_at_a_depth() -> None:
    text = traced("resnet_small").to_mermaid(depth=1)
    assert text == (
        "flowchart TD\n"
        '  n0(["images"])\n'
        '  n1["features<br>Sequential"]\n'
        '  n2["classifier<br>Linear"]\n'
        '  n3(["output"])\n'
        '  n0 -->|"batch 1 28 28"| n1\n'
        '  n1 -->|"batch 512"| n2\n'
        '  n2 -->|"batch 10"| n3\n'
    )


def test_mermaid_text_escapes_special_characters() -> None:
    """A number between # and ; is a character; no other entity is safe for all of these."""
    odd = trace(Named(), torch.zeros(2, 3))
    assert read(odd.to_mermaid()) == flowchart(graph_at(odd))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("flowchart TD", "flowchart"),
        ('"]', '""]'),
        ('n0(["', "n0(["),
        ("classifier", "<b>"),
        ("classifier", "`x`"),
        ("classifier", "&#x27;"),
        ("n2 -->", "n9 -->"),
        ('  n3(["', '  n2(["'),
        (" -->|", " -- >|"),
        ("\n  n1", "\n\n  n1"),
    ],
)
def test_the_strict_reading_rejects_faults(old: str, new: str) -> None:
    text = traced("resnet_small").to_mermaid(depth=1)
    read(text)
    with pytest.raises(ValueError, match=r".*"):
        read(text.replace(old, new, 1))


# SVG


class Box(NamedTuple):
    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box", slack: float = 0.3) -> bool:
        return (
            min(self.right, other.right) - max(self.left, other.left) > slack
            and min(self.bottom, other.bottom) - max(self.top, other.top) > slack
        )

    def distance(self, x: float, y: float) -> float:
        across = max(self.left - x, x - self.right, 0)
        return math.hypot(across, max(self.top - y, y - self.bottom, 0))


def numbers(element: ElementTree.Element, *names: str) -> list[float]:
    return [float(element.attrib[name]) for name in names]


def around(text: ElementTree.Element) -> Box:
    """Return the box of a text, with the width that the code assumes for its characters."""
    size = LABEL_FONT if text.get("class") == "shape" else BLOCK_FONT
    x, y = numbers(text, "x", "y")
    half = len(text.text or "") * size * CHARACTER / 2
    return Box(x - half, y - size / 2, x + half, y + size / 2)


def along(path: ElementTree.Element) -> list[tuple[float, float]]:
    """Return points on an arrow, some pixels apart; corners are taken as sharp."""
    found = re.findall(r"(-?[\d.]+) (-?[\d.]+)", path.attrib["d"])
    corners = [(float(x), float(y)) for x, y in found]
    points = []
    for (x, y), (right, bottom) in itertools.pairwise(corners):
        steps = math.ceil(math.dist((x, y), (right, bottom)) / 3) or 1
        shares = [step / steps for step in range(steps + 1)]
        points += [(x + (right - x) * share, y + (bottom - y) * share) for share in shares]
    return points


def faults(svg: str) -> set[str]:
    """Return what is wrong with a picture."""
    root = ElementTree.fromstring(svg)
    blocks, found = [], set()
    texts = list(root.iter(f"{SVG}text"))
    for rect in root.iter(f"{SVG}rect"):
        x, y, width, height = numbers(rect, "x", "y", "width", "height")
        blocks.append(Box(x, y, x + width, y + height))
    labels = [around(text) for text in texts if text.get("class") == "shape"]
    boxes = blocks + labels
    arrows = [along(p) for p in root.iter(f"{SVG}path") if p.get("class") == "arrow"]
    for head in (p for p in root.iter(f"{SVG}path") if p.get("class") == "head"):
        xs, ys = zip(*along(head), strict=True)
        if any(Box(min(xs), min(ys), max(xs), max(ys)).meets(label) for label in labels):
            found.add("a label is on the head of an arrow")
    for text in texts:
        box = around(text)
        inside = [b for b in blocks if b.left <= box.left and box.right <= b.right]
        if text.get("class") != "shape" and not any(box.meets(b) for b in inside):
            found.add("a text is wider than its block")
    for fault, pairs in {
        "two blocks overlap": itertools.combinations(blocks, 2),
        "two labels overlap": itertools.combinations(labels, 2),
        "a label overlaps a block": itertools.product(labels, blocks),
    }.items():
        found |= {fault for first, second in pairs if first.meets(second)}
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    window = Box(left, top, left + width, top + height)
    corners = [point for b in (*blocks, *labels) for point in (b[:2], b[2:])]
    for x, y in itertools.chain(corners, *arrows):
        if window.distance(x, y):
            found.add("something is outside of the picture")
    for arrow in arrows:
        ends = [box for box in boxes if box.distance(*arrow[0]) < 3 or box.distance(*arrow[-1]) < 3]
        on = [box for box in boxes if any(box.distance(*point) == 0 for point in arrow[3:-3])]
        if any(box not in ends for box in on if box in blocks):
            found.add("an arrow runs through a block")
    for label in labels:
        away = [min(label.distance(*point) for point in arrow) for arrow in arrows]
        ending = [a for a in arrows if min(label.distance(*a[0]), label.distance(*a[-1])) < 3]
        if min(away) > 8:
            found.add("a label is far from all arrows")
        if away.count(0) > max(1, len(ending)):
            found.add("a label is on several arrows")
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", SUBJECTS)
def test_nothing_overlaps_in_pictures_of_the_zoo(name: str) -> None:
    for depth in (None, 1):
        assert faults(traced(name).to_svg(depth=depth)) == set()


@pytest.mark.parametrize("name", BORROWED)
def test_nothing_overlaps_in_pictures_of_larger_models(name: str) -> None:
    for depth in BORROWED[name][1]:
        assert (depth, faults(traced(name).to_svg(depth=depth))) == (depth, set())


@pytest.mark.parametrize("branches", [2, 3, 4, 5, 8])
def test_nothing_overlaps_between_branches(branches: int) -> None:
    assert faults(trace(Fan(branches), torch.zeros(16, 128, 128, 3)).to_svg()) == set()


@pytest.mark.parametrize(
    ("pattern", "new", "fault"),
    [
        (r">features<", ">features and more<", "a text is wider than its block"),
        (r'(class="shape" x="[\d.]+" y=)"[\d.]+"', r'\1"20"', "a label overlaps a block"),
        (r'(class="shape" x=)"[\d.]+"', r'\1"400"', "something is outside of the picture"),
        (r'(class="shape" x=)"[\d.]+"', r'\1"400"', "a label is far from all arrows"),
        (r'(<rect class="layer" x="[-\d.]+" y=)"[\d.]+"', r'\1"0"', "two blocks overlap"),
        (r'viewBox="\S+', 'viewBox="80', "something is outside of the picture"),
    ],
)
def test_faults_are_found(pattern: str, new: str, fault: str) -> None:
    svg = traced("resnet_small").to_svg(depth=1)
    assert fault in faults(re.sub(pattern, new, svg, count=1))
    assert fault not in faults(svg)


def test_lines_and_labels_upon_others_are_found() -> None:
    svg = traced("resnet_small").to_svg()
    first, second = re.findall(r'<text class="shape".*?>', svg)[:2]
    assert "two labels overlap" in faults(svg.replace(second, first))
    wide = svg.replace(">batch 16 12 12<", f">{'wide' * 12}<")
    assert "a label is on several arrows" in faults(wide)
    through = re.sub(r'(class="arrow" d="M\S+ \S+ L\S+) \S+', r"\1 200.0", svg, count=1)
    assert "an arrow runs through a block" in faults(through)
    low = re.sub(r'(class="head" d="M\S+) \S+', r"\1 50.0", svg, count=1)
    assert "a label is on the head of an arrow" in faults(low)


def test_a_picture_holds_the_blocks_and_shapes_of_the_graph() -> None:
    graph = graph_at(traced("inception_small"))
    texts = list(ElementTree.fromstring(traced("inception_small").to_svg()).iter(f"{SVG}text"))
    blocks = [block for block in graph.blocks if block.type_ != "tensor"]
    tensors = [block.name for block in graph.blocks if block.type_ == "tensor"]
    for class_, written in {
        "name": [block.name for block in blocks],
        "detail": [block.detail for block in blocks if block.detail],
        "shape": [*tensors, *(arrow.label for arrow in graph.arrows if arrow.label)],
    }.items():
        assert [text.text for text in texts if text.get("class") == class_] == written


def test_names_may_hold_markup() -> None:
    svg = trace(Named(), torch.zeros(2, 3)).to_svg()
    texts = [text.text for text in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {f"layers.{name}" for name in ODD_NAMES} <= set(texts)
    assert faults(svg) == set()


def test_pictures_on_one_page_share_no_ids() -> None:
    """Otherwise the second would be drawn with the mask of the first."""
    one, other = traced("lenet").to_svg(), traced("resnet_small").to_svg()
    ids = [set(re.findall(r'\bid="([^"]+)"', svg)) for svg in (one, other)]
    assert not ids[0] & ids[1]
    assert [set(re.findall(r"url\(#([^)]+)\)", svg)) for svg in (one, other)] == ids
    assert traced("resnet_small").to_svg(depth=1) != other


def test_equal_traces_have_equal_pictures(tmp_path: Path) -> None:
    again = trace(create_model("inception_small").eval())
    assert again.to_svg() == traced("inception_small").to_svg()
    again.save_svg(tmp_path / "a.svg", depth=1)
    assert (tmp_path / "a.svg").read_bytes().decode() == again.to_svg(depth=1)


def test_a_picture_is_drawn_for_light_and_dark_pages() -> None:
    svg = traced("lenet").to_svg()
    assert "@media (prefers-color-scheme: dark)" in svg
    assert 'style="max-width: 100%; height: auto"' in svg


def test_without_graphlay_only_the_picture_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    block = trace(InceptionBlock(10))
    assert "<svg" in block._repr_html_()
    monkeypatch.setitem(sys.modules, "graphlay", None)
    with pytest.raises(ImportError, match=r"diagrams need graphlay: .*'shapezoo\[diagrams\]'"):
        block.to_svg()
    page = ElementTree.fromstring(f"<div>{block._repr_html_()}</div>")
    assert len(list(page.iter("tr"))) == 1 + len(list(block.call.walk()))
    assert (page.findtext("p/code") or "") == "pip install 'shapezoo[diagrams]'"
    assert "<svg" not in block._repr_html_()
    assert read(block.to_mermaid())
