"""The glossary explains every axis name, and shows a model that really has it."""

import re
from pathlib import Path

import pytest
from mkdocs.config import load_config

from shapezoo import list_models, model_info
from shapezoo.contracts import AXES

ROOT = Path(__file__).parents[2]
hook = load_config(str(ROOT / "mkdocs.yml"))["hooks"]["tools/glossary.py"]
ROW = re.compile(r"^\| `(\w+)` \| (.+?) \| (.+) \|$", re.MULTILINE)
EXAMPLE = re.compile(r"`(.+)` of \[`(\w+)`\]\(models/(\w+)\.md\)")


def test_every_axis_has_a_row_with_its_meaning() -> None:
    rows = [(axis, meaning) for axis, meaning, _ in ROW.findall(hook.render())]
    assert rows == list(AXES.items())


def test_an_axis_shows_a_model_that_has_it_or_there_is_none() -> None:
    axes = {name: model_info(name).signature.axes for name in list_models()}
    for axis, _, example in ROW.findall(hook.render()):
        users = {name for name in axes if axis in axes[name]}
        if not users:
            assert example == "-"
            continue
        (found,) = EXAMPLE.findall(example)
        annotation, name, linked = found
        assert name == linked
        assert name in users
        assert annotation.removeprefix("-> ") in str(model_info(name).signature)


def test_a_name_that_contains_another_is_not_mistaken_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hook, "AXES", {"eq": "a part of seq", "seq": "positions"})
    part, whole = ROW.findall(hook.render())
    assert part[2] == "-"
    assert whole[2].endswith("(models/rnn.md)")


def test_the_hook_fills_the_page_and_leaves_others_alone() -> None:
    source = (ROOT / "docs/glossary.md").read_text("utf-8")
    assert source.count(hook.PLACEHOLDER) == 1
    shown = hook.on_page_markdown(source, page=None, config=None, files=None)
    assert hook.PLACEHOLDER not in shown
    assert hook.render() in shown
    other = (ROOT / "docs/contracts.md").read_text("utf-8")
    assert hook.on_page_markdown(other, page=None, config=None, files=None) == other
