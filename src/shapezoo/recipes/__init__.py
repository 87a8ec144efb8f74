"""Whole recipes: train a model of the zoo in a run folder, and predict with the result."""

from shapezoo.recipes.configuration import DataMismatchError
from shapezoo.recipes.predicting import Prediction, predict
from shapezoo.recipes.resolving import configure, resolve
from shapezoo.recipes.runs import Run, RunConfig, RunError
from shapezoo.recipes.training import StoppedError, Trained, train

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
