"""The command line: each command parses its arguments and calls one public function."""

import io
import sys
from pathlib import Path
from typing import Literal

from cyclopts import App
from rich.console import Console

from shapezoo import __version__, recipes
from shapezoo.data import ImageError
from shapezoo.layers import SequenceError
from shapezoo.recipes import DataMismatchError
from shapezoo.runs import RunConfig, RunError
from shapezoo.sources import SOURCES
from shapezoo.train import DeviceError, Progress
from shapezoo.weights import WeightsError
from shapezoo.zoo import UnknownModelError, list_models, model_info

app = App(
    name="shapezoo",
    help="A PyTorch model zoo whose shapes are types.",
    version=__version__,
)

_REFUSALS = (
    DataMismatchError,
    DeviceError,
    ImageError,
    OSError,
    RunError,
    SequenceError,
    UnknownModelError,
    WeightsError,
)


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
    data: str | None = None,
    split_by: Literal["example", "writer"] = RunConfig.split_by,
    epochs: int = RunConfig.epochs,
    batch_size: int = RunConfig.batch_size,
    optimizer: str = RunConfig.optimizer,
    lr: float = RunConfig.lr,
    seed: int = RunConfig.seed,
    device: str = "auto",
    run: Path | None = None,
) -> None:
    """Train a classifier on data that come with shapezoo.

    Args:
        model: The name of a model; or of a dataset, for the model that suits it.
        data: The name of the dataset: digits or names; by default the one for the model's task.
        split_by: Draw the test digits by example, or by writer, which is harder.
        epochs: How often each example is seen.
        batch_size: Examples of a step.
        optimizer: Its name, such as adam or sgd.
        lr: The learning rate.
        seed: Seeds the weights, the split and the order of the examples.
        device: What to compute on: auto, cpu, cuda or mps.
        run: The folder to write to, which must not exist; by default runs/MODEL-DATE-TIME.
    """
    name, source = recipes.resolve(model, data)
    config = RunConfig(
        name,
        data=source,
        split_by=split_by,
        epochs=epochs,
        batch_size=batch_size,
        optimizer=optimizer,
        lr=lr,
        seed=seed,
        device=device,
    )
    print(model_info(config.model))
    with Progress(epochs, Console(highlight=False, soft_wrap=True)) as progress:
        trained = recipes.train(config, run=run, observers=[progress])
    noun = SOURCES[config.data].noun
    print(f"test accuracy  {trained.test.accuracy:.2%} of {trained.test.examples} {noun}")
    print(f"run folder     {trained.run.path}")
    if not (trained.run.path / "confusion.png").exists():
        print("for a picture of confusion.tsv: pip install 'shapezoo[plots]'")


@app.command
def predict(run: Path, example: str, /, *, device: str = "auto") -> None:
    """Classify a picture of a digit, or a name, with the model of a run.

    Args:
        run: The folder that 'shapezoo train' wrote.
        example: A picture file with one digit on an even background, or a name.
        device: What to compute on: auto, cpu, cuda or mps.
    """
    prediction = recipes.predict(run, example, device=device)
    for label, probability in list(prediction.probabilities.items())[:3]:
        print(f"{label}  {probability:.1%}")


def main() -> None:
    """Run the command line; a refusal is one message and exit code 1."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a name from a paper must not stop a console
    try:
        app(sys.argv[1:])
    except _REFUSALS as error:
        print(f"shapezoo: {error}", file=sys.stderr)
        sys.exit(1)
