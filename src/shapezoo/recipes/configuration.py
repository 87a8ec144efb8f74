"""What a run is asked for."""

import dataclasses
import json
import math
import typing
from dataclasses import dataclass, field
from typing import Any, Literal

from beartype.door import is_bearable

from shapezoo.contracts import Module
from shapezoo.contracts.matching.matching import CONF
from shapezoo.creating import create_model
from shapezoo.recipes.sources import SOURCES
from shapezoo.train import OPTIMIZERS, SCHEDULES, OnNan


class RunError(ValueError):
    """A run cannot be configured, or its folder cannot be made or read."""

    __module__ = "shapezoo.recipes"


_LEAST = {
    "epochs": 1,
    "batch_size": 1,
    "accumulate": 1,
    "warmup_steps": 0,
    "patience": 1,
    "seed": 0,
}
CHANGEABLE = ("device", "root", "on_nan")
"""The attributes of a `RunConfig` that may differ when a run is resumed."""
_KNOWN = {"data": SOURCES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}


@dataclass(frozen=True)
class RunConfig:
    """All that decides the outcome of a run, given the versions that are recorded with it.

    Attributes:
        model: The name of the model.
        hyperparameters: Keywords of its builder; those that are missing have their defaults.
        data: The name of the dataset, one of `shapezoo.recipes.sources.SOURCES`.
        root: The folder of datasets that are downloaded.
        split_by: How the test set of digits is drawn; by ``"writer"`` is harder than by
            ``"example"``, which is the only way for other data.
        epochs: How often each example is seen.
        batch_size: Examples of a step.
        accumulate: How many parts to cut a batch into, for one that is too large for the memory.
        optimizer: The name of the optimizer, one of `shapezoo.train.OPTIMIZERS`.
        lr: The learning rate.
        schedule: How the learning rate changes, as `shapezoo.train.choose_schedule` knows it.
        warmup_steps: How many steps the learning rate rises first.
        clip_norm: What the norm of the gradients is scaled down to, if it is larger.
        precision: ``"bfloat16"`` for mixed precision.
        on_nan: What to do if the loss is NaN or infinite: ``"continue"``, or ``"stop"`` with an
            error before the weights change.
        compile: Whether to run the model through `torch.compile`.
        patience: How many epochs in a row may bring no lower loss before the training ends. A
            tenth of the examples is then set aside for measuring that loss, and the weights are
            those of the best epoch.
        seed: Seeds the weights, the split and the order of the examples.
        device: What to compute on, as `shapezoo.train.choose_device` takes it.

    Raises:
        RunError: A value is of the wrong type or out of its range.
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
        for name, kind in typing.get_type_hints(RunConfig).items():
            value = getattr(self, name)
            is_flag = isinstance(value, bool) and kind is not bool  # which is an int too
            if is_flag or not is_bearable(value, kind, conf=CONF):
                options = " or ".join(map(repr, typing.get_args(kind)))
                is_class = isinstance(kind, type)
                expected = (
                    options
                    if typing.get_origin(kind) is Literal
                    else (kind.__name__ if is_class else str(kind))
                )
                raise RunError(f"{name} must be {expected}, got {value!r}")
        for name, least in _LEAST.items():
            if (value := getattr(self, name)) is None:
                continue
            if value < least:
                raise RunError(f"{name} must be at least {least}, got {value}")
            if value >= 2**31:
                raise RunError(f"{name} must be below 2**31, got {value}")
        for name in ("lr", "clip_norm"):
            if (value := getattr(self, name)) is not None and not 0 < value < math.inf:
                raise RunError(f"{name} must be positive and finite, got {value}")
        for name, known in _KNOWN.items():
            if (value := getattr(self, name)) not in known:
                raise RunError(f"{name} must be one of {', '.join(known)}, got {value!r}")
        if self.split_by == "writer" and self.data != "digits":
            raise RunError(f"split_by='writer' is for digits; {self.data} has no writers")

    def build(self) -> Module:
        """The model, with random weights.

        Raises:
            UnknownModelError: There is no such model.
            RunError: The model does not take these hyper-parameters.
        """
        try:
            return create_model(self.model, **self.hyperparameters)
        except (TypeError, ValueError, RuntimeError) as error:
            raise RunError(f"model {self.model!r} cannot be built: {error}") from error

    def outcome(self) -> str:
        """What decides the weights of a run that ends, as JSON; the machine is left out."""
        record = {k: v for k, v in dataclasses.asdict(self).items() if k not in CHANGEABLE}
        return json.dumps(record, sort_keys=True)
