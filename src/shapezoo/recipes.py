"""Whole jobs: train a model of the zoo on a dataset, and classify a picture with the result."""

import functools
import os
from dataclasses import dataclass
from typing import Literal

import torch
from rich.console import Console

from shapezoo.contracts import signature
from shapezoo.data import digits, read_digit
from shapezoo.data.handwriting import CLASSES
from shapezoo.runs import Run, RunConfig
from shapezoo.train import Metrics, Progress, evaluate, fit, init, install
from shapezoo.zoo import create_model, model_info


class DataMismatchError(ValueError):
    """A model cannot take the inputs that a dataset gives."""


@dataclass(frozen=True)
class Trained:
    """The outcome of `train`.

    Attributes:
        run: The folder with all that the run wrote.
        test: How well the model does on the test set.
    """

    run: Run
    test: Metrics


@dataclass(frozen=True)
class Prediction:
    """The outcome of `predict`.

    Attributes:
        label: The likeliest class.
        probabilities: The probability of every class, likeliest first; they sum to 1.
    """

    label: str
    probabilities: dict[str, float]


def train(
    model: str,
    *,
    split_by: Literal["example", "writer"] = "example",
    epochs: int = 10,
    batch_size: int = 32,
    lr: float = 0.002,
    seed: int = 0,
    run: str | os.PathLike[str] | None = None,
    console: Console | None = None,
) -> Trained:
    """Train a model of the zoo to read handwritten digits, with Adam.

    The same arguments give the same weights on the same machine. Torch's global random state
    is left as it was.

    Args:
        model: The name of an image classifier, one of `list_models`.
        split_by: Whether the test set is drawn by ``"example"`` or, which is harder, by
            ``"writer"``.
        epochs: How often each example is seen.
        batch_size: Examples of a step.
        lr: The learning rate.
        seed: Seeds the weights, the split and the order of the examples.
        run: The folder to write to, which must not exist; without it ``runs/MODEL-DATE-TIME``.
        console: Where to show the progress.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: The model cannot take the images.
        RunError: A number is out of its range, or the run folder exists already or cannot be
            made.
    """
    data = digits(split_by=split_by, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = create_model(model)
        contract = signature(network)
        if not contract.accepts(*data.train.input_shapes):
            came = ", ".join(
                f"({', '.join('batch' if size is None else str(size) for size in shape)})"
                for shape in data.train.input_shapes
            )
            raise DataMismatchError(
                f"model {model!r} does not fit the data\n  the model takes  {contract}\n"
                f"  digits gives     {came}"
            )
        config = RunConfig(
            model,
            model_info(model).hyperparameters,
            "digits",
            split_by,
            epochs,
            batch_size,
            optimizer="adam",
            lr=lr,
            seed=seed,
        )
        folder = Run.create(config, run)
        make_optimizer = functools.partial(torch.optim.Adam, lr=lr)
        with Progress(epochs, console or Console()) as progress:
            state = fit(
                network,
                make_optimizer,
                init(network, make_optimizer),
                data.train,
                data.test,
                epochs=epochs,
                batch_size=batch_size,
                generator=torch.Generator().manual_seed(seed),
                observers=[progress, folder.log],
            )
    install(network, state)
    folder.save_model(network)
    return Trained(folder, evaluate(network, state, data.test.batches(batch_size)))


def predict(run: str | os.PathLike[str], image: str | os.PathLike[str]) -> Prediction:
    """Classify a picture with the model that a run trained.

    Args:
        run: The folder of the run.
        image: A picture file with one digit on an even background.

    Raises:
        RunError: There is no such run.
        WeightsError: The run has no weights, because it did not end.
        ImageError: The picture cannot be read, or is blank.
    """
    model = Run.open(run).load_model()
    with torch.no_grad():
        probabilities = model(read_digit(image)).softmax(dim=1)[0]
    order = probabilities.argsort(descending=True).tolist()
    named = {CLASSES[index]: float(probabilities[index]) for index in order}
    return Prediction(next(iter(named)), named)
