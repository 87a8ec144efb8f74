"""Traces as tables: plain text, Markdown, HTML and data."""

import html
import json
import re
import shutil
import sys
from dataclasses import replace
from xml.etree import ElementTree

import markdown  # type: ignore[import-untyped]  # it ships no types
import pytest
import torch
from torch import Tensor, nn

from shapezoo import Trace, TraceError, create_model, trace
from shapezoo.models import lenet
from shapezoo.tracing.table import NUMBERS

LENET = """\
layer                    input           output          parameters          MACs    activations
LeNet                    batch 1 28 28   batch 10             8,490  467200*batch  63400*batch B
├─ features: Sequential  batch 1 28 28   batch 320            5,280  464000*batch  63360*batch B
│  ├─ 0: Conv2d          batch 1 28 28   batch 10 24 24         260  144000*batch  23040*batch B
│  ├─ 1: ReLU            batch 10 24 24  batch 10 24 24           0             0  23040*batch B
│  ├─ 2: MaxPool2d       batch 10 24 24  batch 10 12 12           0             0   5760*batch B
│  ├─ 3: Conv2d          batch 10 12 12  batch 20 8 8         5,020  320000*batch   5120*batch B
│  ├─ 4: ReLU            batch 20 8 8    batch 20 8 8             0             0   5120*batch B
│  ├─ 5: MaxPool2d       batch 20 8 8    batch 20 4 4             0             0   1280*batch B
│  └─ 6: Flatten         batch 20 4 4    batch 320                0             0            0 B
└─ classifier: Linear    batch 320       batch 10             3,210    3200*batch     40*batch B

parameters   8,490
MACs         467200*batch
activations  63400*batch B"""

ODD_NAMES = ("[red]", ":book:", "a|b", "c*d*_e_", "<&>\"'", "`f`g", "#h;")


class Named(nn.Module):
    """Layers with names that contain special characters of some format."""

    def __init__(self, names: tuple[str, ...] = ODD_NAMES) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({name: nn.Linear(3, 4) for name in names})

    def forward(self, x: Tensor) -> list[Tensor]:
        return [layer(x) for layer in self.layers.values()]


