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
def auxiliary_cross_entropy(
    outputs: Float[Tensor, "*batch classes"] | tuple[Float[Tensor, "*batch classes"], ...],
    labels: Int64[Tensor, "*batch"],
    *,
    weight: float = 0.3,
) -> Float[Tensor, ""]:
    """Cross-entropy, and a share of that of each auxiliary classifier, in nats.

    As GoogLeNet is trained (Szegedy et al. 2014, arXiv:1409.4842, Section 5). For another share
    give ``functools.partial(auxiliary_cross_entropy, weight=0.4)`` as a loss, as the authors' code
    for Inception v3 has it.

    Args:
        outputs: The logits, as such a model gives them in eval mode; or these and then those of its
            auxiliary classifiers, as in train mode.
        labels: The indices of the right classes. All count; none stands for "ignore this".
        weight: How much the cross-entropy of an auxiliary classifier counts.

    Raises:
        IndexError: A label is no class (on the CPU; elsewhere PyTorch stops the program).
        ValueError: There are no logits.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.models import googlenet_micro
        >>> from shapezoo.train import auxiliary_cross_entropy
        >>> images, labels = torch.zeros(2, 3, 32, 32), torch.tensor([0, 1])
        >>> auxiliary_cross_entropy(googlenet_micro()(images), labels).shape
        torch.Size([])

        ```
    """
    logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
    loss = cross_entropy(logits, labels)
    for scores in auxiliary:
        loss = loss + weight * cross_entropy(scores, labels)
    return loss


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
