"""Contracts for networks that come without one.

Each class holds a network and states what goes in and what comes out. `take` picks the tensor out
of what the network returns.
"""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from shapezoo import Module


def same(result: Any) -> Any:
    """Return a result that is a tensor already."""
    return result


class Wrapper(Module):
    """A network with a contract.

    Args:
        net: The network.
        take: Picks the tensor out of its result.
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
        """Score every class for each image."""
        return self.take(self.net(images))


class Maps(Wrapper):
    """A classifier of pixels."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes=10 height width"]:
        """Score every class for each pixel."""
        return self.take(self.net(images))


class Videos(Wrapper):
    """A classifier of videos."""

    def forward(
        self, videos: Float[Tensor, "batch 3 frames height width"]
    ) -> Float[Tensor, "batch classes=10"]:
        """Score every class for each video."""
        return self.take(self.net(videos))


class Pairs(Wrapper):
    """Optical flow between two images."""

    def forward(
        self,
        first: Float[Tensor, "batch 3 height width"],
        second: Float[Tensor, "batch 3 height width"],
    ) -> Float[Tensor, "batch directions=2 height width"]:
        """Estimate how each pixel moves."""
        return self.take(self.net(first, second))


class Tokens(Wrapper):
    """A reader of tokens."""

    def forward(self, tokens: Int64[Tensor, "batch seq"]) -> Float[Tensor, "batch seq hidden=32"]:
        """Describe each token."""
        return self.take(self.net(tokens))


class MaskedTokens(Wrapper):
    """A reader of padded tokens."""

    def forward(
        self, tokens: Int64[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq hidden=32"]:
        """Describe each token; the mask is true at those that count."""
        return self.take(self.net(tokens, attention_mask=mask))


class Texts(Wrapper):
    """A classifier of texts."""

    def forward(self, tokens: Int64[Tensor, "batch seq"]) -> Float[Tensor, "batch classes=10"]:
        """Score every class for each text."""
        return self.take(self.net(tokens))


class Language(Wrapper):
    """A language model."""

    def forward(self, tokens: Int64[Tensor, "batch seq"]) -> Float[Tensor, "batch seq vocab=50"]:
        """Score every next token at each position."""
        return self.take(self.net(tokens))


class Translation(Wrapper):
    """A translator."""

    def forward(
        self, tokens: Int64[Tensor, "batch seq"], target: Int64[Tensor, "batch target_seq"]
    ) -> Float[Tensor, "batch target_seq vocab=50"]:
        """Score every next token of the target."""
        return self.take(self.net(tokens, decoder_input_ids=target))


class Features(Wrapper):
    """A sequence of features to one of the same length."""

    def forward(
        self, features: Float[Tensor, "batch seq hidden=32"]
    ) -> Float[Tensor, "batch seq hidden=32"]:
        """Describe each position in its context."""
        return self.take(self.net(features))


class PaddedFeatures(Wrapper):
    """A padded sequence of features to one of the same length."""

    def forward(
        self,
        features: Float[Tensor, "batch seq hidden=32"],
        padding: Bool[Tensor, "batch seq"],
    ) -> Float[Tensor, "batch seq hidden=32"]:
        """Describe each position; padding is true at those that do not count."""
        return self.take(self.net(features, src_key_padding_mask=padding))


class CausalFeatures(Wrapper):
    """A sequence of features, each described by those before."""

    def forward(
        self, features: Float[Tensor, "batch seq hidden=32"]
    ) -> Float[Tensor, "batch seq hidden=32"]:
        """Describe each position by what comes before it."""
        mask = nn.Transformer.generate_square_subsequent_mask(features.shape[1])
        return self.take(self.net(features, mask=mask, is_causal=True))


class SourceTarget(Wrapper):
    """Two sequences of features to one as long as the second."""

    def forward(
        self,
        source: Float[Tensor, "batch seq hidden=32"],
        target: Float[Tensor, "batch target_seq hidden=32"],
    ) -> Float[Tensor, "batch target_seq hidden=32"]:
        """Describe each position of the target."""
        return self.take(self.net(source, target))


class Channels(Wrapper):
    """A sequence of 16 channels to one of the same length."""

    def forward(
        self, signal: Float[Tensor, "batch channels=16 frames"]
    ) -> Float[Tensor, "batch channels=16 frames"]:
        """Describe each frame."""
        return self.take(self.net(signal))


class Audio(Wrapper):
    """A classifier of audio."""

    def forward(self, waves: Float[Tensor, "batch samples"]) -> Float[Tensor, "batch classes=10"]:
        """Score every class for each recording."""
        return self.take(self.net(waves))


class Spectrograms(Wrapper):
    """An encoder of spectrograms that halves the time."""

    def forward(
        self, spectrograms: Float[Tensor, "batch mels=16 frames"]
    ) -> Float[Tensor, "batch (frames-1)//2+1 hidden=32"]:
        """Describe every second frame."""
        return self.take(self.net(spectrograms))


class Volumes(Wrapper):
    """A classifier of voxels."""

    def forward(
        self, volumes: Float[Tensor, "batch 1 depth height width"]
    ) -> Float[Tensor, "batch classes=10 depth height width"]:
        """Score every class for each voxel."""
        return self.take(self.net(volumes))


class Noise(Wrapper):
    """A denoiser of images at a step of diffusion."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Estimate the noise, all at step 3."""
        steps = torch.full((images.shape[0],), 3)
        return self.take(self.net(images, steps))


class Mapped(Wrapper):
    """An image to an image of the same size."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Transform each image."""
        return self.take(self.net(images))


class Segments(Wrapper):
    """A classifier of the cells of a grid, each 4 by 4 pixels."""

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch classes=10 (height-1)//4+1 (width-1)//4+1"]:
        """Score every class for each cell."""
        return self.take(self.net(images))
