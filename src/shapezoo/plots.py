"""Pictures, drawn with matplotlib, which ``pip install 'shapezoo[plots]'`` installs."""

import os
from collections.abc import Sequence

from jaxtyping import Int64
from torch import Tensor

from shapezoo._files import replacing
from shapezoo.contracts import checked


@checked
def draw_confusion(
    confusion: Int64[Tensor, "classes classes"],
    names: Sequence[str],
    path: str | os.PathLike[str],
) -> None:
    """Draw a confusion matrix: each row is a class, shaded by what its examples were taken for.

    Args:
        confusion: How often the class of the row was taken for that of the column.
        names: The names of the classes.
        path: Where to write the picture, as PNG.

    Raises:
        ValueError: There are more or fewer names than classes.
        ImportError: matplotlib is not installed.
    """
    if len(names) != len(confusion):
        raise ValueError(f"names must be {len(confusion)}, one for each class, got {len(names)}")
    try:
        from matplotlib.figure import Figure  # an extra; without pyplot, no window is opened
    except ImportError as error:
        raise ImportError(
            "pictures need matplotlib, which is not installed; use pip install 'shapezoo[plots]'"
        ) from error

    shares = (confusion / confusion.sum(1, keepdim=True).clamp(min=1)).numpy()
    side = 2.5 + 0.4 * len(names)
    figure = Figure(figsize=(side, side), layout="constrained", dpi=120)
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(names)), names, rotation=90, parse_math=False)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set(xlabel="taken for", ylabel="is")
    for row, counts in enumerate(confusion.tolist()):
        for column, count in enumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.5 else "black"
                axes.text(column, row, count, ha="center", va="center", size=7, color=colour)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png")
