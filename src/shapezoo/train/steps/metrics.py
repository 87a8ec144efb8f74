"""Metrics of classifiers."""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from shapezoo.contracts import checked


@checked
def correct(
    logits: Float[Tensor, "*batch classes"],
    labels: Int64[Tensor, "*batch"],
) -> Int64[Tensor, ""]:
    """Return how often the label has the highest logit; a row with NaN is never correct."""
    return torch.sum((logits.argmax(dim=-1) == labels) & ~logits.isnan().any(dim=-1))


@checked
def binary_correct(
    logits: Float[Tensor, "batch 1"],
    labels: Int64[Tensor, "batch"],
) -> Int64[Tensor, ""]:
    """Return how often the log-odds of class 1 have the correct sign."""
    return correct(torch.cat([torch.zeros_like(logits), logits], dim=1), labels)


@checked
def confusion_matrix(
    predicted: Int64[Tensor, "*batch"],
    labels: Int64[Tensor, "*batch"],
    num_classes: int,
) -> Int64[Tensor, "classes={num_classes} classes={num_classes}"]:
    """Return how often examples of each class (row) were predicted as each class (column).

    Args:
        predicted: The predicted classes.
        labels: The correct classes.
        num_classes: The number of classes.

    Raises:
        ValueError: A class is not from 0 to `num_classes` - 1.
    """
    for name, classes in (("predicted", predicted), ("labels", labels)):
        for wrong in classes[(classes < 0) | (classes >= num_classes)][:1].tolist():
            raise ValueError(f"{name} has class {wrong}; there are {num_classes}, from 0")
    pairs = labels.flatten() * num_classes + predicted.flatten()
    return pairs.bincount(minlength=num_classes**2).view(num_classes, num_classes)


@checked
@dataclass(frozen=True, eq=False)
class ClassMetrics:
    """The metrics of each class.

    Attributes:
        precision: The fraction of the examples predicted as the class that belong to it.
        recall: The fraction of the examples of the class that are predicted as it.
        f1: The harmonic mean of precision and recall.
        support: The number of examples of the class.
    """

    precision: Float[Tensor, "classes"]
    recall: Float[Tensor, "classes"]
    f1: Float[Tensor, "classes"]
    support: Int64[Tensor, "classes"]


@checked
def per_class(confusion: Int64[Tensor, "classes classes"]) -> ClassMetrics:
    """Return the precision, recall and F1 of each class; a fraction of no examples is 0.

    They equal scikit-learn's `precision_recall_fscore_support` with ``zero_division=0``.

    Args:
        confusion: The confusion matrix, as `confusion_matrix` returns it.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.train import confusion_matrix, per_class
        >>> predicted, labels = torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 1])
        >>> per_class(confusion_matrix(predicted, labels, 2)).recall.tolist()
        [0.5, 1.0]

        ```
    """
    confusion = confusion.cpu()  # MPS does not support float64
    hits, predicted, support = confusion.diagonal().double(), confusion.sum(0), confusion.sum(1)
    return ClassMetrics(
        precision=hits / predicted.clamp(min=1),
        recall=hits / support.clamp(min=1),
        f1=2 * hits / (predicted + support).clamp(min=1),
        support=support,
    )
