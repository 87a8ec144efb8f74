"""The pictures that the pages show are drawn, and they are pictures."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import Files

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
CONFIG = load_config(str(ROOT / "mkdocs.yml"), hooks=["tools/plots.py"])
hook = CONFIG["hooks"]["tools/plots.py"]
SVG = "{http://www.w3.org/2000/svg}"


def shown(markdown: str) -> set[tuple[str, str]]:
    """The names of the pictures of a page, each with the theme for which it is shown."""
    return set(re.findall(r"!\[[^]]+\]\(([^)]+)#only-(\w+)\)", markdown))


def test_the_pages_show_every_picture_in_both_themes() -> None:
    found = {
        (f"{page.parent.name}/{name}", theme)
        for page in ROOT.glob("docs/*/*.md")
        for name, theme in shown(page.read_text(encoding="utf-8"))
    }
    expected = {
        (f"{name}-{theme}.svg", theme) for name in hook.PICTURES for theme in ("light", "dark")
    }
    assert found == expected


def test_the_hook_adds_the_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        hook, "PICTURES", ("course/activations", "course/optimizers")
    )  # names take long
    files = CONFIG.plugins.on_files(Files([]), config=CONFIG)
    drawn = {file.src_uri: file.content_string for file in files}
    assert set(drawn) == {
        f"{name}-{theme}.svg" for name in hook.PICTURES for theme in ("light", "dark")
    }
    for svg in drawn.values():
        root = ElementTree.fromstring(svg)
        assert root.tag == f"{SVG}svg"
        assert float(root.attrib["width"].removesuffix("pt")) < 520  # a page is 690 pixels wide
        assert len(list(root.iter(f"{SVG}path"))) > 50
    assert len(set(drawn.values())) == len(drawn)


def test_a_picture_is_the_same_at_every_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook, "PICTURES", ("course/activations",))
    assert list(hook.pictures()) == list(hook.pictures())


def test_a_picture_for_one_theme_only_is_noticed() -> None:
    assert shown("![A](a.svg#only-light)\n![A](b.svg)") == {("a.svg", "light")}
