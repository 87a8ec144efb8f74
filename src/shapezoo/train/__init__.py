"""Training as pure functions, with a thin loop on top.

docs/internals/training.md explains what makes a step pure, and a training resumable.
"""

from shapezoo._datasets import Batch
from shapezoo.train.loop.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from shapezoo.train.loop.example_order import ExampleOrder
from shapezoo.train.loop.fit import Dataset, fit, iterations
from shapezoo.train.loop.interrupts import Interruption
from shapezoo.train.loop.progress import Progress
from shapezoo.train.loop.tensorboard import TensorBoard
from shapezoo.train.loop.training_records import Best, Checkpoint, EpochDone, Event, StepDone
from shapezoo.train.optimization.optimizers import (
    OPTIMIZERS,
    MakeOptimizer,
    UnknownOptimizerError,
    choose_optimizer,
)
from shapezoo.train.optimization.schedules import (
    SCHEDULES,
    CosineDecay,
    LinearDecay,
    Schedule,
    StepDecay,
    UnknownScheduleError,
    Warmup,
    choose_schedule,
    constant,
)
from shapezoo.train.steps.batch_losses import Loss
from shapezoo.train.steps.devices import DeviceError, choose_device
from shapezoo.train.steps.evaluation import Correct, Metrics, evaluate
from shapezoo.train.steps.losses import (
    auxiliary_cross_entropy,
    binary_cross_entropy,
    cross_entropy,
    mean_squared_error,
)
from shapezoo.train.steps.metrics import (
    ClassMetrics,
    binary_correct,
    confusion_matrix,
    correct,
    per_class,
)
from shapezoo.train.steps.processes import ALONE, Processes, accelerated, joined
from shapezoo.train.steps.state import State, StateError, init, install
from shapezoo.train.steps.step import NonFiniteLossError, OnNan, train_step

__all__ = [
    "ALONE",
    "OPTIMIZERS",
    "SCHEDULES",
    "Batch",
    "Best",
    "Checkpoint",
    "CheckpointError",
    "ClassMetrics",
    "Correct",
    "CosineDecay",
    "Dataset",
    "DeviceError",
    "EpochDone",
    "Event",
    "ExampleOrder",
    "Interruption",
    "LinearDecay",
    "Loss",
    "MakeOptimizer",
    "Metrics",
    "NonFiniteLossError",
    "OnNan",
    "Processes",
    "Progress",
    "Schedule",
    "State",
    "StateError",
    "StepDecay",
    "StepDone",
    "TensorBoard",
    "UnknownOptimizerError",
    "UnknownScheduleError",
    "Warmup",
    "accelerated",
    "auxiliary_cross_entropy",
    "binary_correct",
    "binary_cross_entropy",
    "choose_device",
    "choose_optimizer",
    "choose_schedule",
    "confusion_matrix",
    "constant",
    "correct",
    "cross_entropy",
    "evaluate",
    "fit",
    "init",
    "install",
    "iterations",
    "joined",
    "load_checkpoint",
    "mean_squared_error",
    "per_class",
    "save_checkpoint",
    "train_step",
]
