"""Every model of the zoo has a row in the table of models, and a page of its own."""

import functools
import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from mkdocs.config import load_config
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from PIL import Image
from tests.zoo.subjects import one_of_each_class, unfilled

from shapezoo import Module, list_models, model_info, registry, trace
from shapezoo.models import InceptionBlock, lenet
from shapezoo.tracing.table import rows
from shapezoo.weights import PublishedWeights

ROOT = Path(__file__).parents[2]
CONFIG = load_config(str(ROOT / "mkdocs.yml"), hooks=["tools/models.py"])
hook = CONFIG["hooks"]["tools/models.py"]
FACTS = sys.modules["model_facts"]  # which the hook has imported, like this one
ROWS = sys.modules["model_table"]
pytestmark = pytest.mark.slow

MODELS = pytest.mark.parametrize(
    "name", [*list_models(published=False), *one_of_each_class(list_models(published=True))]
)
Table = list[list[str]]


class Tables(HTMLParser):
    """The texts of the cells of the tables in a page, by their labels."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: dict[str, Table] = {}
        self._rows: Table = []
        self._in_cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self._rows = self.found[str(dict(attrs)["aria-label"])] = []
        elif tag == "tr":
            self._rows.append([])
        elif tag in ("th", "td"):
            self._rows[-1].append("")
            self._in_cell = True
        elif tag in ("br", "small") and self._in_cell:
            self._rows[-1][-1] += " "

    def handle_endtag(self, tag: str) -> None:
        self._in_cell = self._in_cell and tag not in ("th", "td")

    def handle_data(self, data: str) -> None:
        if self._in_cell:
            self._rows[-1][-1] += data


def made() -> Files:
    """Return the pages, as mkdocs gets them."""
    return CONFIG.plugins.on_files(Files([]), config=CONFIG)


@functools.cache
def page_of(name: str) -> str:
    """Return the page of a model, in Markdown."""
    page: str = hook.page(model_info(name))
    return page


COUNTED = ("lenet", "resnet50", "inception_v3", "name_classifier")
"""Models whose operations are counted in the table; to trace all takes long, and the build does."""


@functools.cache
def overview() -> Table:
    """Return the table of all models, without its head."""
    source = File.generated(CONFIG, "models.md", content="")
    files = Files([source])
    for name in list_models():
        files.append(File.generated(CONFIG, f"models/{name}.md", content=""))
    page = Page(None, source, CONFIG)

    def counted(name: str) -> Any:
        return FACTS.macs(name) if name in COUNTED else FACTS.Count("not counted", 0)

    with patch.object(ROWS, "macs", counted):
        content = hook.on_page_content("<!-- models -->", page=page, files=files)
    linked = re.findall(r'<a href="(\w+)/"><code>(\w+)</code></a>', content)
    assert sorted(linked) == [(name, name) for name in list_models()]
    (head, *body) = Tables(content).found["All models"]
    assert head == [
        *("Model", "Task", "Parameters", "MACs", "Input", "Accuracy", "Weights", "Licence"),
        "Paper",
    ]
    return body


def row_of(name: str) -> list[str]:
    """Return the cells of a model in the table, without its name."""
    (row,) = (row for row in overview() if row[0] == name)
    return row[1:]


@pytest.fixture
def extra(monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry with nothing but one more model."""

    def lenet_extra(*, num_classes: int = 3) -> Module:
        """One more LeNet."""
        return lenet(num_classes=num_classes)

    entry = registry.Entry("lenet_extra", lenet_extra, "image-classification", "*A* paper, 2026")
    monkeypatch.setattr(registry, "_entries", {entry.name: entry})
    return entry.name


def is_current(page: str, name: str, *, is_fresh: bool = False) -> bool:
    """Whether a page has exactly the layers, the figures and the diagram of a trace."""
    traced = FACTS.traced.__wrapped__(name) if is_fresh else FACTS.traced(name)
    tables = Tables(page).found

    def shown(label: str) -> Table:
        found = tables.get(label, [])[1:]
        return [[row[0].partition(" ×")[0], *row[1:]] for row in found]

    def layers(depth: int | None) -> Table:
        found = rows(traced.call, depth)
        return [[call.path or "the model", call.kind, *cells] for call, (_, *cells) in found]

    return (
        shown(f"Layers of {name}") == layers(1)
        and (shown(f"All layers of {name}") or layers(1)) == layers(None)
        and f"- **Parameters:** {traced.parameters:,}\n" in page
        and traced.to_svg() in page
    )


