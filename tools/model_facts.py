"""What the pages of the zoo say about a model: figures, limits, its paper and its chapter.

Everything is computed from the registry or read from the one place that states it: the chapters of
the course from the table in `docs/models.md`, and what their models reach from
`benchmarks/README.md`.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import sympy
import torch

from shapezoo import ModelInfo, Trace, create_model, list_models, model_info, trace
from shapezoo._modules import without_values
from shapezoo.contracts.language.types import TensorType, tensors
from shapezoo.models import Backbone
from shapezoo.verdicts import Verdict
from shapezoo.weights import PublishedWeights

ROOT = Path(__file__).parent.parent

SIZE = 224
"""The default height and width of images, in pixels."""

info_of = functools.cache(model_info)


@dataclass(frozen=True)
class Count:
    """A number of operations for one example.

    Attributes:
        text: The number, or an expression of the length of a sequence.
        value: The number; of an expression, that for a length of one.
    """

    text: str
    value: int


@dataclass(frozen=True)
class Chapter:
    """A page of the course.

    Attributes:
        title: Its title.
        path: Its path in the documentation.
    """

    title: str
    path: str


@dataclass(frozen=True)
class Reached:
    """What a model of the course reaches after training.

    Attributes:
        text: The result, on which data, and how the model was trained.
        accuracy: Its accuracy on test data, in percent; None if that is not what was measured.
        data: The test data.
    """

    text: str
    accuracy: float | None
    data: str


def ranked() -> list[ModelInfo]:
    """Return all models: published ones, the best first, those of the course, and tiny ones."""

    def rank(info: ModelInfo) -> tuple[int, float, str]:
        if weights := default_weights(info):
            return 0, -(weights.accuracy or 0), info.name
        reached = reached_by(info.name)
        accuracy = reached.accuracy if reached else None
        return 1 if chapter_of(info.name) else 2, -(accuracy or 0), info.name

    return sorted(map(info_of, list_models()), key=rank)


@functools.cache
def traced(name: str) -> Trace:
    """Trace a model for all sizes, or for one image if it takes images of many sizes.

    A trace for all sizes runs the model about twenty times, which is too slow for large models.
    """
    size = image_size(name)
    if size is None:
        return trace(create_model(name).eval())
    with without_values():
        model = create_model(name).eval()
    return trace(model, torch.empty(1, 3, size, size, device="meta"))


@functools.cache
def image_size(name: str) -> int | None:
    """Return the height and width of the image that a model is traced with; None if it has none."""
    with without_values():
        if not isinstance(create_model(name), Backbone):
            return None
    info = info_of(name)
    weights = default_weights(info)
    size: int = info.hyperparameters.get("image_size", weights.image_size if weights else SIZE)
    return size


def default_weights(info: ModelInfo) -> PublishedWeights | None:
    """Return the published weights that ``"DEFAULT"`` stands for; None if there are none."""
    return next((weights for weights in info.weights if weights.is_default), None)


def macs(name: str) -> Count:
    """Return the multiply-accumulate operations of a model for one example."""
    count = traced(name).macs
    if isinstance(count, int):
        return Count(short(count), count)
    of_one = sympy.expand(sympy.sympify(count).subs("batch", 1))
    if of_one.is_Integer:
        return Count(short(int(of_one)), int(of_one))
    text = re.sub(r"\d+", lambda match: f"{int(match[0]):,}", str(of_one)).replace("*", "·")
    return Count(text, int(of_one.subs("seq", 1)))


def short(count: int) -> str:
    """Return a large number in thousands, millions or billions, with three digits."""
    for power, prefix in ((9, "G"), (6, "M"), (3, "k")):
        if count >= max(10_000, 10**power):
            places = max(0, 2 - len(str(count // 10**power)) + 1)
            return f"{count / 10**power:.{places}f}\N{NO-BREAK SPACE}{prefix}"
    return f"{count:,}"


def input_type(info: ModelInfo) -> TensorType:
    """Return the type of the first tensor that a model takes."""
    return next(tensors(info.signature.inputs[0].type))


def limits(verdict: Verdict) -> str:
    """Return the sizes of inputs for which a verdict holds, briefly."""
    text = ", ".join(map(str, verdict.preconditions)).replace(">=", "≥").replace("<=", "≤")
    if not text:
        free = [axis for axis in verdict.axes if axis != "batch"] or list(verdict.axes)
        text = f"any {', '.join(free)}"
    return text if verdict.outcome == "proved" else f"{text} ({verdict.outcome})"


def authors(paper: str) -> str:
    """Return the authors of a paper and its year."""
    parts = paper.split(", ")
    names = [parts[0]]
    for part in parts[1:]:
        if " " in part:  # the title
            break
        names.append(part)
    (year,) = re.findall(r", (\d{4})\b", paper)
    return f"{' and '.join(names)}, {year}"


def arxiv(paper: str) -> tuple[str, str] | None:
    """Return the arXiv id of a paper and its address; None if it has none."""
    found = re.search(r"arXiv:([\d.]+\d)", paper)
    return (found[0], f"https://arxiv.org/abs/{found[1]}") if found else None


def chapter_of(name: str) -> Chapter | None:
    """Return the page of the course that uses a model, by the table of the overview."""
    return _chapters().get(name)


def reached_by(name: str) -> Reached | None:
    """Return what a model of the course reaches, by the tables of the benchmarks."""
    return _results().get(name)


@functools.cache
def _chapters() -> dict[str, Chapter]:
    text = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (`.*`) \| \[(.*)\]\((course/\w+\.md)\) \|$", text, re.MULTILINE)
    return {
        name: Chapter(title, path)
        for names, title, path in rows
        for name in re.findall(r"`(\w+)`", names)
    }


@functools.cache
def _results() -> dict[str, Reached]:
    results = {}
    for row in _rows("How well the models of the course learn"):
        match row:
            case {"features": name, "20 epochs": accuracy}:
                results[name] = _accuracy(accuracy, "digits", "20 epochs, mean of five seeds")
            case {"network": name, "5 epochs": accuracy}:
                results[name] = _accuracy(accuracy, "digits", "5 epochs, mean of five seeds")
            case {"tagger": name, "right after 200 steps": share, "weight decay": decay}:
                text = f"{share} trainings write `ohlol` after 200 steps (weight decay {decay})"
                results[name] = Reached(text, None, "ohlol")
            case {"forecast": name, "5 epochs": error}:
                text = f"a squared error of {error} on the standardised test data of `weather`"
                results[name] = Reached(f"{text} (5 epochs, mean of five seeds)", None, "weather")
            case {"model": name, "data": data, "epochs": epochs, "on the test data": result}:
                results[name] = _accuracy(result, data, f"{epochs} epochs")
    return results


def _accuracy(result: str, data: str, training: str) -> Reached:
    """Return the result of a training: an accuracy, or a share of the variance."""
    if result.endswith("%"):
        return Reached(
            f"{result} accuracy on the test data of `{data}` ({training})",
            float(result.removesuffix(" %")),
            data,
        )
    return Reached(f"explains {result} in the test data of `{data}` ({training})", None, data)


def _rows(section: str) -> Iterator[dict[str, str]]:
    """Yield the rows of all tables in a section of the benchmarks, by the titles of columns."""
    text = (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    titles: list[str] | None = None
    for line in text.partition(f"\n## {section}\n")[2].partition("\n## ")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if not line.startswith("|"):
            titles = None
        elif titles is None:
            titles = cells
        elif not line.startswith("|---"):
            yield dict(zip(titles, cells, strict=True))
