"""What training lowers, and what it is judged by."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from shapezoo.contracts import checked


@checked
def cross_entropy(
    logits: Float[Tensor, "batch classes"],
    labels: Int64[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """The mean negative log-likelihood of the right classes, in nats.

    Args:
        logits: A score of every class, of any scale.
        labels: The indices of the right classes.
    """
    return functional.cross_entropy(logits, labels)


@checked
def correct(
    logits: Float[Tensor, "batch classes"],
    labels: Int64[Tensor, "batch"],
) -> Int64[Tensor, ""]:
    """How many examples have the right class scored highest."""
    return torch.sum(logits.argmax(dim=1) == labels)
