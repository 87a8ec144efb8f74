"""Training as pure functions, with a thin loop on top."""

from shapezoo.train.devices import DeviceError, choose_device
from shapezoo.train.loop import Dataset, EpochDone, Event, StepDone, fit, iterations
from shapezoo.train.losses import binary_cross_entropy, cross_entropy, mean_squared_error
from shapezoo.train.metrics import binary_correct, confusion_matrix, correct
from shapezoo.train.optimizers import OPTIMIZERS, UnknownOptimizerError, choose_optimizer
from shapezoo.train.progress import Progress
from shapezoo.train.step import (
    Batch,
    Correct,
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
    "OPTIMIZERS",
    "Batch",
    "Correct",
    "Dataset",
    "DeviceError",
    "EpochDone",
    "Event",
    "Loss",
    "MakeOptimizer",
    "Metrics",
    "Progress",
    "State",
    "StepDone",
    "UnknownOptimizerError",
    "binary_correct",
    "binary_cross_entropy",
    "choose_device",
    "choose_optimizer",
    "confusion_matrix",
    "correct",
    "cross_entropy",
    "evaluate",
    "fit",
    "init",
    "install",
    "iterations",
    "mean_squared_error",
    "train_step",
]
