"""mkdocs hook that fills the glossary with the axis names, each with a model that has the axis."""

import re
from collections.abc import Iterator

from shapezoo import ModelInfo, list_models, model_info
from shapezoo.contracts import AXES

PLACEHOLDER = "<!-- axes -->"


def render() -> str:
    """Return the table of all axis names, each with the smallest model whose contract has it."""
    # the models of the course and the micro models; the others have the same contracts
    infos = [model_info(name) for name in list_models(published=False)]
    infos.sort(key=lambda info: info.parameters)
    rows = [f"| `{axis}` | {meaning} | {_example(axis, infos)} |" for axis, meaning in AXES.items()]
    return "\n".join(["| axis | meaning | for example |", "|---|---|---|", *rows])


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the placeholder by the table; mkdocs calls this for every page."""
    return markdown.replace(PLACEHOLDER, render()) if PLACEHOLDER in markdown else markdown


def _example(axis: str, infos: list[ModelInfo]) -> str:
    """Return the first annotation with an axis, with a link to its model, or a dash."""
    for info in infos:
        for text in _annotations(info):
            if re.search(rf'"[^"]*\b{axis}\b', text):
                return f"`{text}` of [`{info.name}`](models/{info.name}.md)"
    return "-"


def _annotations(info: ModelInfo) -> Iterator[str]:
    yield from map(str, info.signature.inputs)
    yield f"-> {info.signature.output}"
