"""Pictures that a run leaves behind."""

import math
import sys
from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image

from shapezoo.recipes.plots import draw_confusion, draw_curves

LOSSES, TEST_LOSSES, ACCURACIES = [2.0, 1.0, 0.5], [2.5, 1.5, 1.0], [0.25, 0.5, 0.75]


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """What is drawn from here on."""
    drawn: list[Figure] = []
    save = Figure.savefig

    def remember(figure: Figure, path: Path, format: str) -> None:  # noqa: A002
        drawn.append(figure)
        save(figure, path, format=format)

    monkeypatch.setattr(Figure, "savefig", remember)
    return drawn


def curves(figure: Figure) -> dict[str, list[list[float]]]:
    """The values of each panel's lines, by its label."""
    return {
        axes.get_ylabel(): [list(map(float, line.get_ydata())) for line in axes.lines]  # type: ignore[arg-type]  # a list, as it was drawn
        for axes in figure.axes
    }


def test_the_losses_and_the_accuracy_are_drawn_over_the_epochs(
    tmp_path: Path, figures: list[Figure]
) -> None:
    draw_curves(LOSSES, TEST_LOSSES, ACCURACIES, tmp_path / "curves.png")
    assert curves(figures[0]) == {
        "loss": [LOSSES, TEST_LOSSES],
        "test accuracy (%)": [[25.0, 50.0, 75.0]],
    }
    for axes in figures[0].axes:
        assert axes.get_xlabel() == "epoch"
        assert list(axes.lines[0].get_xdata()) == [1, 2, 3]  # type: ignore[arg-type]  # as above
    legend = figures[0].axes[0].get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["training", "test"]
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == (1080, 420)


def test_a_regression_has_no_accuracy(tmp_path: Path, figures: list[Figure]) -> None:
    draw_curves(LOSSES, TEST_LOSSES, [None] * 3, tmp_path / "curves.png")
    assert curves(figures[0]) == {"loss": [LOSSES, TEST_LOSSES]}


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_a_training_that_diverged_is_drawn_with_gaps(
    value: float | None, tmp_path: Path, figures: list[Figure]
) -> None:
    draw_curves([2.0, 3e38, value], [value] * 3, [0.5, 0.1, value], tmp_path / "curves.png")
    drawn = curves(figures[0])
    assert drawn["loss"][0][:2] == [2.0, 3e38]
    gaps = [*drawn["loss"][1], drawn["loss"][0][2], drawn["test accuracy (%)"][0][2]]
    assert all(math.isnan(gap) for gap in gaps)


def test_one_epoch_is_drawn(tmp_path: Path, figures: list[Figure]) -> None:
    draw_curves([1.0], [2.0], [0.5], tmp_path / "curves.png")
    assert [tick for tick in figures[0].axes[0].get_xticks() if 0.5 <= tick <= 1.5] == [1]


@pytest.mark.parametrize(
    ("losses", "accuracies", "counts"),
    [([1.0], [None], (1, 3, 1)), ([1.0] * 3, [], (3, 3, 0))],
)
def test_each_epoch_must_have_its_values(
    losses: list[float], accuracies: list[None], counts: tuple[int, int, int], tmp_path: Path
) -> None:
    message = r"losses \({}\), test_losses \({}\) and accuracies \({}\)".format(*counts)
    with pytest.raises(ValueError, match=message):
        draw_curves(losses, TEST_LOSSES, accuracies, tmp_path / "curves.png")


def test_there_must_be_an_epoch(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least one"):
        draw_curves([], [], [], tmp_path / "curves.png")


def test_every_class_must_have_its_name(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="names must be 2, one for each class, got 1"):
        draw_confusion(torch.eye(2, dtype=torch.int64), ["no"], tmp_path / "confusion.png")


def test_without_matplotlib_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    hint = r"use pip install 'shapezoo\[plots\]'"
    with pytest.raises(ImportError, match=hint):
        draw_curves(LOSSES, TEST_LOSSES, ACCURACIES, tmp_path / "curves.png")
    with pytest.raises(ImportError, match=hint):
        draw_confusion(torch.eye(2, dtype=torch.int64), "ab", tmp_path / "confusion.png")
    assert not list(tmp_path.iterdir())
