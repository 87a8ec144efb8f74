"""Whole recipes: train a model of the zoo in a run folder, and predict with the result."""

from shapezoo.recipes.jobs import DataMismatchError
from shapezoo.recipes.runs import Run, RunConfig, RunError
from shapezoo.recipes.training import (
    Prediction,
    StoppedError,
    Trained,
    configure,
    predict,
    resolve,
    train,
)

__all__ = [
    "DataMismatchError",
    "Prediction",
    "Run",
    "RunConfig",
    "RunError",
    "StoppedError",
    "Trained",
    "configure",
    "predict",
    "resolve",
    "train",
]
