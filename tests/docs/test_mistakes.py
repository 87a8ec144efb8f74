"""The page of common mistakes shows mistakes, and tells what was really said about them."""

from pathlib import Path
from typing import Any

import pytest
from mkdocs.config import load_config

ROOT = Path(__file__).parent.parent.parent
hook = load_config(str(ROOT / "mkdocs.yml"))["hooks"]["tools/mistakes.py"]
MISTAKES = pytest.mark.parametrize("mistake", hook.MISTAKES, ids=lambda mistake: mistake.title)
RIGHT = hook.Mistake("Nothing at all", "All is well.", "lenet()(zeros(8, 1, 28, 28))")


@MISTAKES
def test_shapezoo_refuses_a_mistake_in_a_few_lines(mistake: Any) -> None:
    said = hook.with_checks(mistake)
    assert said.startswith("ShapeError: ") or "\n  module    " in said
    assert len(said.splitlines()) <= 12


def test_the_first_mistake_gets_a_note() -> None:
    said, _ = hook.without_checks(hook.MISTAKES[0])
    assert hook.with_checks(hook.MISTAKES[0]).splitlines() == [
        said,
        ("  module    classifier.1 of Digits: Linear(in_features=320, out_features=10, bias=True)"),
        "  got       Tensor float32 (batch=8, 1440)",
        "  expected  (*, in_features=320)",
        "  hint      nn.Linear(1440, 10) would accept this input",
    ]
    text = hook.render(hook.MISTAKES)
    assert text.index(hook.MISTAKES[0].title) < min(text.index(m.title) for m in hook.MISTAKES[1:])


@MISTAKES
def test_pytorch_says_something_else_or_nothing(mistake: Any) -> None:
    said, raises = hook.without_checks(mistake)
    assert "ShapeError" not in said
    assert said.startswith("No error. It returns: Tensor ") != raises


def test_pytorch_lets_at_least_four_pass() -> None:
    outcomes = [raises for _, raises in map(hook.without_checks, hook.MISTAKES)]
    assert outcomes.count(False) >= 4
    assert outcomes.count(True) >= 4


def test_a_warning_is_told_and_does_not_leak() -> None:
    call = "functional.mse_loss(zeros(8, 1), zeros(8))"
    said, raises = hook.without_checks(hook.Mistake("A loss", "It warns.", call))
    assert not raises
    assert said.startswith("No error. It returns: Tensor float32 ()\nUserWarning: Using a target")


def test_the_page_has_every_mistake_under_what_pytorch_does() -> None:
    text = hook.render(hook.MISTAKES)
    loud, silent = text.split("## PyTorch raises no error")
    for mistake in hook.MISTAKES:
        _, raises = hook.without_checks(mistake)
        part = (loud if raises else silent).split(f"### {mistake.title}\n")[1].split("\n##")[0]
        assert mistake.call in part
        assert hook.without_checks(mistake)[0] in part
        assert hook.with_checks(mistake) in part
    assert "Traceback" not in text


def test_titles_are_different() -> None:
    titles = [mistake.title for mistake in hook.MISTAKES]
    assert len(set(titles)) == len(titles)


def test_a_call_that_is_right_cannot_be_shown() -> None:
    with pytest.raises(ValueError, match="'Nothing at all' is not a mistake: shapezoo acc"):
        hook.render([*hook.MISTAKES, RIGHT])


def test_code_that_does_not_run_cannot_be_shown() -> None:
    with pytest.raises(NameError, match="le_net"):
        hook.render([hook.Mistake("A typing error", "No such name.", "le_net()")])


def test_the_hook_fills_the_page_and_leaves_others_alone() -> None:
    source = (ROOT / "docs/mistakes.md").read_text()
    assert source.count(hook.PLACEHOLDER) == 1
    shown = hook.on_page_markdown(source, page=None, config=None, files=None)
    assert hook.PLACEHOLDER not in shown
    assert hook.render(hook.MISTAKES) in shown
    other = (ROOT / "docs/contracts.md").read_text()
    assert hook.on_page_markdown(other, page=None, config=None, files=None) == other
