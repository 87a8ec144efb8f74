"""Reading and writing the weights of models: files, and what others publish."""

from shapezoo.weights.files import load, save
from shapezoo.weights.preprocessing import preprocess
from shapezoo.weights.published import PublishedWeights
from shapezoo.weights.taking import WeightsError

__all__ = ["PublishedWeights", "WeightsError", "load", "preprocess", "save"]
