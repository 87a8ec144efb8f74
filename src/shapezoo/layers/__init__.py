"""Reusable blocks and functions that models are built from."""

from shapezoo.layers.activations import ACTIVATIONS, Activation, ActivationLayer
from shapezoo.layers.convolution import ConvFeatures
from shapezoo.layers.fourier import FourierMagnitudes
from shapezoo.layers.lengths import SequenceError, require_lengths
from shapezoo.layers.scanning import scan
from shapezoo.layers.stochastic_depth import StochasticDepth
from shapezoo.layers.tokens import Embedding, one_hot
from shapezoo.layers.wavelets import HaarTransform, haar_transform, inverse_haar_transform

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ActivationLayer",
    "ConvFeatures",
    "Embedding",
    "FourierMagnitudes",
    "HaarTransform",
    "SequenceError",
    "StochasticDepth",
    "haar_transform",
    "inverse_haar_transform",
    "one_hot",
    "require_lengths",
    "scan",
]
