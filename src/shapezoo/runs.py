"""The folder of a training run: what was asked for, how it went, and what came out.

- ``config.json``: the exact configuration,
- ``metrics.jsonl``: one JSON object for each epoch,
- ``model.safetensors``: the trained weights.
"""

import dataclasses
import json
import os
import platform
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn

import shapezoo.weights
from shapezoo._files import replacing
from shapezoo.contracts import Module
from shapezoo.train import EpochDone, Event
from shapezoo.zoo import create_model


class RunError(ValueError):
    """A run cannot be configured, or its folder cannot be made or read."""


@dataclass(frozen=True)
class RunConfig:
    """All that decides the outcome of a run, given the versions that are recorded with it.

    Attributes:
        model: The name of the model.
        hyperparameters: The keywords that it was built with.
        data: The name of the dataset.
        split_by: How the test set was drawn.
        epochs: How often each example is seen.
        batch_size: Examples of a step.
        optimizer: The name of the optimizer.
        lr: The learning rate.
        seed: Seeds the weights, the split and the order of the examples.

    Raises:
        RunError: A number is out of its range.
    """

    model: str
    hyperparameters: dict[str, Any]
    data: Literal["digits"]
    split_by: Literal["example", "writer"]
    epochs: int
    batch_size: int
    optimizer: Literal["adam"]
    lr: float
    seed: int

    def __post_init__(self) -> None:
        for name, least in {"epochs": 1, "batch_size": 1, "seed": 0}.items():
            if (value := getattr(self, name)) < least:
                raise RunError(f"{name} must be at least {least}, got {value}")
        if not self.lr > 0:
            raise RunError(f"lr must be positive, got {self.lr}")


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
        started = datetime.now().strftime("%Y%m%d-%H%M%S")
        folder = Path(path if path is not None else f"runs/{config.model}-{started}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError as error:
            raise RunError(f"{str(folder)!r} exists already; choose another folder") from error
        except OSError as error:
            raise RunError(f"{str(folder)!r} cannot be made: {error}") from error
        versions = {"python": platform.python_version(), "torch": torch.__version__}
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
            fields = {field.name: record[field.name] for field in dataclasses.fields(RunConfig)}
            return cls(Path(path), RunConfig(**fields))
        except OSError as error:
            raise RunError(f"{os.fspath(path)!r} is no run folder: {error}") from error
        except (ValueError, KeyError, TypeError) as error:
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
            WeightsError: The weights are missing or do not fit the model.
        """
        model = create_model(
            self.config.model,
            weights=self.path / "model.safetensors",
            **self.config.hyperparameters,
        )
        return model.eval()
