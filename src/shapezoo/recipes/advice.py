"""What a user can do after a training, as text: use it, train for longer, or try again."""

import contextlib
import dataclasses
import shlex
from collections.abc import Iterator
from typing import Any

from shapezoo.recipes.configuration import DataMismatchError, RunConfig
from shapezoo.recipes.resolving import configure, resolve
from shapezoo.recipes.runs import Run
from shapezoo.recipes.sources import SOURCES


def to_use(run: Run) -> str:
    """Return the command that predicts with the model of a run, or the Python that loads it."""
    source, path = SOURCES[run.config.data], str(run.path)
    if source.read is None:
        return f"from shapezoo.recipes import Run; model = Run.open({path!r}).load_model()"
    return shlex.join(["shapezoo", "predict", path, source.example])


def to_train(config: RunConfig, **changes: Any) -> str:
    """Return the command that trains with a configuration.

    It does not name the device, or hyper-parameters of the model, which the command line derives
    from the data.

    Args:
        config: The configuration.
        **changes: Attributes to change.
    """
    return shlex.join(
        ["shapezoo", "train", config.model, *_options(dataclasses.replace(config, **changes))]
    )


def after_divergence(config: RunConfig) -> str:
    """Return what to try after a training that diverged."""
    lr = float(f"{min(config.lr / 10, configure(config.model, config.data).lr):.2g}")
    command = to_train(config, lr=lr)
    return f"the training diverged; try a smaller learning rate, such as {lr:g}:\n  {command}"


def after_the_end(run: Run) -> str:
    """Return that a run has ended already, and how to train for longer."""
    done, config = len(run.metrics()), run.config
    change = {"epochs": 2 * config.epochs}
    if config.patience and done < config.epochs:
        change = {"patience": 2 * config.patience}
    return (
        f"the run has already ended, after {done} of {config.epochs} epochs; to train for longer, "
        f"start a new one:\n  {to_train(config, **change)}"
    )


def kept(run: Run) -> str:
    """Return which weights a training with patience has kept; empty without patience."""
    if (epoch := run.kept_epoch()) is None:
        return ""
    return f"those after epoch {epoch}, which has the lowest held-out loss"


def _options(config: RunConfig) -> Iterator[str]:
    """Yield the options that differ from the defaults for the model and the dataset."""
    implied = None
    with contextlib.suppress(DataMismatchError):  # no dataset is for the task of the model
        implied = resolve(config.model)[1]
    if config.data != implied:
        yield from ("--data", config.data)
    default = configure(config.model, config.data)
    for name, value in vars(config).items():
        if name in ("model", "hyperparameters", "data", "device") or value == getattr(
            default, name
        ):
            continue
        if value is not None:  # which the command line cannot pass
            yield f"--{name.replace('_', '-')}"
        if value is not None and value is not True:  # --compile has no value
            yield str(value)
