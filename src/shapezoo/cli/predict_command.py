"""The command `predict`."""

import sys
from pathlib import Path

from shapezoo.cli.option_types import Flag
from shapezoo.cli.wrapping import print_json, print_wrapped


def predict(run: Path, example: str, /, *, device: str = "auto", json: Flag = False) -> None:
    """Classify an image, a name or the beginning of a text with the model of a run.

    The three most likely classes are printed. A note on the standard error says so if the example
    is unlike those of the training, so that the prediction is unreliable.

    Args:
        run: The folder that 'shapezoo train' wrote.
        example: An image file (of a digit on a plain background, for example), a name, or the
            beginning of a text, whose next character is predicted.
        device: The device to compute on: auto, cpu, cuda or mps.
        json: Print a JSON object with the probabilities of all classes, and the caveat if the
            prediction is unreliable.
    """
    from shapezoo import recipes

    prediction = recipes.predict(run, example, device=device)
    if json:
        print_json(vars(prediction))
        return
    for label, probability in list(prediction.probabilities.items())[:3]:
        is_visible = label.isprintable() and not label.isspace()
        print(f"{label if is_visible else repr(label)}  {probability:.1%}")
    if prediction.caveat:
        print_wrapped(f"note: the prediction is unreliable: {prediction.caveat}", sys.stderr)
