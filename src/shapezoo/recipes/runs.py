"""The folder of a training run: its configuration, metrics, checkpoints and results.

- ``config.json``: the exact configuration,
- ``metrics.jsonl``: one JSON object for each epoch,
- ``checkpoint.safetensors``, ``checkpoint-before.safetensors``: the newest checkpoint and the one
  before it,
- ``calibration.json``: the temperature of the probabilities, if examples were held out,
- ``model.safetensors``: the trained weights; it is written last,
- ``confusion.tsv``: the confusion matrix of the test set; rows are true classes, columns predicted
  ones,
- ``confusion.png``, ``curves.png``: plots of the confusion matrix and the metrics, if matplotlib is
  installed,
- ``tensorboard``: events for TensorBoard, if requested.
"""

import contextlib
import dataclasses
import importlib.util
import itertools
import json
import math
import os
import platform
import shlex
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
from shapezoo._names import did_you_mean
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

_NEWEST = "checkpoint.safetensors"
_BEFORE = "checkpoint-before.safetensors"
_CONFIG = "config.json"
_UNFINISHED = "checkpoint-new.safetensors"
_WEIGHTS = "model.safetensors"
_CALIBRATION = "calibration.json"
_FILES = (
    *(_CONFIG, "metrics.jsonl", _WEIGHTS, "confusion.tsv", _CALIBRATION),
    *(_NEWEST, _BEFORE, _UNFINISHED, "confusion.png", "curves.png"),
)


