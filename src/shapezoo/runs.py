"""The folder of a training run: what was asked for, how it went, and what came out.

- ``config.json``: the exact configuration,
- ``metrics.jsonl``: one JSON object for each epoch,
- ``model.safetensors``: the trained weights,
- ``confusion.tsv``: how often each class (row) was taken for each (column) in the test,
- ``confusion.png``: a picture of it, where matplotlib is installed.
"""

import dataclasses
import importlib.util
import json
import math
import os
import platform
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import torch
from beartype.door import is_bearable
from torch import Tensor, nn

import shapezoo.weights
from shapezoo import __version__
from shapezoo._files import replacing
from shapezoo.contracts import Module
from shapezoo.contracts.matching import CONF
from shapezoo.plots import draw_confusion
from shapezoo.sources import SOURCES
from shapezoo.train import OPTIMIZERS, EpochDone, Event
from shapezoo.zoo import create_model


class RunError(ValueError):
    """A run cannot be configured, or its folder cannot be made or read."""


@dataclass(frozen=True)
class RunConfig:
    """All that decides the outcome of a run, given the versions that are recorded with it.

    Attributes:
        model: The name of the model.
        hyperparameters: Keywords of its builder; those that are missing have their defaults.
        data: The name of the dataset.
        split_by: How the test set of digits is drawn; by ``"writer"`` is harder than by
            ``"example"``, which is the only way for names.
        epochs: How often each example is seen.
        batch_size: Examples of a step.
        optimizer: The name of the optimizer, one of `shapezoo.train.OPTIMIZERS`.
        lr: The learning rate.
        seed: Seeds the weights, the split and the order of the examples.
        device: What to compute on, as `shapezoo.train.choose_device` takes it.

    Raises:
        RunError: A value is of the wrong type or out of its range.
    """

    model: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    data: str = "digits"
    split_by: Literal["example", "writer"] = "example"
    epochs: int = 10
    batch_size: int = 32
    optimizer: str = "adam"
    lr: float = 0.002
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, kind in typing.get_type_hints(RunConfig).items():
            if not is_bearable(value := getattr(self, name), kind, conf=CONF):
                options = " or ".join(map(repr, typing.get_args(kind)))
                expected = options if typing.get_origin(kind) is Literal else kind.__name__
                raise RunError(f"{name} must be {expected}, got {value!r}")
        for name, least in {"epochs": 1, "batch_size": 1, "seed": 0}.items():
            if (value := getattr(self, name)) < least:
                raise RunError(f"{name} must be at least {least}, got {value}")
            if value >= 2**31:
                raise RunError(f"{name} must be below 2**31, got {value}")
        if not 0 < self.lr < math.inf:
            raise RunError(f"lr must be positive and finite, got {self.lr}")
        for name, known in (("data", SOURCES), ("optimizer", OPTIMIZERS)):
            if (value := getattr(self, name)) not in known:
                raise RunError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if self.split_by == "writer" and self.data != "digits":
            raise RunError(f"split_by='writer' is for digits; {self.data} have no writers")


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: The folder.
        config: What the run was asked for.
    """

    path: Path
    config: RunConfig

    @classmethod
    def create(cls, config: RunConfig, path: str | os.PathLike[str] | None = None) -> "Run":
        """Make the folder of a new run and write its configuration there.

        Args:
            config: What the run is asked for.
            path: The folder, which must not exist; without it ``runs/MODEL-DATE-TIME``.

        Raises:
            RunError: The folder exists already or cannot be made.
        """
        try:
            folder = _new_folder(config.model) if path is None else Path(path)
            folder.mkdir(parents=True, exist_ok=path is None)
        except FileExistsError as error:
            raise RunError(f"{str(path)!r} exists already; choose another folder") from error
        except OSError as error:
            raise RunError(f"the folder of the run cannot be made: {error}") from error
        versions = {
            "shapezoo": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
        record = dataclasses.asdict(config) | {"versions": versions}
        with replacing(folder / "config.json") as temporary:
            temporary.write_text(json.dumps(record, indent=2) + "\n")
        return cls(folder, config)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Run":
        """Read the folder of a run.

        Raises:
            RunError: It is no run folder.
        """
        file = Path(path) / "config.json"
        try:
            record = json.loads(file.read_text())
            known = {part.name for part in dataclasses.fields(RunConfig)}
            settings = {name: record[name] for name in record.keys() & known}
            return cls(Path(path), RunConfig(**settings))
        except OSError as error:
            raise RunError(f"{os.fspath(path)!r} is no run folder: {error}") from error
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise RunError(f"{str(file)!r} is no configuration of a run: {error!r}") from error

    def log(self, event: Event) -> None:
        """Append the figures of an epoch to the metrics; other events pass."""
        if isinstance(event, EpochDone):
            with (self.path / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(_finite(dataclasses.asdict(event))) + "\n")

    def save_confusion(self, confusion: Tensor, classes: Sequence[str]) -> None:
        """Write a confusion matrix as a table, and as a picture where matplotlib is installed."""
        rows = zip(("", *classes), [list(classes), *confusion.tolist()], strict=True)
        text = "".join("\t".join(map(str, (name, *row))) + "\n" for name, row in rows)
        with replacing(self.path / "confusion.tsv") as temporary:
            temporary.write_text(text)
        if importlib.util.find_spec("matplotlib"):
            draw_confusion(confusion, classes, self.path / "confusion.png")

    def save_model(self, model: nn.Module) -> None:
        """Write the weights of a model."""
        shapezoo.weights.save(model, self.path / "model.safetensors")

    def load_model(self) -> Module:
        """Build the model of this run, with its trained weights, in evaluation mode.

        Raises:
            UnknownModelError: There is no such model (any more).
            RunError: The model does not take these hyper-parameters.
            WeightsError: The weights are missing or do not fit the model.
        """
        try:
            model = create_model(self.config.model, **self.config.hyperparameters)
        except (TypeError, ValueError, RuntimeError) as error:
            raise RunError(f"{str(self.path)!r}: the model cannot be built: {error}") from error
        shapezoo.weights.load(model, self.path / "model.safetensors")
        return model.eval()


def _new_folder(model: str) -> Path:
    """Make a folder that is named after the model and the time, and numbered where that exists."""
    folder = first = Path("runs") / f"{model}-{datetime.now():%Y%m%d-%H%M%S}"
    number = 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = first.with_name(f"{first.name}-{number}")
        else:
            return folder


def _finite(value: Any) -> Any:
    """The same with null for what is no number, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
