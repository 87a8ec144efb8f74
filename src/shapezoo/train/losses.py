"""What training lowers."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from shapezoo.contracts import checked

_NOTHING = torch.iinfo(torch.int64).min  # PyTorch would ignore labels of -100


@checked
def cross_entropy(
    logits: Float[Tensor, "*batch classes"],
    labels: Int64[Tensor, "*batch"],
) -> Float[Tensor, ""]:
    """The mean negative log-likelihood of the right classes, in nats.

    Args:
        logits: A score of every class, of any scale.
        labels: The indices of the right classes. All count; none stands for "ignore this".

    Raises:
        IndexError: A label is no class (on the CPU; elsewhere PyTorch stops the program).
    """
    scores = logits.reshape(-1, logits.shape[-1])
    return functional.cross_entropy(scores, labels.reshape(-1), ignore_index=_NOTHING)


@checked
def binary_cross_entropy(
    logits: Float[Tensor, "batch 1"],
    labels: Int64[Tensor, "batch"],
) -> Float[Tensor, ""]:
    """The mean negative log-likelihood of the right one of two classes, in nats.

    Args:
        logits: The log-odds of class 1.
        labels: The right classes, 0 or 1.

    Raises:
        IndexError: A label is neither (on the CPU; elsewhere PyTorch stops the program).
    """
    return cross_entropy(torch.cat([torch.zeros_like(logits), logits], dim=1), labels)


@checked
def mean_squared_error(
    predictions: Float[Tensor, "batch features"],
    targets: Float[Tensor, "batch features"],
) -> Float[Tensor, ""]:
    """The mean square of the differences, in the square of the targets' unit.

    Args:
        predictions: What the model says.
        targets: What is right.
    """
    return functional.mse_loss(predictions, targets)
