"""Training as pure functions, with a thin loop on top."""

from shapezoo._datasets import Batch
from shapezoo.train.averages import Loss
from shapezoo.train.building import MakeOptimizer
from shapezoo.train.checkpoints import CheckpointError, load_checkpoint, save_checkpoint
from shapezoo.train.devices import DeviceError, choose_device
from shapezoo.train.evaluation import Correct, Metrics, evaluate
from shapezoo.train.interrupts import Interruption
from shapezoo.train.loop import (
    Best,
    Checkpoint,
    Dataset,
    EpochDone,
    Event,
    StepDone,
    fit,
    iterations,
)
from shapezoo.train.losses import (
    auxiliary_cross_entropy,
    binary_cross_entropy,
    cross_entropy,
    mean_squared_error,
)
from shapezoo.train.metrics import (
    ClassMetrics,
    binary_correct,
    confusion_matrix,
    correct,
    per_class,
)
from shapezoo.train.optimizers import OPTIMIZERS, UnknownOptimizerError, choose_optimizer
from shapezoo.train.order import ExampleOrder
from shapezoo.train.processes import ALONE, Processes, accelerated, joined
from shapezoo.train.progress import Progress
from shapezoo.train.schedules import (
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
from shapezoo.train.state import State, StateError, init, install
from shapezoo.train.step import NonFiniteLossError, OnNan, train_step
from shapezoo.train.tensorboard import TensorBoard

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
