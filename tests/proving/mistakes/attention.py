"""Mistakes in attention and embeddings, each with its corrected twin."""

import torch
from jaxtyping import Bool, Float
from tests.proving.mistakes.rows import Subject
from torch import Tensor, nn

from shapezoo import Module, checked


class Split(Module):
    def __init__(self, num_heads: int, head_dim: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = head_dim

    def forward(
        self, x: Float[Tensor, "batch seq {self.num_heads}*{self.head_dim}"]
    ) -> Float[Tensor, "batch {self.num_heads} seq {self.head_dim}"]:
        return x.view(*x.shape[:2], self.num_heads, self.head_dim).transpose(1, 2)


class SplitByWidth(Split):
    def forward(
        self, x: Float[Tensor, "batch seq {self.num_heads}*{self.head_dim}"]
    ) -> Float[Tensor, "batch {self.num_heads} seq {self.head_dim}"]:
        return x.view(*x.shape[:2], self.head_dim, self.num_heads).transpose(1, 2)


@checked
def merged(
    x: Float[Tensor, "batch heads seq head_dim"],
) -> Float[Tensor, "batch seq heads*head_dim"]:
    return x.transpose(1, 2).flatten(2)


@checked
def merged_within_heads(
    x: Float[Tensor, "batch heads seq head_dim"],
) -> Float[Tensor, "batch seq heads*head_dim"]:
    return x.flatten(2)


@checked
def weighted(
    states: Float[Tensor, "batch seq hidden"], weights: Float[Tensor, "batch seq"]
) -> Float[Tensor, "batch hidden"]:
    return torch.einsum("bsh,bs->bh", states, weights)


@checked
def weighted_over_hidden(
    states: Float[Tensor, "batch seq hidden"], weights: Float[Tensor, "batch seq"]
) -> Float[Tensor, "batch hidden"]:
    return torch.einsum("bsh,bs->bs", states, weights)


@checked
def masked(
    scores: Float[Tensor, "batch heads seq kv_seq"], mask: Bool[Tensor, "batch kv_seq"]
) -> Float[Tensor, "batch heads seq kv_seq"]:
    return scores.masked_fill(~mask[:, None, None], float("-inf"))


@checked
def masked_by_query(
    scores: Float[Tensor, "batch heads seq kv_seq"], mask: Bool[Tensor, "batch kv_seq"]
) -> Float[Tensor, "batch heads seq kv_seq"]:
    return scores.masked_fill(~mask, float("-inf"))


@checked
def causal(scores: Float[Tensor, "batch seq kv_seq"]) -> Float[Tensor, "batch seq kv_seq"]:
    _, seq, kv_seq = scores.shape
    return scores * torch.ones(seq, kv_seq).tril(kv_seq - seq)


@checked
def causal_when_square(
    scores: Float[Tensor, "batch seq kv_seq"],
) -> Float[Tensor, "batch seq kv_seq"]:
    seq = scores.shape[1]
    return scores * torch.ones(seq, seq).tril()


@checked
def extended(
    cache: Float[Tensor, "batch heads kv_seq head_dim"],
    keys: Float[Tensor, "batch heads seq head_dim"],
) -> Float[Tensor, "batch heads kv_seq+seq head_dim"]:
    return torch.cat([cache, keys], dim=2)


@checked
def extended_by_heads(
    cache: Float[Tensor, "batch heads kv_seq head_dim"],
    keys: Float[Tensor, "batch heads seq head_dim"],
) -> Float[Tensor, "batch heads kv_seq+seq head_dim"]:
    return torch.cat([cache, keys], dim=1)


class Attention(Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(4, 2, batch_first=batch_first)

    def forward(
        self, x: Float[Tensor, "batch seq 4"], context: Float[Tensor, "batch kv_seq 4"]
    ) -> tuple[Float[Tensor, "batch seq 4"], Float[Tensor, "batch seq kv_seq"]]:
        x, weights = self.attention(x, context, context)
        return x, weights


class ClassToken(Module):
    def __init__(self) -> None:
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 4))

    def forward(
        self, x: Float[Tensor, "batch patches hidden=4"]
    ) -> Float[Tensor, "batch patches+1 hidden=4"]:
        return torch.cat([self.token.expand(x.shape[0], -1, -1), x], dim=1)


class ClassTokenOfOne(ClassToken):
    def forward(
        self, x: Float[Tensor, "batch patches hidden=4"]
    ) -> Float[Tensor, "batch patches+1 hidden=4"]:
        return torch.cat([self.token, x], dim=1)


class Positions(Module):
    def __init__(self) -> None:
        super().__init__()
        self.positions = nn.Parameter(torch.zeros(512, 4))

    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
        return x + self.positions[: x.shape[1]]


class PositionsOfTruncated(Positions):
    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
        x = x[:, :512]
        return x + self.positions[: x.shape[1]]


class PositionsOfBatch(Positions):
    def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
        return x + self.positions[: x.shape[0]]


class Autoencoder(Module):
    def __init__(self, in_features: int, latent: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.encoder = nn.Linear(in_features, latent)
        self.decoder = nn.Linear(latent, in_features)

    def forward(
        self, x: Float[Tensor, "*batch {self.in_features}"]
    ) -> Float[Tensor, "*batch {self.in_features}"]:
        result: Tensor = self.decoder(self.encoder(x).relu())
        return result


class AutoencoderOfLatent(Autoencoder):
    def __init__(self, in_features: int, latent: int) -> None:
        super().__init__(in_features, latent)
        self.decoder = nn.Linear(latent, latent)


PAIRS: list[tuple[Subject, Subject, str, str]] = [
    (SplitByWidth, Split, "num_heads=2 or head_dim=2", ""),
    (merged_within_heads, merged, "heads=2 or seq=2", ""),
    (weighted_over_hidden, weighted, "seq=2 or hidden=2", ""),
    (masked_by_query, masked, "batch=2", ""),
    (causal_when_square, causal, "seq=2", ""),
    (extended_by_heads, extended, "", ""),
    (Attention(batch_first=False), Attention(batch_first=True), "batch=2", ""),
    (PositionsOfTruncated(), Positions(), "seq=513", "seq <= 512"),
    (PositionsOfBatch(), Positions(), "batch=2", "seq <= 512"),
    (AutoencoderOfLatent, Autoencoder, "in_features=2 or latent=2", ""),
]
"""A mistake, its twin, the sizes other than 1 that refute the one, what the other needs."""


REFUSING: list[tuple[Subject, Subject, str]] = [
    (ClassTokenOfOne(), ClassToken(), "batch == 1"),
]
"""A mistake that raises unless its sizes meet a condition, its twin, and the condition."""
