"""mkdocs hook that compares the smallest images that models accept with what torchvision states."""

import functools

from torchvision.models import get_model_weights

from shapezoo import ModelInfo, list_models, model_info
from shapezoo.verdicts import Mode

PLACEHOLDER = "<!-- smallest images -->"
LARGEST = 600
"""Pixels beyond which no model needs an image."""


def render() -> str:
    """Return the comparison: a sentence, and a table with a row for each set of equal sizes."""
    rows: dict[tuple[int, int, int], list[str]] = {}
    for name in list_models(published=True):
        rows.setdefault(sizes(name), []).append(f"`{name}`")
    wrong = sum(len(names) for (proved, _, stated), names in rows.items() if proved != stated)
    total = sum(map(len, rows.values()))
    text = (
        f"torchvision states a smallest size, `min_size`, with its weights. For {wrong} of {total} "
        "models it is not the smallest that is accepted:"
    )
    return "\n".join(
        [
            text,
            "",
            "| models | proved, eval mode | proved, train mode | torchvision's `min_size` |",
            "|---|---|---|---|",
            *(_row(*row) for row in sorted(rows.items(), key=_order)),
        ]
    )


@functools.cache
def sizes(name: str) -> tuple[int, int, int]:
    """Return the smallest n x n pixels that are proved in eval and train mode, and stated."""
    stated = min(min(weights.meta["min_size"]) for weights in get_model_weights(name))
    info = model_info(name)
    return smallest(info, "eval"), smallest(info, "train"), stated


def smallest(info: ModelInfo, mode: Mode) -> int:
    """Return the smallest n for which two images of n x n pixels are proved to be accepted."""
    conditions = info.verdicts[mode].preconditions
    return next(
        n
        for n in range(1, LARGEST)
        if info.signature.accepts((2, 3, n, n))
        and all(c.holds({"batch": 2, "height": n, "width": n}) for c in conditions)
    )


def on_page_markdown(markdown: str, **_: object) -> str:
    """Replace the placeholder by the comparison; mkdocs calls this for every page."""
    return markdown.replace(PLACEHOLDER, render()) if PLACEHOLDER in markdown else markdown


def _order(row: tuple[tuple[int, int, int], list[str]]) -> tuple[bool, int, str]:
    (proved, _, stated), names = row
    return proved == stated, proved, names[0]


def _row(found: tuple[int, int, int], names: list[str]) -> str:
    proved, train, stated = found
    mark = "" if proved == stated else "**"
    return f"| {', '.join(names)} | {mark}{proved}{mark} | {train} | {mark}{stated}{mark} |"