class Total(nn.Module):
    """A scalar, and the number that it is the sum of."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.sum(), x + 1


@pytest.fixture(scope="module")
def traced() -> Trace:
    return trace(lenet())


@pytest.fixture(scope="module")
def odd() -> Trace:
    return trace(Named(), torch.zeros(2, 3))


def failed() -> Trace:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 6), nn.ReLU())
    with pytest.raises(TraceError) as caught:
        trace(model, torch.zeros(2, 3))
    return caught.value.trace


def columns(text: str) -> list[str]:
    return text.splitlines()[0].split()


def letters(text: str) -> str:
    """Return all characters except spaces, sorted: wrapping does not change them."""
    return "".join(sorted(text.replace(" ", "").replace("\n", "")))


def cells(line: str) -> list[str]:
    """Return the cells of a row of a pipe table, where a backslash escapes a pipe."""
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rendered(text: str) -> list[list[str]]:
    """Return the rows of a Markdown table as a reader sees them."""
    page = markdown.markdown(text, extensions=["tables"])
    rows = re.findall(r"<tr>(.*?)</tr>", page, re.DOTALL)
    found = [re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL) for row in rows]
    return [[html.unescape(re.sub(r"</?code>", "", cell)) for cell in row] for row in found]


def test_the_text_of_lenet(traced: Trace) -> None:
    assert str(traced) == repr(traced) == traced.to_text() == LENET


def test_columns_are_left_out_only_where_they_do_not_fit(traced: Trace) -> None:
    everything = ["layer", "input", "output", "parameters", "MACs", "activations"]
    for width in range(51, 120):
        kept = 6 if width >= 96 else 5 if width >= 81 else 4 if width >= 67 else 3
        left = everything[:kept] if kept > 3 else ["layer", "output", "parameters"]
        assert columns(traced.to_text(width=width)) == left


@pytest.mark.parametrize("width", [300, 94, 80, 66, 51, 40, 30, 26])
def test_no_line_is_too_long_and_nothing_is_lost(traced: Trace, width: int) -> None:
    text = traced.to_text(width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "…" not in text
    unwrapped = traced.to_text(width=max(width, 51))
    assert letters(text) == letters(unwrapped)


def test_depth_ends_the_tree(traced: Trace) -> None:
    assert "Sequential" not in traced.to_text(depth=0)
    assert [line.split()[1] for line in traced.to_text(depth=1).splitlines()[2:4]] == [
        "features:",
        "classifier:",
    ]
    assert traced.to_text(depth=2) == traced.to_text(depth=9) == LENET
    assert len(traced.to_markdown(depth=1).splitlines()) == 2 + 3 + 1 + 3


def test_a_loop_is_one_line_with_its_iterations() -> None:
    text = trace(create_model("stepped_rnn").eval()).to_text()
    assert re.search(r"└─ cell: RNNCell ×seq +batch 4, batch 2 +batch 2 ", text)
    text = trace(create_model("stepped_rnn").eval(), torch.zeros(5, 3, 4)).to_text()
    assert re.search(r"└─ cell: RNNCell ×5 +3 4, 3 2 +3 2 ", text)


def test_several_outputs_and_scalars() -> None:
    text = trace(Total(), torch.zeros(2, 3)).to_text()
    assert re.search(r"^Total +2 3 +scalar, 2 3 +0 +0 +28 B$", text, re.MULTILINE)
    assert text.endswith("parameters   0\nMACs         0\nactivations  28 B")


def test_a_layer_that_failed_says_so() -> None:
    text = failed().to_text()
    assert re.search(r"^Sequential +2 3 +failed ", text, re.MULTILINE)
    assert re.search(r"├─ 0: Linear +2 3 +2 4 ", text)
    assert re.search(r"└─ 1: Linear +2 4 +failed ", text)
    assert "ReLU" not in text


def test_large_numbers_are_short(traced: Trace) -> None:
    call = replace(traced.call, macs=1_814_073_344, activation_bytes=312, steps=())
    text = replace(traced, call=call).to_text()
    assert re.search(r" 8,490 +1\.81 G +312 B$", text, re.MULTILINE)
    for macs, short in ((0, "0"), (9_999, "9999"), (10_000, "10.00 k"), (2_500_000, "2.50 M")):
        text = replace(traced, call=replace(call, macs=macs)).to_text()
        assert f"\nMACs         {short}\n" in text
    text = replace(traced, call=replace(call, activation_bytes=3 * 10**12)).to_text()
    assert text.endswith("\nactivations  3.00 TB")


def test_multiples_are_listed(traced: Trace) -> None:
    text = replace(traced, multiples={"height": 32, "width": 8}).to_text()
    assert text.endswith(
        "\nheight       shown for multiples of 32\nwidth        shown for multiples of 8"
    )


def test_text_holds_names_as_they_are(odd: Trace) -> None:
    text = odd.to_text()
    for name in ODD_NAMES:
        assert f"layers.{name}: Linear " in text


def test_a_terminal_limits_the_width(traced: Trace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "70")
    assert shutil.get_terminal_size().columns == 70
    assert traced.to_text() == LENET
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert traced.to_text() == traced.to_text(width=70) != LENET
    assert traced.to_text(width=96) == LENET


def test_markdown_holds_every_call(traced: Trace) -> None:
    lines = traced.to_markdown().splitlines()
    header, rule, *rows = [cells(line) for line in lines if line.startswith("|")]
    assert header == ["layer", "class", "input", "output", *NUMBERS]
    assert rule == ["---"] * 4 + ["---:"] * 3
    for row, (_, call) in zip(rows, traced.call.walk(), strict=True):
        assert row[:2] == [f"`{call.path}`" if call.path else "", call.kind]
        assert row[2:5] == [str(call.inputs[0]), str(call.outputs[0]), f"{call.parameters:,}"]
        assert row[5].replace("\\", "") == str(call.macs)
    assert lines[-3:] == [
        "- parameters   8,490",
        r"- MACs         467200\*batch",
        r"- activations  63400\*batch B",
    ]


def test_markdown_shows_iterations_and_failures() -> None:
    text = trace(create_model("stepped_rnn").eval()).to_markdown()
    assert "| `cell` ×seq | RNNCell |" in text
    assert "| `1` | Linear | 2 4 | failed |" in failed().to_markdown()


def test_markdown_renders_names_and_expressions_as_they_are(odd: Trace) -> None:
    rows = rendered(odd.to_markdown())
    assert [row[0] for row in rows[2:]] == [f"layers.{name}" for name in ODD_NAMES]
    assert all(row[1:] == ["Linear", "2 3", "2 4", "16", "24", "32 B"] for row in rows[2:])
    call = replace(
        odd.call, kind="_A_*B*[c]<d>", macs="2*batch*seq_", activation_bytes="4*a*b", steps=()
    )
    text = replace(odd, call=call).to_markdown()
    assert rendered(text)[1][1] == "_A_*B*[c]<d>"
    assert rendered(text)[1][-2:] == ["2*batch*seq_", "4*a*b B"]
    page = markdown.markdown(text.split("\n\n")[1])
    assert re.sub(" +", " ", html.unescape(page)).splitlines()[2:4] == [
        "<li>MACs 2*batch*seq_</li>",
        "<li>activations 4*a*b B</li>",
    ]


def test_a_pipe_in_a_name_ends_no_cell(odd: Trace) -> None:
    """In GitHub's Markdown it does even within code."""
    lines = odd.to_markdown().splitlines()
    assert {len(cells(line)) for line in lines if line.startswith("|")} == {7}


def test_html_is_well_formed_and_holds_every_layer(odd: Trace, traced: Trace) -> None:
    table = ElementTree.fromstring(f"<div>{odd._repr_html_()}</div>").find("table")
    assert table is not None
    names = ["".join(row[0].itertext()).split("─ ")[-1] for row in table.iter("tr")]
    assert names[2:] == [f"layers.{name}: Linear" for name in ODD_NAMES]
    page = ElementTree.fromstring(f"<div>{traced._repr_html_()}</div>")
    rows = [[cell.text for cell in row] for row in page.iter("tr")]
    assert len(rows) == 1 + len(list(traced.call.walk()))
    assert rows[4] == [
        "│  ├─ 1: ReLU",
        "batch 10 24 24",
        "batch 10 24 24",
        "0",
        "0",
        "23040*batch B",
    ]
    assert "".join(page.findtext("pre") or "") == LENET.split("\n\n")[1]


def test_data_survive_json(traced: Trace, odd: Trace) -> None:
    data = json.loads(json.dumps(traced.to_dict()))
    assert sorted(data) == ["call", "inputs", "multiples", "outputs"]
    assert data["multiples"] == traced.multiples
    assert data["call"]["axes"] == {"batch": "batch"}
    convolution = data["call"]["steps"][0]["steps"][0]
    assert (convolution["path"], convolution["kind"]) == ("features.0", "Conv2d")
    assert (convolution["parameters"], convolution["macs"]) == (260, "144000*batch")
    assert convolution["outputs"][0]["sizes"] == ["batch", 10, 24, 24]
    assert convolution["steps"][0]["name"] == "conv2d"
    assert data["outputs"][0]["source"] in json.dumps(data["call"])
    assert json.dumps(odd.to_dict()) != json.dumps(traced.to_dict())
