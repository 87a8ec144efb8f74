"""The folder of a training run: what was asked for, how it went, and what came out.

- ``config.json``: the exact configuration,
- ``metrics.jsonl``: one JSON object for each epoch,
- ``model.safetensors``: the trained weights.
"""

import dataclasses
import itertools
import json
import math
import os
import platform
import typing
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import torch
from beartype.door import is_bearable
from torch import nn

import shapezoo.weights
from shapezoo import __version__
from shapezoo._files import replacing
from shapezoo.contracts import Module
from shapezoo.contracts.matching import CONF
from shapezoo.train import EpochDone, Event
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
        split_by: How the test set is drawn; by ``"writer"`` is harder than by ``"example"``.
        epochs: How often each example is seen.
        batch_size: Examples of a step.
        optimizer: The name of the optimizer.
        lr: The learning rate.
        seed: Seeds the weights, the split and the order of the examples.

    Raises:
        RunError: A value is of the wrong type or out of its range.
    """

    model: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    data: Literal["digits"] = "digits"
    split_by: Literal["example", "writer"] = "example"
    epochs: int = 10
    batch_size: int = 32
    optimizer: Literal["adam"] = "adam"
    lr: float = 0.002
    seed: int = 0

    def __post_init__(self) -> None:
        for name, kind in typing.get_type_hints(RunConfig).items():
            if not is_bearable(value := getattr(self, name), kind, conf=CONF):
                expected = kind.__name__ if isinstance(kind, type) else kind
                raise RunError(f"{name} must be {expected}, got {value!r}")
        for name, least in {"epochs": 1, "batch_size": 1, "seed": 0}.items():
            if (value := getattr(self, name)) < least:
                raise RunError(f"{name} must be at least {least}, got {value}")
            if value >= 2**31:
                raise RunError(f"{name} must be below 2**31, got {value}")
        if not 0 < self.lr < math.inf:
            raise RunError(f"lr must be positive and finite, got {self.lr}")


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
        folder = _new_folder(config.model) if path is None else Path(path)
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            raise RunError(f"{str(folder)!r} exists already; choose another folder") from error
        except OSError as error:
            raise RunError(f"{str(folder)!r} cannot be made: {error}") from error
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
            names = [part.name for part in dataclasses.fields(RunConfig)]
            return cls(Path(path), RunConfig(**{name: record[name] for name in names}))
        except OSError as error:
            raise RunError(f"{os.fspath(path)!r} is no run folder: {error}") from error
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise RunError(f"{str(file)!r} is no configuration of a run: {error!r}") from error

    def log(self, event: Event) -> None:
        """Append the figures of an epoch to the metrics; other events pass."""
        if isinstance(event, EpochDone):
            with (self.path / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(dataclasses.asdict(event)) + "\n")

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
        except (TypeError, ValueError) as error:
            raise RunError(f"{str(self.path)!r}: the model cannot be built: {error}") from error
        shapezoo.weights.load(model, self.path / "model.safetensors")
        return model.eval()


def _new_folder(model: str) -> Path:
    """A folder named after the model and the time, and numbered where that exists."""
    folder = Path("runs") / f"{model}-{datetime.now():%Y%m%d-%H%M%S}"
    numbered = (folder.with_name(f"{folder.name}-{n}") for n in itertools.count(2))
    return next(path for path in itertools.chain([folder], numbered) if not path.exists())
