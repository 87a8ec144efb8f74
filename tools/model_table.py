"""The table of all models, in HTML: `docs/javascripts/zoo.js` sorts and filters it."""

import html
import re
from collections.abc import Callable

from model_facts import (
    SIZE,
    arxiv,
    authors,
    default_weights,
    image_size,
    input_type,
    limits,
    macs,
    ranked,
    reached_by,
    short,
)

from shapezoo import ModelInfo

COLUMNS = {
    "Model": "ascending",
    "Task": "ascending",
    "Parameters": "ascending",
    "MACs": "ascending",
    "Input": "ascending",
    "Accuracy": "descending",
    "Weights": "descending",
    "Licence": "ascending",
    "Paper": "ascending",
}
"""The columns, with the order that a reader expects first."""

SORTED_BY = "Accuracy"
"""The column by which `ranked` sorts."""


def table(address: Callable[[str], str]) -> str:
    """Return the table.

    Args:
        address: Returns the address of the page of a model.
    """
    heads = "".join(_head(name, order) for name, order in COLUMNS.items())
    rows = "\n".join(_row(info, address(info.name)) for info in ranked())
    # Styles that show a row as a card would take the roles of the elements away, so they are given.
    return f"""\
<div class="zoo-models" role="region" aria-label="All models" tabindex="0">
<table class="zoo-table" role="table" aria-label="All models">
<thead role="rowgroup"><tr role="row">{heads}</tr></thead>
<tbody role="rowgroup">
{rows}
</tbody>
</table>
</div>"""


def _head(name: str, order: str) -> str:
    sort = f' aria-sort="{order}"' if name == SORTED_BY else ""
    return f'<th role="columnheader" scope="col" data-order="{order}"{sort}>{name}</th>'


def _row(info: ModelInfo, address: str) -> str:
    cells = [
        _model(info, address),
        _cell("Task", info.task.replace("-", " ")),
        _cell("Parameters", short(info.parameters), info.parameters),
        _macs(info),
        _input(info),
        _accuracy(info),
        _weights(info),
        _cell("Licence", "<br>".join(dict.fromkeys(w.licence for w in info.weights))),
        _paper(info),
    ]
    published = "true" if info.weights else "false"
    return f'<tr role="row" data-published="{published}">{"".join(cells)}</tr>'


def _cell(label: str, content: str, value: float | None = None) -> str:
    """Return a cell; the value, if there is one, is what it is sorted by."""
    sorted_by = "" if value is None else f' data-value="{value:g}"'
    if isinstance(value, int):
        sorted_by = f' data-value="{value}"'
    class_ = "" if content else ' class="zoo-none"'
    return f'<td role="cell" data-label="{label}"{sorted_by}{class_}>{content or "-"}</td>'


def _model(info: ModelInfo, address: str) -> str:
    link = f'<a href="{address}"><code>{info.name}</code></a>'
    return f'<th role="rowheader" scope="row" data-value="{info.name}">{link}</th>'


def _macs(info: ModelInfo) -> str:
    count, size = macs(info.name), image_size(info.name)
    return _cell("MACs", count.text + _pixels(size), count.value)


def _input(info: ModelInfo) -> str:
    axes = " ".join(str(axis.name or axis.fixed) for axis in input_type(info).axes)
    proved = html.escape(limits(info.verdicts["eval"])) if info.verdicts else ""
    return _cell("Input", f"<code>{axes}</code>{_small(proved)}")


def _accuracy(info: ModelInfo) -> str:
    reached = reached_by(info.name)
    if weights := default_weights(info):
        pixels = _pixels(weights.image_size)
        return _cell("Accuracy", f"{weights.accuracy:.2f} %{pixels}", weights.accuracy)
    if reached and reached.accuracy is not None:
        # below all of ImageNet: an accuracy on an easy data set says little about another
        below = round(reached.accuracy - 100, 1)
        return _cell("Accuracy", f"{reached.accuracy:.1f} %{_small(reached.data)}", below)
    return _cell("Accuracy", "")


def _weights(info: ModelInfo) -> str:
    """Return the names of the weights, the default first, and the accuracy of the others."""
    names = []
    for weights in sorted(info.weights, key=lambda weights: not weights.is_default):
        name = weights.name.replace("SWAG_", "SWAG_<wbr>")
        accuracy = "" if weights.accuracy is None else _small(f"{weights.accuracy:.2f} %")
        names.append(f"<code>{name}</code>{'' if weights.is_default else accuracy}")
    return _cell("Weights", "<br>".join(names), len(names) or None)


def _paper(info: ModelInfo) -> str:
    text, link = html.escape(authors(info.paper)), arxiv(info.paper)
    year = re.findall(r"\d{4}", text)[-1]
    title = html.escape(info.paper)
    shown = f'<a href="{link[1]}" title="{title}">{text}</a>' if link else text
    return _cell("Paper", shown, int(year))


def _pixels(size: int | None) -> str:
    """Return a size of images, if it is not the usual one."""
    return _small(f"at {size} px") if size not in (None, SIZE) else ""


def _small(text: str) -> str:
    return f"<small>{text}</small>" if text else ""
