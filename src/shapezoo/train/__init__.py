"""Training as pure functions, with a thin loop on top."""

from shapezoo.train.loop import Dataset, EpochDone, Event, StepDone, fit
from shapezoo.train.losses import correct, cross_entropy
from shapezoo.train.progress import Progress
from shapezoo.train.step import (
    Batch,
    Loss,
    MakeOptimizer,
    Metrics,
    State,
    evaluate,
    init,
    install,
    train_step,
)

__all__ = [
    "Batch",
    "Dataset",
    "EpochDone",
    "Event",
    "Loss",
    "MakeOptimizer",
    "Metrics",
    "Progress",
    "State",
    "StepDone",
    "correct",
    "cross_entropy",
    "evaluate",
    "fit",
    "init",
    "install",
    "train_step",
]
