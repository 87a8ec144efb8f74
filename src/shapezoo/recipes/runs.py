"""The folder of a training run: what was asked for, how it went, and what came out.

- ``config.json``: the exact configuration,
- ``metrics.jsonl``: one JSON object for each epoch,
- ``checkpoint.safetensors``, ``checkpoint-before.safetensors``: where the training stands, and
  where it stood one checkpoint earlier,
- ``model.safetensors``: the trained weights,
- ``confusion.tsv``: how often each class (row) was taken for each (column) in the test,
- ``confusion.png``, ``curves.png``: pictures of it and of the metrics, where matplotlib is
  installed,
- ``tensorboard``: events for TensorBoard, if asked for.
"""

import contextlib
import dataclasses
import importlib.util
import itertools
import json
import math
import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import shapezoo.weights
from shapezoo import __version__
from shapezoo._files import leftovers, read_text, replacing
from shapezoo.contracts import Module
from shapezoo.recipes.configuration import RunConfig, RunError
from shapezoo.recipes.plots import draw_confusion, draw_curves
from shapezoo.train import (
    Checkpoint,
    CheckpointError,
    EpochDone,
    Event,
    load_checkpoint,
    save_checkpoint,
)

__all__ = ["Run", "RunConfig", "RunError"]

_FILES = (
    *("config.json", "metrics.jsonl", "model.safetensors", "confusion.tsv"),
    *("checkpoint.safetensors", "checkpoint-before.safetensors", "checkpoint-new.safetensors"),
    *("confusion.png", "curves.png"),
)


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: The folder.
        config: What the run was asked for.
        classes: The names of the labels; none where numbers are predicted.
    """

    path: Path
    config: RunConfig
    classes: tuple[str, ...] = ()

    @classmethod
    def create(
        cls,
        config: RunConfig,
        path: str | os.PathLike[str] | None = None,
        *,
        classes: tuple[str, ...] = (),
    ) -> "Run":
        """Make the folder of a new run and write its configuration there.

        Args:
            config: What the run is asked for.
            path: The folder, which must not exist; without it ``runs/MODEL-DATE-TIME``.
            classes: The names of the labels.

        Raises:
            RunError: The folder exists already or cannot be made.
        """
        versions = {
            "shapezoo": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
        record = dataclasses.asdict(config) | {"classes": classes, "versions": versions}
        text = json.dumps(record, indent=2) + "\n"
        try:
            folder = Path(path) if path is not None else _unused_folder(config.model)
            _make_folder(folder, text)
        except FileExistsError as error:
            raise RunError(
                f"{str(path)!r} exists already; choose another folder, or resume the run in it"
            ) from error
        except OSError as error:
            raise RunError(f"the folder of the run cannot be made: {error}") from error
        return cls(folder, config, classes)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Run":
        """Read the folder of a run.

        Raises:
            RunError: It is no run folder.
        """
        file = Path(path) / "config.json"
        try:
            record = json.loads(read_text(file))
            known = {part.name for part in dataclasses.fields(RunConfig)}
            settings = {name: record[name] for name in record.keys() & known}
            classes = tuple(record.get("classes", ()))
            if not all(isinstance(name, str) for name in classes):
                raise TypeError(f"classes must be texts, got {classes!r}")
            config = RunConfig(**settings)
            config.outcome()  # fails if it is nested more deeply than can be copied
            return cls(Path(path), config, classes)
        except OSError as error:
            raise RunError(f"{os.fspath(path)!r} is no run folder: {error}") from error
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise RunError(f"{str(file)!r} is no configuration of a run: {error!r}") from error

    def log(self, event: Event) -> None:
        """Append the figures of an epoch to the metrics; other events pass."""
        if isinstance(event, EpochDone):
            with (self.path / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(_finite(dataclasses.asdict(event))) + "\n")
                file.flush()
                os.fsync(file.fileno())  # before the checkpoint that counts on it

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder, where the system knows locks.

        Raises:
            RunError: Another process trains in it.
        """
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        folder = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError as error:
            raise RunError(f"{str(self.path)!r}: another process trains in this folder") from error
        finally:
            os.close(folder)

    def metrics(self) -> list[dict[str, Any]]:
        """The figures of each epoch, as they were written; lines that are damaged are left out.

        Raises:
            OSError: The file cannot be read.
        """
        try:
            lines = read_text(self.path / "metrics.jsonl", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        records = []
        for line in lines:
            with contextlib.suppress(ValueError, RecursionError):
                records.append(json.loads(line))
        return [record for record in records if _is_of_an_epoch(record)]

    def rewind(self, epochs: int) -> None:
        """Forget the figures of all epochs after the first ones, and what was half written."""
        for leftover in leftovers(self.path, _FILES):
            leftover.unlink()
        kept = {record["epoch"]: record for record in self.metrics() if record["epoch"] <= epochs}
        text = "".join(json.dumps(record) + "\n" for record in kept.values())
        _write(self.path / "metrics.jsonl", text)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint; the one before it is kept too.

        Raises:
            OSError: It cannot be written; the earlier ones are still there.
        """
        newest, before = self._checkpoints()
        written = newest.with_name("checkpoint-new.safetensors")
        save_checkpoint(checkpoint, written, about=self._about())
        if newest.exists():
            newest.replace(before)
        written.replace(newest)

    def load_checkpoint(self, device: torch.device) -> Checkpoint | None:
        """The newest checkpoint, or None if there is none yet.

        Args:
            device: Where to go on.

        Raises:
            RunError: The checkpoint is damaged, or is that of another run.
        """
        newest, before = self._checkpoints()
        file = newest if newest.exists() or not before.exists() else before
        if not file.exists():
            return None
        try:
            checkpoint, about = load_checkpoint(file, device=device)
        except CheckpointError as error:
            is_older = file == newest and before.exists()
            advice = f"go on from {before.name}" if is_older else "start over"
            raise RunError(f"{error}; delete it to {advice}") from error
        if about != self._about():
            raise RunError(f"{str(file)!r} is the checkpoint of another run: {about}")
        return checkpoint

    def _checkpoints(self) -> tuple[Path, Path]:
        return (
            self.path / "checkpoint.safetensors",
            self.path / "checkpoint-before.safetensors",
        )

    def _about(self) -> str:
        return self.config.outcome()

    def save_confusion(self, confusion: Tensor) -> None:
        """Write a confusion matrix as a table, and as a picture where matplotlib is installed."""
        rows = zip(("", *self.classes), [list(self.classes), *confusion.tolist()], strict=True)
        table = "".join("\t".join(map(_cell, (name, *row))) + "\n" for name, row in rows)
        _write(self.path / "confusion.tsv", table)
        if importlib.util.find_spec("matplotlib"):
            draw_confusion(
                confusion, [_cell(name) for name in self.classes], self.path / "confusion.png"
            )

    def save_curves(self) -> None:
        """Draw the losses and accuracies over the epochs, where matplotlib is installed."""
        if (records := self.metrics()) and importlib.util.find_spec("matplotlib"):
            draw_curves(
                [record["loss"] for record in records],
                [record["test"]["loss"] for record in records],
                [record["test"]["accuracy"] for record in records],
                self.path / "curves.png",
            )

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
        model = self.config.build()
        shapezoo.weights.load(model, self.path / "model.safetensors")
        return model.eval()


def _unused_folder(model: str) -> Path:
    """A folder that is named after the model and the time, and numbered where that exists."""
    first = Path("runs") / f"{model}-{datetime.now():%Y%m%d-%H%M%S}"
    numbered = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(folder for folder in itertools.chain([first], numbered) if not folder.exists())


def _make_folder(folder: Path, config: str) -> None:
    """Make a folder that appears with its configuration, or not at all."""
    if folder.exists():  # an empty one would be replaced
        raise FileExistsError(str(folder))
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        _write(temporary / "config.json", config)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_of_an_epoch(record: object) -> bool:
    match record:
        case {"epoch": int(epoch), "loss": loss, "test": {"loss": other, "accuracy": accuracy}}:
            return type(epoch) is int and all(map(_is_figure, (loss, other, accuracy)))
    return False


def _is_figure(value: object) -> bool:
    """Whether this is a number that a picture can show, or None for one that is not finite."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (type(value) is int and abs(value) < 2**63)


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def _cell(value: object) -> str:
    """As it can stand in a table: a class may be a tab or the end of a line."""
    return str(value) if str(value).isprintable() else repr(value)


def _finite(value: Any) -> Any:
    """The same with null for what is no number, which JSON cannot hold."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
