"""Layers and functions that several models share."""

from shapezoo.layers.activations import ACTIVATIONS, Activation, ActivationLayer
from shapezoo.layers.conv_norm_activation import ConvNormActivation, ConvNormReLU
from shapezoo.layers.convolution import ConvFeatures
from shapezoo.layers.initialisation import init_convolutions, init_truncated_normal
from shapezoo.layers.layer_norm import LayerNorm2d
from shapezoo.layers.lengths import SequenceError, require_lengths
from shapezoo.layers.mlp_block import MLPBlock
from shapezoo.layers.rounding import make_divisible
from shapezoo.layers.scanning import scan
from shapezoo.layers.self_attention import SelfAttention
from shapezoo.layers.squeeze_excitation import SqueezeExcitation
from shapezoo.layers.stochastic_depth import StochasticDepth
from shapezoo.layers.tokens import Embedding, one_hot
from shapezoo.layers.transforms.fourier import FourierMagnitudes
from shapezoo.layers.transforms.wavelets import (
    HaarTransform,
    haar_transform,
    inverse_haar_transform,
)
from shapezoo.layers.windows import merge_windows, partition_windows, relative_position_index

__all__ = [
    "ACTIVATIONS",
    "Activation",
    "ActivationLayer",
    "ConvFeatures",
    "ConvNormActivation",
    "ConvNormReLU",
    "Embedding",
    "FourierMagnitudes",
    "HaarTransform",
    "LayerNorm2d",
    "MLPBlock",
    "SelfAttention",
    "SequenceError",
    "SqueezeExcitation",
    "StochasticDepth",
    "haar_transform",
    "init_convolutions",
    "init_truncated_normal",
    "inverse_haar_transform",
    "make_divisible",
    "merge_windows",
    "one_hot",
    "partition_windows",
    "relative_position_index",
    "require_lengths",
    "scan",
]
