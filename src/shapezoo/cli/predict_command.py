"""The command `predict`."""

import sys
from pathlib import Path

from shapezoo.cli.wrapping import print_wrapped


def predict(run: Path, example: str, /, *, device: str = "auto") -> None:
    """Classify an image, a name or the beginning of a text with the model of a run.

    Args:
        run: The folder that 'shapezoo train' wrote.
        example: An image file (of a digit on a plain background, for example), a name, or the
            beginning of a text, whose next character is predicted.
        device: The device to compute on: auto, cpu, cuda or mps.
    """
    from shapezoo import recipes

    prediction = recipes.predict(run, example, device=device)
    for label, probability in list(prediction.probabilities.items())[:3]:
        print(f"{label if label.isprintable() else repr(label)}  {probability:.1%}")
    if prediction.caveat:
        print_wrapped(f"note: the prediction means little: {prediction.caveat}", sys.stderr)
