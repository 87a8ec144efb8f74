"""The table of the smallest images is true."""

from pathlib import Path

import pytest
from mkdocs.config import load_config

ROOT = Path(__file__).parents[2]
hook = load_config(str(ROOT / "mkdocs.yml"))["hooks"]["tools/smallest_images.py"]


def test_limits_that_are_known_otherwise() -> None:
    """From `benchmarks/peers.py`, which tries all sizes, and from the papers' strides."""
    expected = {"alexnet": (63, 63, 63), "vgg16": (32, 32, 32), "inception_v3": (75, 299, 75)}
    assert {name: hook.sizes(name) for name in expected} == expected


def test_a_stated_size_that_is_wrong_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"vgg11": (32, 33, 99), "resnet18": (1, 1, 1), "resnet34": (1, 1, 1)}
    monkeypatch.setattr(hook, "list_models", lambda **_: list(found))
    monkeypatch.setattr(hook, "sizes", found.__getitem__)
    text = hook.on_page_markdown(f"before\n{hook.PLACEHOLDER}\nafter")
    assert "For 1 of 3 models" in text
    assert "| `vgg11` | **32** | 33 | **99** |\n| `resnet18`, `resnet34` | 1 | 1 | 1 |" in text


def test_the_page_of_the_models_has_the_table() -> None:
    assert hook.PLACEHOLDER in (ROOT / "docs/models.md").read_text()
