"""Measure how far the probabilities of `shapezoo predict` can be trusted, also for nonsense.

Run `python benchmarks/predictions.py NAMES DIGITS` with the folders of two runs, of `shapezoo train
names` and of `shapezoo train digits`, with the default seed.
"""

import random
import string
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import matplotlib
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from shapezoo.data import digits, encode_names, names, read_digit
from shapezoo.data.surnames import decode_names
from shapezoo.recipes import Run
from shapezoo.recipes.familiarity import unlike_digits, unlike_names

BINS = 15
EXAMPLES = 1000


def calibration_error(probabilities: Tensor, labels: Tensor) -> float:
    """Return the expected calibration error with bins of equal width (Guo et al. 2017, eq. 3)."""
    confidence, predicted = probabilities.max(1)
    correct = (predicted == labels).double()
    bins = (confidence * BINS).ceil().long().clamp(1, BINS) - 1
    gaps = torch.zeros(BINS, dtype=torch.float64).index_add(0, bins, correct - confidence.double())
    return float(gaps.abs().sum() / len(labels))


def measure_names(run: Run) -> None:
    """Print the accuracy and calibration on test names, and what becomes of nonsense."""
    train, test = names(seed=run.config.seed)
    model, temperature = run.load_model(), run.temperature()
    spelled = decode_names(test.names.tokens, test.names.lengths)
    with torch.no_grad():
        logits = model(test.names.tokens, test.names.lengths)
    accuracy = (logits.argmax(1) == test.labels).double().mean()
    print(f"accuracy {accuracy:.2%}, temperature {temperature:.3f}")
    for name, divisor in (("without", 1.0), ("with", temperature)):
        error = calibration_error((logits / divisor).softmax(1), test.labels)
        print(f"expected calibration error {name} temperature scaling: {error:.4f}")
    rng = random.Random(0)
    letters = "".join(decode_names(train.names.tokens, train.names.lengths)).lower()
    letters = "".join(filter(str.isalpha, letters))

    def drawn(alphabet: str) -> list[str]:
        words = ("".join(rng.choices(alphabet, k=rng.randint(4, 10))) for _ in range(EXAMPLES))
        return [word.title() for word in words]

    for kind, words in {
        "test names": spelled,
        "random letters": drawn(string.ascii_lowercase),
        "letters as frequent as in names": drawn(letters),
        "test names in random order": [
            "".join(rng.sample(name.lower(), len(name))).title()
            for name in spelled[:EXAMPLES]
            if name.isalpha()
        ],
    }.items():
        encoded = [encode_names([word]) for word in words]
        with torch.no_grad():
            outputs = torch.cat([model(each.tokens, each.lengths) for each in encoded])
        report(
            kind,
            (outputs / temperature).softmax(1),
            [unlike_names((each.tokens, each.lengths), train) for each in encoded],
        )


def measure_digits(run: Run) -> None:
    """Print what becomes of pictures of digits, letters, scribbles and noise."""
    train, test = digits(split_by=run.config.split_by, seed=run.config.seed)
    model, rng = run.load_model(), np.random.default_rng(0)
    fonts = sorted(Path(matplotlib.get_data_path(), "fonts/ttf").glob("DejaVuSans*.ttf"))
    sizes = [font for font in fonts if "Display" not in font.name]

    def letter(number: int) -> Image.Image:
        page = Image.new("L", (200, 200), 255)
        text = "ABCEFGHJKLMNPRTUVWXYabdefhkmnprtwy?&#@"[number // len(sizes)]
        font = ImageFont.truetype(sizes[number % len(sizes)], 120)
        ImageDraw.Draw(page).text((60, 30), text, fill=0, font=font)
        return page

    def scribble(_: int) -> Image.Image:
        page = Image.new("L", (200, 200), 255)
        points = [(float(x), float(y)) for x, y in rng.integers(20, 180, (8, 2))]
        ImageDraw.Draw(page).line(points, fill=0, width=8)
        return page

    def noise(_: int) -> Image.Image:
        return Image.fromarray(rng.integers(256, size=(60, 60)).astype(np.uint8))

    def digit(number: int) -> Image.Image:
        return Image.fromarray(test.images[number, 0].numpy())

    kinds: dict[str, tuple[Callable[[int], Image.Image], int]] = {
        "test digits": (digit, len(test)),
        "printed letters": (letter, 38 * len(sizes)),
        "scribbles of seven lines": (scribble, 300),
        "noise": (noise, 300),
    }
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "picture.png")
        for kind, (draw, count) in kinds.items():
            images = []
            for number in range(count):
                draw(number).save(file)
                images.append(read_digit(file))
            with torch.no_grad():
                probabilities = model(torch.cat(images)).softmax(1)
            report(kind, probabilities, [unlike_digits((image,), train) for image in images])


def report(kind: str, probabilities: Tensor, caveats: Sequence[str | None]) -> None:
    """Print a row of a Markdown table."""
    sure = (probabilities.max(1).values > 0.9).double().mean()
    flagged = 1 - caveats.count(None) / len(caveats)
    print(f"| {kind} | {sure:.1%} | {flagged:.1%} |", flush=True)


def main(arguments: Sequence[str]) -> None:
    """Print all figures."""
    torch.set_num_threads(1)
    run_of_names, run_of_digits = map(Run.open, arguments)
    measure_names(run_of_names)
    measure_digits(run_of_digits)


if __name__ == "__main__":
    main(sys.argv[1:])
