"""The configuration of a run, and its validation."""

import dataclasses
import json
import math
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from beartype.door import is_bearable

from shapezoo._names import unknown_name
from shapezoo.contracts import Module
from shapezoo.contracts.matching.matching import CONF
from shapezoo.creating import create_model
from shapezoo.recipes.sources import SOURCES
from shapezoo.train import OPTIMIZERS, SCHEDULES, OnNan


class RunError(ValueError):
    """A run cannot be configured, or its folder cannot be created or read."""

    __module__ = "shapezoo.recipes"


class DataMismatchError(ValueError):
    """A model does not accept the inputs of a dataset, or has another number of classes."""

    __module__ = "shapezoo.recipes"


CHANGEABLE = ("device", "root", "on_nan")
"""The attributes of a `RunConfig` that may differ when a run is resumed."""

_MINIMA = {
    "epochs": 1,
    "batch_size": 1,
    "accumulate": 1,
    "patience": 1,
    "warmup_steps": 0,
    "seed": 0,
}
_CHOICES = {
    "data": ("dataset", SOURCES),
    "optimizer": ("optimizer", OPTIMIZERS),
    "schedule": ("schedule", SCHEDULES),
}


@dataclass(frozen=True)
class RunConfig:
    """Everything that decides the outcome of a run, for the versions that are recorded with it.

    Attributes:
        model: The name of the model.
        hyperparameters: Keywords of its builder; missing ones have their defaults.
        data: The name of the dataset, one of `shapezoo.recipes.sources.SOURCES`.
        root: The folder of downloaded datasets.
        split_by: How the test set of digits is drawn: by ``"writer"`` is harder than by
            ``"example"``, which is the only option for other data.
        epochs: Number of passes over the training examples.
        batch_size: Number of examples per step.
        accumulate: Number of parts to split a batch into, if it is too large for the memory.
        optimizer: The name of the optimizer, one of `shapezoo.train.OPTIMIZERS`.
        lr: The learning rate.
        schedule: The name of the learning rate schedule, one of `shapezoo.train.SCHEDULES`.
        warmup_steps: Number of steps at the start in which the learning rate rises.
        clip_norm: The norm to scale gradients down to, if theirs is larger.
        precision: ``"bfloat16"`` for mixed precision.
        on_nan: What to do if the loss is NaN or infinite: ``"continue"``, or ``"stop"`` with an
            error before the weights change.
        compile: Whether to run the model through `torch.compile`.
        patience: Number of epochs in a row without a lower loss after which the training ends. A
            tenth of the examples is then held out to measure that loss, and the weights are those
            of the best epoch.
        seed: Seeds the weights, the split and the order of the examples.
        device: The device to compute on, as for `shapezoo.train.choose_device`.

    Raises:
        RunError: A value has the wrong type or is out of range.
    """

    model: str
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    data: str = "digits"
    root: str = "data"
    split_by: Literal["example", "writer"] = "example"
    epochs: int = 10
    batch_size: int = 32
    accumulate: int = 1
    optimizer: str = "adam"
    lr: float = 0.002
    schedule: str = "constant"
    warmup_steps: int = 0
    clip_norm: float | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    on_nan: OnNan = "continue"
    compile: bool = False
    patience: int | None = None
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, type_ in typing.get_type_hints(RunConfig).items():
            value = getattr(self, name)
            is_bool = isinstance(value, bool) and type_ is not bool  # a bool is an int too
            if is_bool or not is_bearable(value, type_, conf=CONF):
                expected = type_.__name__ if isinstance(type_, type) else str(type_)
                if typing.get_origin(type_) is Literal:
                    expected = " or ".join(map(repr, typing.get_args(type_)))
                raise RunError(f"{name} must be {expected}, got {value!r}")
        for name, minimum in _MINIMA.items():
            value = getattr(self, name)
            if value is not None and value < minimum:
                raise RunError(f"{name} must be at least {minimum}, got {value}")
            if value is not None and value >= 2**31:
                raise RunError(f"{name} must be below 2**31, got {value}")
        for name in ("lr", "clip_norm"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise RunError(f"{name} must be positive and finite, got {value}")
        for name, (what, choices) in _CHOICES.items():
            if (value := getattr(self, name)) not in choices:
                raise RunError(unknown_name(what, value, choices))
        if self.split_by == "writer" and self.data != "digits":
            raise RunError(f"only digits can be split by writer; {self.data} has no writers")

    @property
    def evaluated(self) -> str:
        """What the examples are called that are evaluated after each epoch."""
        return "held-out" if self.patience else "test"

    def build(self) -> Module:
        """Build the model, with random weights.

        Raises:
            UnknownModelError: There is no such model.
            RunError: The model does not accept these hyper-parameters.
        """
        try:
            return create_model(self.model, **self.hyperparameters)
        except (TypeError, ValueError, RuntimeError) as error:
            raise RunError(f"model {self.model!r} cannot be built: {error}") from error

    def outcome(self) -> str:
        """Return what decides the final weights as JSON: all but device, root and on_nan."""
        record = {k: v for k, v in dataclasses.asdict(self).items() if k not in CHANGEABLE}
        return json.dumps(record, sort_keys=True)
