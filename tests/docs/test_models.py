"""Every model of the zoo has a page, which tells what a fresh model does."""

import functools
import re
from pathlib import Path
from typing import Any

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page
from tests.zoo.subjects import one_of_each_class

from shapezoo import Module, list_models, model_info, registry, trace
from shapezoo.models import InceptionBlock, lenet

ROOT = Path(__file__).parents[2]
CONFIG = load_config(str(ROOT / "mkdocs.yml"), hooks=["tools/models.py"])
hook = CONFIG["hooks"]["tools/models.py"]
pytestmark = pytest.mark.slow

MODELS = pytest.mark.parametrize(
    "name", [*list_models(published=False), *one_of_each_class(list_models(published=True))]
)


def made() -> Files:
    """Return the pages, as mkdocs gets them."""
    return CONFIG.plugins.on_files(Files([]), config=CONFIG)


@functools.cache
def page_of(name: str) -> str:
    """Return the page of a model, in Markdown."""
    page: str = hook.page(model_info(name))
    return page


@pytest.fixture
def extra(monkeypatch: pytest.MonkeyPatch) -> str:
    """A registry with nothing but one more model."""

    def lenet_extra(*, num_classes: int = 3) -> Module:
        """One more LeNet."""
        return lenet(num_classes=num_classes)

    entry = registry.Entry("lenet_extra", lenet_extra, "image-classification", "*A* paper, 2026")
    monkeypatch.setattr(registry, "_entries", {entry.name: entry})
    return entry.name


def is_current(page: str, name: str) -> bool:
    """Whether a page has exactly the table and the diagram of a fresh model."""
    fresh = hook.traced(model_info(name))
    parts = [
        f"- Parameters: {fresh.parameters:,}\n",
        f'<div class="trace" markdown>\n\n{fresh.to_markdown()}\n\n</div>\n',
        f"<div data-search-exclude>\n{fresh.to_svg()}</div>\n",
    ]
    return all(page.count(part) == 1 for part in parts)


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
def test_a_page_tells_what_a_fresh_model_does(name: str) -> None:
    assert is_current(page_of(name), name)


@MODELS
def test_a_page_tells_what_the_zoo_knows(name: str) -> None:
    info, page = model_info(name), page_of(name)
    assert f"\n# {name}\n\n{info.summary}\n" in page
    assert f"- Task: {info.task}\n" in page
    assert f"- Parameters: {info.parameters:,}\n" in page
    assert f'model = create_model("{name}")\n' in page
    assert all(
        f"| `{key}` | `{value!r}` |\n" in page for key, value in info.hyperparameters.items()
    )
    assert all(f"{argument}" in page for argument in info.signature.inputs)
    assert f") -> {info.signature.output}\n```" in page


def test_every_model_has_a_page_in_the_navigation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "page", lambda info: info.name)  # their traces take long
    paths = [f"models/{name}.md" for name in list_models()]
    pages = {file.src_uri: file.content_string for file in made()}
    assert pages == dict(zip(paths, list_models(), strict=True))
    for _ in range(2):  # nothing is added twice
        found = listed(hook.on_config(CONFIG).nav)
        assert sorted(path for path in found if path.startswith("models/")) == paths
    assert "models.md" in found


def test_the_overview_links_to_every_page() -> None:
    source = (ROOT / "docs/models.md").read_text(encoding="utf-8")
    shown = hook.on_page_markdown(source, page=None, config=None, files=None)
    linked = re.findall(r"^\| \[`(\w+)`\]\(models/(\w+)\.md\) ", shown, re.MULTILINE)
    assert sorted(linked) == [(name, name) for name in list_models()]


def test_placeholders_are_filled_and_other_pages_left_alone() -> None:
    source = (ROOT / "docs/traces.md").read_text(encoding="utf-8")
    shown = hook.on_page_markdown(source, page=None, config=None, files=None)
    assert trace(InceptionBlock(10)).to_svg() in shown
    assert not any(placeholder in shown for placeholder in hook.PLACEHOLDERS)
    other = (ROOT / "docs/contracts.md").read_text(encoding="utf-8")
    assert hook.on_page_markdown(other, page=None, config=None, files=None) == other


def test_a_page_shows_names_and_expressions_as_they_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hook, "list_models", lambda: ["stepped_rnn"])
    shown = html(made(), "stepped_rnn")
    assert "<td><code>cell</code> ×seq</td>" in shown
    assert re.search(r"<td[^>]*>8\*batch\*\(2\*seq\+1\) B</td>", shown)
    assert "<svg" in shown
    assert "&lt;" not in shown.partition("<svg")[2]


def test_a_model_that_is_added_gets_a_page(extra: str) -> None:
    files = made()
    (page,) = ((file.src_uri, file.content_string) for file in files)
    assert page[0] == "models/lenet_extra.md"
    assert is_current(page[1], extra)
    assert "<li>Paper: *A* paper, 2026</li>" in html(files, extra)
    assert "models/lenet_extra.md" in hook.overview()


def test_a_page_that_is_missing_or_old_is_noticed() -> None:
    assert is_current(page_of("lenet"), "lenet")
    for other in ("", page_of("lenet_small")):
        assert not is_current(other, "lenet")
    for old in ("3200\\*batch", "MaxPool2d</text>", "8,490"):
        page = page_of("lenet")
        assert old in page
        assert not is_current(page.replace(old, "1", 1), "lenet")
