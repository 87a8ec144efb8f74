"""Whole jobs: train a model of the zoo on a dataset, and classify a picture with the result."""

import functools
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch

from shapezoo.contracts import Signature, TensorType, signature
from shapezoo.data import digits, read_digit
from shapezoo.data.handwriting import CLASSES
from shapezoo.runs import Run, RunConfig
from shapezoo.train import Event, Metrics, evaluate, fit, init, install
from shapezoo.zoo import create_model, model_info


class DataMismatchError(ValueError):
    """A model cannot take the inputs that a dataset gives, or has other classes."""


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
    config: RunConfig,
    *,
    run: str | os.PathLike[str] | None = None,
    observers: Sequence[Callable[[Event], None]] = (),
) -> Trained:
    """Train an image classifier of the zoo to read handwritten digits.

    The same configuration gives the same weights on the same machine. Torch's global random
    state is left as it was.

    Args:
        config: What to train, and how.
        run: The folder to write to, which must not exist; without it ``runs/MODEL-DATE-TIME``.
        observers: Called with each event of the training, such as a
            `shapezoo.train.Progress`.

    Raises:
        UnknownModelError: There is no such model.
        DataMismatchError: The model cannot take the images, or has another number of classes.
        RunError: The run folder exists already or cannot be made.
    """
    defaults = model_info(config.model).hyperparameters
    config = replace(config, hyperparameters=defaults | config.hyperparameters)
    data = digits(split_by=config.split_by, seed=config.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = create_model(config.model, **config.hyperparameters)
        _require_fit(config, signature(model), data.train.input_shapes, data.train.classes)
        folder = Run.create(config, run)
        make_optimizer = functools.partial(torch.optim.Adam, lr=config.lr)
        state = fit(
            model,
            make_optimizer,
            init(model, make_optimizer),
            data.train,
            data.test,
            epochs=config.epochs,
            batch_size=config.batch_size,
            generator=torch.Generator().manual_seed(config.seed),
            observers=[*observers, folder.log],
        )
    install(model, state)
    folder.save_model(model)
    return Trained(folder, evaluate(model, state, data.test.batches(config.batch_size)))


def predict(run: str | os.PathLike[str], image: str | os.PathLike[str]) -> Prediction:
    """Classify a picture with the model that a run trained.

    Args:
        run: The folder of the run.
        image: A picture file with one digit on an even background.

    Raises:
        RunError: There is no such run.
        DataMismatchError: The run's model does not read digits.
        WeightsError: The run has no weights, because it did not end.
        ImageError: The picture cannot be read, or is blank.
    """
    opened = Run.open(run)
    model = opened.load_model()
    images = read_digit(image)
    _require_fit(opened.config, signature(model), (tuple(images.shape),), CLASSES)
    with torch.no_grad():
        probabilities = model(images).softmax(dim=1)[0]
    order = probabilities.argsort(descending=True).tolist()
    named = {CLASSES[index]: float(probabilities[index]) for index in order}
    return Prediction(next(iter(named)), named)


def _require_fit(
    config: RunConfig,
    contract: Signature,
    shapes: tuple[tuple[int | None, ...], ...],
    classes: tuple[str, ...],
) -> None:
    """Refuse a model that cannot take inputs of these shapes, or does not score these classes."""
    output = contract.output
    sizes = [axis.fixed for axis in output.axes] if isinstance(output, TensorType) else []
    if contract.accepts(*shapes) and sizes[1:] == [len(classes)]:
        return
    came = ", ".join("batch" if size is None else str(size) for size in shapes[0])
    raise DataMismatchError(
        f"model {config.model!r} does not fit the data\n"
        f"  the model is  {contract}\n"
        f"  {config.data} has    ({came}) and {len(classes)} classes"
    )
