"""Predicting with the model of a run."""

import math
import os
from dataclasses import dataclass

import torch

from shapezoo.contracts import signature
from shapezoo.recipes.advice import after_divergence, to_use
from shapezoo.recipes.configuration import DataMismatchError, RunError
from shapezoo.recipes.jobs import require_fit
from shapezoo.recipes.runs import Run, resume_command
from shapezoo.recipes.sources import SOURCES, Example
from shapezoo.recipes.training import are_diverged, as_number
from shapezoo.train import choose_device


@dataclass(frozen=True)
class Prediction:
    """The outcome of `predict`.

    Attributes:
        label: The most likely class.
        probabilities: The probability of every class, the most likely first; they sum to 1.
        caveat: Why the prediction is unreliable: the example is unlike the training examples. None
            if it is not, or if that is not known for the dataset.
    """

    label: str
    probabilities: dict[str, float]
    caveat: str | None = None


def predict(run: str | os.PathLike[str], example: Example, *, device: str = "auto") -> Prediction:
    """Classify an example with the model that a run trained.

    If the training held out examples (`RunConfig.patience`), the probabilities are calibrated on
    them by temperature scaling (arXiv:1706.04599).

    Args:
        run: The folder of the run.
        example: An example like those of the run's dataset: for images the path of an image file,
            with one digit on a plain background, or light clothes on black; for names a name; for
            texts the beginning of one, whose next character is predicted.
        device: The device to compute on, as for `shapezoo.train.choose_device`.

    Raises:
        RunError: There is no such run, it has not ended, or its training diverged.
        DataMismatchError: The run's model does not accept such examples.
        DeviceError: There is no such device.
        UnknownModelError: There is no such model (any more).
        WeightsError: The weights of the run are damaged.
        ImageError: The image cannot be read, or that of a digit is blank.
        SequenceError: The name or text is empty, or has characters that the model does not know.
    """
    opened = Run.open(run)
    config = opened.config
    source = SOURCES[config.data]
    if source.read is None:
        raise DataMismatchError(
            f"{os.fspath(run)!r} was trained on {config.data}, but predict reads only images, "
            f"names and texts; use the model in Python:\n  {to_use(opened)}"
        )
    if not opened.has_ended:
        raise RunError(
            f"{os.fspath(run)!r} has no trained model: its training has not ended; to continue "
            f"it:\n  {resume_command(run)}"
        )
    model = opened.load_model().to(chosen := choose_device(device))
    inputs = source.read(example, opened.classes)
    require_fit(config, signature(model), inputs, opened.classes, len(opened.classes))
    with torch.no_grad():
        logits = model(*(tensor.to(chosen) for tensor in inputs)).flatten(0, -2)[-1]
    probabilities = (logits / opened.temperature()).softmax(dim=0)
    if probabilities.isnan().any() or _has_diverged(opened):
        raise RunError(f"{os.fspath(run)!r}: {after_divergence(config)}")
    order = probabilities.argsort(descending=True).tolist()
    by_class = {opened.classes[index]: float(probabilities[index]) for index in order}
    caveat = None
    if source.unlike is not None:
        train, _ = source.load(
            split_by=config.split_by, seed=config.seed, root=config.root, download=False
        )
        caveat = source.unlike(inputs, train)
    return Prediction(next(iter(by_class)), by_class, caveat)


def _has_diverged(run: Run) -> bool:
    """Whether the recorded losses are those of a training that diverged."""
    records = run.metrics()
    if kept := run.kept_epoch():
        records = [record for record in records if record["epoch"] == kept]
    if not records:
        return False
    test_loss, loss = as_number(records[-1]["test"]["loss"]), as_number(records[-1]["loss"])
    return are_diverged(math.log(len(run.classes)), test_loss, loss)
