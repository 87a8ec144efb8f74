"""The command line: each command parses its arguments and calls one public function."""

import sys
from pathlib import Path
from typing import Literal

from cyclopts import App
from rich.console import Console

from shapezoo import __version__, recipes
from shapezoo.data import ImageError
from shapezoo.recipes import DataMismatchError
from shapezoo.runs import RunConfig, RunError
from shapezoo.train import Progress
from shapezoo.weights import WeightsError
from shapezoo.zoo import UnknownModelError, list_models, model_info

app = App(
    name="shapezoo",
    help="A PyTorch model zoo whose shapes are types.",
    version=__version__,
)

_REFUSALS = (DataMismatchError, ImageError, OSError, RunError, UnknownModelError, WeightsError)


@app.command(name="list")
def list_command(pattern: str = "*", /) -> None:
    """List the models, with what each is for and the number of its parameters.

    Args:
        pattern: Keeps the names that match, such as 'res*'.
    """
    infos = [model_info(name) for name in list_models(pattern)]
    width = max((len(info.name) for info in infos), default=0)
    for info in infos:
        print(f"{info.name:{width}}  {info.parameters:>11,}  {info.task}  {info.summary}")


@app.command
def show(model: str, /) -> None:
    """Show a model: its contract, its hyper-parameters and where it comes from.

    Args:
        model: The name of the model.
    """
    print(model_info(model))


@app.command
def train(
    model: str,
    /,
    *,
    split_by: Literal["example", "writer"] = RunConfig.split_by,
    epochs: int = RunConfig.epochs,
    batch_size: int = RunConfig.batch_size,
    lr: float = RunConfig.lr,
    seed: int = RunConfig.seed,
    run: Path | None = None,
) -> None:
    """Train a model to read handwritten digits.

    Args:
        model: The name of an image classifier.
        split_by: Draw the test set by example, or by writer, which is harder.
        epochs: How often each example is seen.
        batch_size: Examples of a step.
        lr: The learning rate of Adam.
        seed: Seeds the weights, the split and the order of the examples.
        run: The folder to write to, which must not exist; by default runs/MODEL-DATE-TIME.
    """
    print(model_info(model))
    config = RunConfig(
        model, split_by=split_by, epochs=epochs, batch_size=batch_size, lr=lr, seed=seed
    )
    with Progress(epochs, Console(highlight=False, soft_wrap=True)) as progress:
        trained = recipes.train(config, run=run, observers=[progress])
    print(f"test accuracy  {trained.test.accuracy:.2%} of {trained.test.examples} images")
    print(f"run folder     {trained.run.path}")


@app.command
def predict(run: Path, image: Path, /) -> None:
    """Classify a picture of a digit with the model of a run.

    Args:
        run: The folder that 'shapezoo train' wrote.
        image: A picture file with one digit on an even background.
    """
    prediction = recipes.predict(run, image)
    for label, probability in list(prediction.probabilities.items())[:3]:
        print(f"{label}  {probability:.1%}")


def main() -> None:
    """Run the command line; a refusal is one message and exit code 1."""
    try:
        app(sys.argv[1:])
    except _REFUSALS as error:
        print(f"shapezoo: {error}", file=sys.stderr)
        sys.exit(1)
