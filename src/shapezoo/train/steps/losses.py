"""Loss functions with contracts."""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from shapezoo.contracts import checked

# PyTorch ignores labels of -100 by default; here they are out of range like any other
_IGNORE_NONE = torch.iinfo(torch.int64).min


@checked
def cross_entropy(
    logits: Float[Tensor, "*batch classes"],
    labels: Int64[Tensor, "*batch"],
) -> Float[Tensor, ""]:
    """Return the mean negative log-likelihood of the labels, in nats.

    Args:
        logits: The unnormalised scores of the classes.
        labels: The indices of the correct classes. All count: no label is ignored.

    Raises:
        IndexError: A label is out of range (on the CPU; on other devices PyTorch aborts).
    """
    scores = logits.reshape(-1, logits.shape[-1])
    return functional.cross_entropy(scores, labels.reshape(-1), ignore_index=_IGNORE_NONE)


@checked
def auxiliary_cross_entropy(
    outputs: Float[Tensor, "*batch classes"] | tuple[Float[Tensor, "*batch classes"], ...],
    labels: Int64[Tensor, "*batch"],
    *,
    weight: float = 0.3,
) -> Float[Tensor, ""]:
    """Return the cross-entropy plus a weighted cross-entropy of each auxiliary classifier, in nats.

    GoogLeNet is trained with it (Szegedy et al. 2014, arXiv:1409.4842, Section 5). For another
    weight, pass ``functools.partial(auxiliary_cross_entropy, weight=0.4)`` as the loss, which is
    that of the authors' code for Inception v3.

    Args:
        outputs: The logits, which such a model returns in eval mode; or a tuple of these and the
            logits of its auxiliary classifiers, which it returns in train mode.
        labels: The indices of the correct classes. All count: no label is ignored.
        weight: The weight of the cross-entropy of an auxiliary classifier.

    Raises:
        IndexError: A label is out of range (on the CPU; on other devices PyTorch aborts).
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
    """Return the mean negative log-likelihood of labels of two classes, in nats.

    Args:
        logits: The log-odds of class 1.
        labels: The correct classes, 0 or 1.

    Raises:
        IndexError: A label is neither 0 nor 1 (on the CPU; on other devices PyTorch aborts).
    """
    return cross_entropy(torch.cat([torch.zeros_like(logits), logits], dim=1), labels)


@checked
def mean_squared_error(
    predictions: Float[Tensor, "batch features"],
    targets: Float[Tensor, "batch features"],
) -> Float[Tensor, ""]:
    """Return the mean squared difference, in the square of the targets' unit.

    Args:
        predictions: The predicted values.
        targets: The true values.
    """
    return functional.mse_loss(predictions, targets)
