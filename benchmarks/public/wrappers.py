"""Modules that give a contract to networks without one.

Each class wraps a network. `take` selects the tensor in the result of the network.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from shapezoo import Module


def same(result: Any) -> Any:
    """Return the result unchanged, because it is a tensor already."""
    return result


class Wrapper(Module):
    """A network with a contract.

    Args:
        net: The network.
        take: Function that selects the tensor in the result of the network.
    """

    def __init__(self, net: nn.Module, take: Callable[[Any], Any] = same) -> None:
        super().__init__()
        self.net = net
        self.take = take


class Images(Wrapper):
    """A classifier of images."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes=10"]:
        """Return the logits of each image."""
        return self.take(self.net(images))


class Maps(Wrapper):
    """A classifier of pixels."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes=10 height width"]:
        """Return the logits of each pixel."""
        return self.take(self.net(images))


class Videos(Wrapper):
    """A classifier of videos."""

    def forward(
        self, videos: Float[Tensor, "batch 3 frames height width"]
    ) -> Float[Tensor, "batch classes=10"]:
        """Return the logits of each video."""
        return self.take(self.net(videos))


class Pairs(Wrapper):
    """A network for the optical flow between two images."""

    def forward(
        self,
        first: Float[Tensor, "batch 3 height width"],
        second: Float[Tensor, "batch 3 height width"],
    ) -> Float[Tensor, "batch directions=2 height width"]:
        """Estimate the motion of each pixel."""
        return self.take(self.net(first, second))


class Tokens(Wrapper):
    """An encoder of tokens."""

    def forward(self, tokens: Int64[Tensor, "batch seq"]) -> Float[Tensor, "batch seq hidden=32"]:
        """Encode each token."""
        return self.take(self.net(tokens))


class MaskedTokens(Wrapper):
    """An encoder of padded tokens."""

    def forward(
        self, tokens: Int64[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq hidden=32"]:
        """Encode each token; the mask is true at tokens, false at padding."""
        return self.take(self.net(tokens, attention_mask=mask))


class Texts(Wrapper):
    """A classifier of texts."""

    def forward(self, tokens: Int64[Tensor, "batch seq"]) -> Float[Tensor, "batch classes=10"]:
        """Return the logits of each text."""
        return self.take(self.net(tokens))


class Language(Wrapper):
    """A language model."""

    def forward(self, tokens: Int64[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab=50"]:
        """Return the logits of the next token at each position."""
        return self.take(self.net(tokens))


class Translation(Wrapper):
    """An encoder-decoder for translation."""

    def forward(
        self, tokens: Int64[Tensor, "batch seq"], target: Int64[Tensor, "batch target_seq"]
    ) -> Float[Tensor, "batch target_seq vocab=50"]:
        """Return the logits of each next token of the target."""
        return self.take(self.net(tokens, decoder_input_ids=target))


class Features(Wrapper):
    """An encoder of sequences of features."""

    def forward(
        self, features: Float[Tensor, "batch seq hidden=32"]
    ) -> Float[Tensor, "batch seq hidden=32"]:
        """Encode each position in its context."""
        return self.take(self.net(features))


class PaddedFeatures(Wrapper):
    """An encoder of padded sequences of features."""

    def forward(
        self,
        features: Float[Tensor, "batch seq hidden=32"],
        padding: Bool[Tensor, "batch seq"],
    ) -> Float[Tensor, "batch seq hidden=32"]:
        """Encode each position; `padding` is true at padded positions."""
        return self.take(self.net(features, src_key_padding_mask=padding))


class CausalFeatures(Wrapper):
    """A causal encoder of sequences of features."""

    def forward(
        self, features: Float[Tensor, "batch seq hidden=32"]
    ) -> Float[Tensor, "batch seq hidden=32"]:
        """Encode each position from itself and the positions before it."""
        mask = nn.Transformer.generate_square_subsequent_mask(features.shape[1])
        return self.take(self.net(features, mask=mask, is_causal=True))


class SourceTarget(Wrapper):
    """An encoder-decoder of two sequences of features."""

    def forward(
        self,
        source: Float[Tensor, "batch seq hidden=32"],
        target: Float[Tensor, "batch target_seq hidden=32"],
    ) -> Float[Tensor, "batch target_seq hidden=32"]:
        """Encode each position of the target."""
        return self.take(self.net(source, target))


class Channels(Wrapper):
    """A network from signals of 16 channels to signals of the same length."""

    def forward(
        self, signal: Float[Tensor, "batch channels=16 frames"]
    ) -> Float[Tensor, "batch channels=16 frames"]:
        """Encode each frame."""
        return self.take(self.net(signal))


class Audio(Wrapper):
    """A classifier of audio."""

    def forward(self, waves: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch classes=10"]:
        """Return the logits of each recording."""
        return self.take(self.net(waves))


class Spectrograms(Wrapper):
    """An encoder of spectrograms that halves the time."""

    def forward(
        self, spectrograms: Float[Tensor, "batch mels=16 frames"]
    ) -> Float[Tensor, "batch (frames-1)//2+1 hidden=32"]:
        """Encode every second frame."""
        return self.take(self.net(spectrograms))


class Volumes(Wrapper):
    """A classifier of voxels."""

    def forward(
        self, volumes: Float[Tensor, "batch 1 depth height width"]
    ) -> Float[Tensor, "batch classes=10 depth height width"]:
        """Return the logits of each voxel."""
        return self.take(self.net(volumes))


class Noise(Wrapper):
    """A diffusion model's denoiser of images."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Estimate the noise at diffusion step 3."""
        steps = torch.full((images.shape[0],), 3)
        return self.take(self.net(images, steps))


class Mapped(Wrapper):
    """A network from images to images of the same size."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Transform each image."""
        return self.take(self.net(images))


class Segments(Wrapper):
    """A segmentation network that classifies each cell of 4x4 pixels."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes=10 (height-1)//4+1 (width-1)//4+1"]:
        """Return the logits of each cell."""
        return self.take(self.net(images))
