"""The weights of models: reading and writing files, and loading what others publish."""

from shapezoo.weights.preprocessing import preprocess
from shapezoo.weights.published import PublishedWeights
from shapezoo.weights.strict_loading import WeightsError
from shapezoo.weights.weight_files import load, save

__all__ = ["PublishedWeights", "WeightsError", "load", "preprocess", "save"]
