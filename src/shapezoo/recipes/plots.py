"""Plots, drawn with matplotlib, which ``pip install 'shapezoo[plots]'`` installs."""

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from jaxtyping import Int64
from torch import Tensor

from shapezoo._files import replacing
from shapezoo.contracts import checked

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@checked
def draw_confusion(
    confusion: Int64[Tensor, "classes classes"],
    names: Sequence[str],
    path: str | os.PathLike[str],
) -> None:
    """Draw a confusion matrix: each row is a class, shaded by the shares of the predictions.

    Args:
        confusion: How often the class of the row was predicted to be that of the column.
        names: The names of the classes.
        path: The PNG file to write.

    Raises:
        ValueError: There is not one name for each class.
        ImportError: matplotlib is not installed.
    """
    if len(names) != len(confusion):
        raise ValueError(f"names must be {len(confusion)}, one for each class, got {len(names)}")
    side = 2.5 + 0.4 * len(names)
    figure = _figure(side, side)
    shares = (confusion / confusion.sum(1, keepdim=True).clamp(min=1)).numpy()
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set(xlabel="predicted", ylabel="true")
    for row, counts in enumerate(confusion.tolist()):
        for column, count in enumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, count, ha="center", va="center", size=7, color=colour)
    _save(figure, path)


def draw_curves(
    losses: Sequence[float | None],
    test_losses: Sequence[float | None],
    accuracies: Sequence[float | None],
    path: str | os.PathLike[str],
    *,
    evaluated: str = "test",
) -> None:
    """Draw the losses over the epochs and, unless it is a regression, the accuracy.

    Values that are None or not finite, as in a training that diverged, leave gaps.

    Args:
        losses: The training loss of each epoch.
        test_losses: The test loss of each epoch.
        accuracies: The test accuracy of each epoch, from 0 to 1; None for a regression.
        path: The PNG file to write.
        evaluated: What the examples of the test losses and accuracies are called.

    Raises:
        ValueError: The sequences differ in length, or are empty.
        ImportError: matplotlib is not installed.
    """
    lengths = {len(losses), len(test_losses), len(accuracies)}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(
            f"losses ({len(losses)}), test_losses ({len(test_losses)}) and accuracies "
            f"({len(accuracies)}) must have the same length, at least one"
        )
    panels = 1 if all(accuracy is None for accuracy in accuracies) else 2
    figure = _figure(4.5 * panels, 3.5)
    loss, *others = figure.subplots(1, panels, squeeze=False)[0]
    epochs = range(1, len(losses) + 1)
    loss.plot(epochs, _finite(losses), ".-", label="training")
    loss.plot(epochs, _finite(test_losses), ".-", label=evaluated)
    loss.set(ylabel="loss")
    loss.legend()
    for accuracy in others:
        percent = [100 * value for value in _finite(accuracies)]
        accuracy.plot(epochs, percent, ".-", color="C1")  # the colour of the test loss on the left
        accuracy.set(ylabel=f"{evaluated} accuracy (%)")
    for axes in figure.axes:
        axes.set(xlabel="epoch", xlim=(0.5, len(losses) + 0.5))
        axes.locator_params(axis="x", integer=True, min_n_ticks=1)
        axes.grid(alpha=0.3)
    _save(figure, path)


def _finite(values: Sequence[float | None]) -> list[float]:
    return [value if value is not None and math.isfinite(value) else math.nan for value in values]


def _figure(width: float, height: float) -> "Figure":
    """Create an empty figure, of a size in inches.

    Raises:
        ImportError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # an extra; pyplot would open windows
    except ImportError as error:
        raise ImportError(
            "plots need matplotlib, which is not installed; use pip install 'shapezoo[plots]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained", dpi=120)


def _save(figure: "Figure", path: str | os.PathLike[str]) -> None:
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