def listed(nav: Any) -> list[str]:
    """The paths in a part of the navigation."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [path for part in parts for path in listed(part)]


def html(files: Files, name: str) -> str:
    """The page of a model as it is shown."""
    file = files.get_file_from_path(f"models/{name}.md")
    assert file
    page = Page(None, file, CONFIG)
    page.read_source(CONFIG)
    page.render(CONFIG, files)
    assert page.content
    return page.content


@MODELS
def test_a_page_tells_what_a_model_does(name: str) -> None:
    assert is_current(page_of(name), name)


@pytest.mark.parametrize("name", ["lenet", "gru", "resnet_micro", "resnet18"])
def test_a_page_is_the_same_for_a_fresh_model(name: str) -> None:
    assert is_current(page_of(name), name, is_fresh=True)


@MODELS
def test_a_page_tells_what_the_zoo_knows(name: str) -> None:
    info, page = model_info(name), page_of(name)
    assert f"\n# {name}\n\n{info.summary}\n" in page
    assert f"- **Task:** {info.task.replace('-', ' ')}\n" in page
    assert all(
        f"| `{key}` | `{value!r}` |\n" in page for key, value in info.hyperparameters.items()
    )
    assert all(f"{argument}" in page for argument in info.signature.inputs)
    assert f") -> {info.signature.output}\n```" in page
    arxiv = re.findall(r"arXiv:(\S+)", info.paper)
    assert re.findall(r"\[arXiv:\S+\]\(https://arxiv.org/abs/(\S+)\)", page) == arxiv
    for weights in info.weights:
        assert f"<code>{weights.name}</code>" in page


@MODELS
def test_the_code_of_a_page_runs(
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    cock = 7

    def zeros_but_for_cocks(weights: PublishedWeights) -> dict[str, torch.Tensor]:
        size = {"image_size": weights.image_size} if name.startswith("vit") else {}
        state = {key: t.zero_() for key, t in unfilled(weights.model, **size).state_dict().items()}
        for tensor in state.values():
            if tensor.shape == (1000,):  # the bias of the last layer
                tensor[cock] = 20
        if name == "maxvit_t":  # whose last layer has no bias
            state["classifier.3.bias"].fill_(1)
            state["classifier.5.weight"][cock] = 1
        return state

    monkeypatch.setattr("shapezoo.weights.pretrained.download", zeros_but_for_cocks)
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (640, 480)).save("photo.jpg")
    code = hook.snippet(model_info(name))
    assert f"```python\n{code}```\n" in page_of(name)
    names: dict[str, Any] = {}
    exec(code, names)
    if model_info(name).weights:
        first, *others = capsys.readouterr().out.splitlines()
        assert first == "100.0%  cock"
        assert len(others) == 4
    else:
        outputs = names["outputs"]
        first = outputs[0] if isinstance(outputs, tuple) else outputs
        assert len(first) in (2, 5)  # the batch, or the time of a sequence


@MODELS
def test_a_diagram_that_is_shown_at_once_is_not_high(name: str) -> None:
    figure = page_of(name).partition("<figure")[2].partition("</figure>")[0]
    height = float(re.findall(r'viewBox="\S+ \S+ \S+ (\S+)"', figure)[0])
    assert (height <= 1200) == ('class="zoo-tall"' not in figure)
    more = "Diagram with more levels" in page_of(name)
    assert more == (FACTS.traced(name).to_svg() not in figure)


def test_models_of_the_course_have_a_chapter_and_show_what_they_reach() -> None:
    course = [entry.name for entry in registry.entries() if ".course." in entry.builder.__module__]
    assert len(course) == 21
    for name in course:
        chapter, page = hook.chapter_of(name), page_of(name)
        assert chapter, name
        text = (ROOT / "docs" / chapter.path).read_text(encoding="utf-8")
        assert f"`{name}`" in text or f"{name}(" in text
        assert f"- **Chapter:** [{chapter.title}](../{chapter.path}) of the course\n" in page
        reached = hook.reached_by(name)
        assert ("- **Reaches:** " in page) == (reached is not None)
    encoders = {"gru", "lstm", "rnn", "stepped_rnn"}  # they have no task of their own
    assert {name for name in course if not hook.reached_by(name)} == encoders


def test_the_chapters_quote_the_accuracies_of_the_benchmarks() -> None:
    found = {name: hook.reached_by(name) for name in list_models(published=False)}
    accuracies = {name: r.accuracy for name, r in found.items() if r and r.accuracy}
    for name in ("logistic_regression", "mlp"):  # their chapter states bounds, which it tests
        del accuracies[name]
    assert len(accuracies) == 10
    for name, accuracy in accuracies.items():
        chapter = hook.chapter_of(name).path
        if name == "softmax_classifier":
            chapter = "course/convolution.md"  # it compares the networks
        text = (ROOT / "docs" / chapter).read_text(encoding="utf-8")
        rounded = [int(number) for number in re.findall(r"about (\d+) %", text)]
        is_near = any(abs(number - accuracy) <= 1 for number in rounded)
        assert f" {accuracy:.1f} %" in text or is_near, name


def test_a_page_shows_the_chapter_and_the_accuracy() -> None:
    page = page_of("resnet_small")
    accuracy = "97.5 % accuracy on the test data of `digits` (5 epochs, mean of five seeds)"
    assert f"- **Reaches:** {accuracy}\n" in page
    assert "\nshapezoo train resnet_small\n" in page
    assert "shapezoo train" not in page_of("gru")


def test_every_model_has_a_page_in_the_navigation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "page", lambda info: info.name)  # their traces take long
    paths = [f"models/{name}.md" for name in list_models()]
    pages = {file.src_uri: file.content_string for file in made()}
    assert pages == dict(zip(paths, list_models(), strict=True))
    for _ in range(2):  # nothing is added twice
        found = listed(hook.on_config(CONFIG).nav)
        assert sorted(path for path in found if path.startswith("models/")) == paths
    assert "models.md" in found


def test_a_row_tells_what_the_zoo_knows() -> None:
    assert row_of("resnet50") == [
        "image classification",
        "25.6\N{NO-BREAK SPACE}M",
        "4.09\N{NO-BREAK SPACE}G",
        "batch 3 height width any height, width",
        "80.86 %",
        "IMAGENET1K_V2 IMAGENET1K_V1 76.13 %",
        "BSD-3-Clause",
        "He et al., 2015",
    ]
    assert row_of("inception_v3")[2:5] == [
        "5.71\N{NO-BREAK SPACE}G at 299 px",
        "batch 3 height width height ≥ 75, width ≥ 75",
        "77.29 % at 299 px",
    ]
    assert row_of("lenet") == [
        "image classification",
        "8,490",
        "467\N{NO-BREAK SPACE}k",
        "batch 1 28 28 any batch",
        "95.9 % digits",
        *("-", "-"),
        "LeCun et al., 1998",
    ]
    assert row_of("name_classifier")[2:4] == ["300,000·seq + 3,600", "batch seq any seq"]
    sizes = [row_of(name)[1] for name in ("mlp", "character_rnn", "alexnet", "vgg16")]
    assert sizes == [
        "87",
        "124\N{NO-BREAK SPACE}k",
        "61.1\N{NO-BREAK SPACE}M",
        "138\N{NO-BREAK SPACE}M",
    ]
    assert row_of("vgg16")[5].split() == ["IMAGENET1K_V1", "IMAGENET1K_FEATURES"]


def test_what_people_look_for_comes_first() -> None:
    names = [row[0] for row in overview()]
    published = list_models(published=True)
    assert set(names[: len(published)]) == set(published)
    accuracies = [float(row[5].split()[0]) for row in overview()[: len(published)]]
    assert accuracies == sorted(accuracies, reverse=True)
    assert all(name.endswith("_micro") for name in names[-len(list_models("*_micro")) :])


def test_placeholders_are_filled_and_other_pages_left_alone() -> None:
    source = (ROOT / "docs/traces.md").read_text(encoding="utf-8")
    shown = hook.on_page_markdown(source, page=None, config=None, files=None)
    assert trace(InceptionBlock(10)).to_svg() in shown
    assert not any(placeholder in shown for placeholder in hook.PLACEHOLDERS)
    other = (ROOT / "docs/contracts.md").read_text(encoding="utf-8")
    assert hook.on_page_markdown(other, page=None, config=None, files=None) == other
    assert hook.on_page_content(other, page=None, config=None, files=None) == other
    overview = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    assert overview.count(f"\n{hook.TABLE}\n") == 1
    assert overview.index(hook.TABLE) < 700  # hardly anything comes before the table


def test_a_page_shows_names_and_expressions_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hook, "list_models", lambda: ["stepped_rnn"])
    shown = html(made(), "stepped_rnn")
    assert '<th scope="row"><code>cell</code> ×seq</th>' in shown
    assert re.search(r"<td>8\*<wbr>batch\*<wbr>\(2\*<wbr>seq\+1\) B</td>", shown)
    assert "<svg" in shown
    assert "&lt;" not in shown.partition("<svg")[2]


def test_a_model_that_is_added_gets_a_page(extra: str) -> None:
    files = made()
    (page,) = ((file.src_uri, file.content_string) for file in files)
    assert page[0] == "models/lenet_extra.md"
    assert is_current(page[1], extra)
    assert "<strong>Paper:</strong> *A* paper, 2026</li>" in html(files, extra)


def test_a_page_that_is_missing_or_old_is_noticed() -> None:
    assert is_current(page_of("lenet"), "lenet")
    for other in ("", page_of("lenet_small")):
        assert not is_current(other, "lenet")
    for old in ("3200*<wbr>batch", "MaxPool2d</text>", "8,490"):
        page = page_of("lenet")
        assert old in page
        assert not is_current(page.replace(old, "1", 1), "lenet")
