"""Getting weights into a model and out of it, as safetensors files."""

from shapezoo.weights.files import WeightsError, load, save

__all__ = ["WeightsError", "load", "save"]