@dataclass(frozen=True)
class Run:
    """A run folder.

    Attributes:
        path: The folder.
        config: Its configuration.
        classes: The names of the classes; empty for a regression.
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
        """Create the folder of a new run, with its configuration.

        Args:
            config: The configuration.
            path: The folder, which must not exist; without it ``runs/MODEL-DATE-TIME``.
            classes: The names of the classes.

        Raises:
            RunError: The folder exists already or cannot be created.
        """
        versions = {
            "shapezoo": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        }
        record = dataclasses.asdict(config) | {"classes": classes, "versions": versions}
        text = json.dumps(record, indent=2) + "\n"
        folder = Path(path) if path is not None else _unused_folder(config.model)
        try:
            _create_folder(folder, text)
        except FileExistsError as error:
            raise RunError(_occupied(folder)) from error
        except OSError as error:  # its own text may name a temporary file
            reason = error.strerror or error
            raise RunError(f"the run folder {str(folder)!r} cannot be created: {reason}") from error
        return cls(folder, config, classes)

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> "Run":
        """Read the folder of a run.

        Raises:
            RunError: It is not a run folder.
        """
        file = Path(path) / _CONFIG
        try:
            record = json.loads(read_text(file))
            if "model" not in record:
                raise ValueError("it does not name a model")
            names = {field.name for field in dataclasses.fields(RunConfig)}
            classes = tuple(record.get("classes", ()))
            if not all(isinstance(name, str) for name in classes):
                raise TypeError(f"classes must be strings, got {classes!r}")
            config = RunConfig(**{name: record[name] for name in record.keys() & names})
            config.outcome()  # raises RecursionError if it is nested too deeply to be copied
            return cls(Path(path), config, classes)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise RunError(_no_run(Path(path))) from error
        except OSError as error:
            raise RunError(f"{str(file)!r} cannot be read: {error.strerror or error}") from error
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            raise RunError(f"{str(file)!r} is not the configuration of a run: {error}") from error

    def log(self, event: Event) -> None:
        """Append the metrics of an epoch to the file; ignore other events."""
        if isinstance(event, EpochDone):
            with (self.path / "metrics.jsonl").open("a") as file:
                file.write(json.dumps(_finite(dataclasses.asdict(event))) + "\n")
                file.flush()
                os.fsync(file.fileno())  # before the checkpoint that relies on it

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from training in this folder, if the system has file locks.

        Raises:
            RunError: Another process is training in it.
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
            raise RunError(
                f"{str(self.path)!r}: another process is training in this folder"
            ) from error
        finally:
            os.close(folder)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the metrics of each epoch, as they were written, without damaged lines.

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
        return [record for record in records if _is_epoch(record)]

    def rewind(self, epochs: int) -> None:
        """Remove the metrics of all epochs after the first ones, and temporary files."""
        for leftover in leftovers(self.path, _FILES):
            leftover.unlink()
        kept = {record["epoch"]: record for record in self.metrics() if record["epoch"] <= epochs}
        text = "".join(json.dumps(record) + "\n" for record in kept.values())
        _write(self.path / "metrics.jsonl", text)

    def save_checkpoint(self, checkpoint: Checkpoint) -> None:
        """Write a checkpoint, and keep the one before it.

        Raises:
            OSError: It cannot be written; the earlier ones are still there.
        """
        newest, unfinished = self.path / _NEWEST, self.path / _UNFINISHED
        save_checkpoint(checkpoint, unfinished, about=self.config.outcome())
        if newest.exists():
            newest.replace(self.path / _BEFORE)
        unfinished.replace(newest)

    def load_checkpoint(self, device: torch.device) -> Checkpoint | None:
        """Return the newest checkpoint, or None if there is none yet.

        Args:
            device: The device to continue on.

        Raises:
            RunError: The checkpoint is damaged, or belongs to another run.
        """
        files = [file for name in (_NEWEST, _BEFORE) if (file := self.path / name).exists()]
        if not files:
            return None
        try:
            checkpoint, about = load_checkpoint(files[0], device=device)
        except CheckpointError as error:
            advice = f"continue from {_BEFORE}" if len(files) > 1 else "start over"
            raise RunError(f"{error}; delete it to {advice}") from error
        if about != self.config.outcome():
            raise RunError(f"{str(files[0])!r} is the checkpoint of another run: {about}")
        return checkpoint

    def save_confusion(self, confusion: Tensor) -> None:
        """Write a confusion matrix as a table, and draw it if matplotlib is installed."""
        names = [_cell(name) for name in self.classes]
        rows = zip(("", *names), [names, *confusion.tolist()], strict=True)
        table = "".join("\t".join(map(str, (name, *row))) + "\n" for name, row in rows)
        _write(self.path / "confusion.tsv", table)
        if importlib.util.find_spec("matplotlib"):
            draw_confusion(confusion, names, self.path / "confusion.png")

    def save_curves(self) -> None:
        """Draw the losses and accuracies over the epochs, if matplotlib is installed."""
        if (records := self.metrics()) and importlib.util.find_spec("matplotlib"):
            draw_curves(
                [record["loss"] for record in records],
                [record["test"]["loss"] for record in records],
                [record["test"]["accuracy"] for record in records],
                self.path / "curves.png",
                evaluated=self.config.evaluated,
            )

    def save_temperature(self, temperature: float) -> None:
        """Write the temperature by which logits are divided before the softmax."""
        _write(self.path / _CALIBRATION, json.dumps({"temperature": temperature}) + "\n")

    def temperature(self) -> float:
        """Return the temperature of the probabilities: 1 if the run has not been calibrated.

        Raises:
            RunError: The file is damaged.
        """
        file = self.path / _CALIBRATION
        try:
            match json.loads(read_text(file)):
                case {"temperature": float(temperature)} if 0 < temperature < math.inf:
                    return temperature
        except FileNotFoundError:
            return 1.0
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"{str(file)!r} cannot be read: {error}") from error
        raise RunError(f"{str(file)!r} has no temperature; delete it to predict without one")

    @property
    def has_ended(self) -> bool:
        """Whether the training has ended, and its results were written."""
        return (self.path / _WEIGHTS).exists()

    def kept_epoch(self) -> int | None:
        """Return the epoch whose weights a training with patience has kept, or None."""
        records = self.metrics() if self.config.patience else []
        losses = {
            record["epoch"]: math.inf if (loss := record["test"]["loss"]) is None else loss
            for record in records
        }
        return min(losses, key=losses.__getitem__, default=None)

    def save_model(self, model: nn.Module) -> None:
        """Write the weights of a model."""
        shapezoo.weights.save(model, self.path / _WEIGHTS)

    def load_model(self) -> Module:
        """Build the model of this run, with its trained weights, in eval mode.

        Raises:
            UnknownModelError: There is no such model (any more).
            RunError: The model does not accept these hyper-parameters.
            WeightsError: The weights are missing or do not fit the model.
        """
        model = self.config.build()
        shapezoo.weights.load(model, self.path / _WEIGHTS)
        return model.eval()


def resume_command(folder: str | os.PathLike[str]) -> str:
    """Return the command that continues the run in a folder."""
    return shlex.join(["shapezoo", "train", "--resume", os.fspath(folder)])


def _occupied(folder: Path) -> str:
    """Return the error for the folder of a new run that exists already."""
    advice = "choose another folder"
    if (folder / _CONFIG).exists():
        advice += f", or continue the run in it:\n  {resume_command(folder)}"
    return f"{str(folder)!r} exists already; {advice}"


def _no_run(path: Path) -> str:
    """Return the error for a path that is not a run folder."""
    if path.is_file():
        advice = "it is a file; pass the folder that 'shapezoo train' wrote"
        if (path.parent / _CONFIG).exists():
            advice = f"it is a file of a run; pass its folder, {str(path.parent)!r}"
    elif runs := _runs_in(path):
        advice = f"it is a folder of runs; pass one of them, such as {runs[-1]!r}"
    elif path.exists():
        advice = f"it has no {_CONFIG}, which 'shapezoo train' writes into the folder of each run"
    else:
        runs = _runs_in(path.parent)
        newest = runs and f"the newest run beside it is {runs[-1]!r}"
        advice = f"it does not exist; {did_you_mean(str(path), runs) or newest or ''}".rstrip("; ")
    return f"{str(path)!r} is not a run folder: {advice}"


def _runs_in(folder: Path) -> list[str]:
    """Return the run folders in a folder, the newest last."""
    configs = sorted(folder.glob(f"*/{_CONFIG}"), key=lambda file: file.stat().st_mtime)
    return [str(file.parent) for file in configs]


def _unused_folder(model: str) -> Path:
    """Return a folder named after the model and the time, with a number if that exists."""
    first = Path("runs") / f"{model}-{datetime.now():%Y%m%d-%H%M%S}"
    numbered = (first.with_name(f"{first.name}-{number}") for number in itertools.count(2))
    return next(folder for folder in itertools.chain([first], numbered) if not folder.exists())


def _create_folder(folder: Path, config: str) -> None:
    """Create a folder that appears with its configuration, or not at all."""
    if folder.exists():  # rename would replace an empty one
        raise FileExistsError(str(folder))
    temporary = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        _write(temporary / _CONFIG, config)
        temporary.rename(folder)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _is_epoch(record: object) -> bool:
    match record:
        case {"epoch": int(epoch), "loss": loss, "test": {"loss": test_loss, "accuracy": accuracy}}:
            return type(epoch) is int and all(map(_is_metric, (loss, test_loss, accuracy)))
    return False


def _is_metric(value: object) -> bool:
    """Whether this is a number that a plot can show, or None for one that is not finite."""
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (type(value) is int and abs(value) < 2**63)


def _write(path: Path, text: str) -> None:
    with replacing(path) as temporary:
        temporary.write_text(text)


def _cell(value: object) -> str:
    """Return the text of a table cell: the name of a class may be a tab or a line break."""
    return str(value) if str(value).isprintable() else repr(value)


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite, which JSON cannot hold, by None."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
