"""Mistakes with reductions, broadcasting and joining, each with its corrected twin."""

import torch
from jaxtyping import Float, Int64
from tests.proving.mistakes.rows import Subject
from torch import Tensor
from torch.nn import functional

from shapezoo import checked


@checked
def differences(
    predictions: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch"]
) -> Float[Tensor, "batch 1"]:
    return (predictions - targets[:, None]).abs()


@checked
def differences_of_all_pairs(
    predictions: Float[Tensor, "batch 1"], targets: Float[Tensor, "batch"]
) -> Float[Tensor, "batch 1"]:
    return (predictions - targets).abs()


@checked
def centred(x: Float[Tensor, "batch seq hidden"]) -> Float[Tensor, "batch seq hidden"]:
    return x - x.mean(1, keepdim=True)


@checked
def centred_without_axis(x: Float[Tensor, "batch seq hidden"]) -> Float[Tensor, "batch seq hidden"]:
    return x - x.mean(1)


@checked
def averaged(x: Float[Tensor, "*batch seq hidden"]) -> Float[Tensor, "*batch hidden"]:
    return x.mean(-2)


@checked
def averaged_after_batch(x: Float[Tensor, "*batch seq hidden"]) -> Float[Tensor, "*batch hidden"]:
    return x.mean(1)


@checked
def predicted(logits: Float[Tensor, "batch seq classes"]) -> Int64[Tensor, "batch seq"]:
    return logits.argmax(-1)


@checked
def predicted_over_time(logits: Float[Tensor, "batch seq classes"]) -> Int64[Tensor, "batch seq"]:
    return logits.argmax(1)


@checked
def joined(
    images: Float[Tensor, "batch features"], texts: Float[Tensor, "batch hidden"]
) -> Float[Tensor, "batch features+hidden"]:
    return torch.cat([images, texts], dim=1)


@checked
def joined_batches(
    images: Float[Tensor, "batch features"], texts: Float[Tensor, "batch hidden"]
) -> Float[Tensor, "batch features+hidden"]:
    return torch.cat([images, texts])


@checked
def summed_before(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
    return functional.pad(x.cumsum(1)[:, :-1], (1, 0))


@checked
def summed_before_and_after(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
    return functional.pad(x.cumsum(1), (1, 0))


@checked
def changes(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq-1"]:
    return x[:, 1:] - x[:, :-1]


@checked
def changes_between_examples(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq-1"]:
    return x[1:] - x[:-1]


PAIRS: list[tuple[Subject, Subject, str, str]] = [
    (differences_of_all_pairs, differences, "batch=2", ""),
    (centred_without_axis, centred, "batch=2", ""),
    (averaged_after_batch, averaged, "seq=2 or hidden=2", ""),
    (predicted_over_time, predicted, "seq=2 or classes=2", ""),
    (joined_batches, joined, "", ""),
    (summed_before_and_after, summed_before, "", ""),
    (changes_between_examples, changes, "", ""),
]
"""A mistake, its twin, the sizes other than 1 that refute the one, what the other needs."""
