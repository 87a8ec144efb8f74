"""What a model is judged by."""

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
    """How often the right class is scored highest; scores that are no numbers are not right."""
    return torch.sum((logits.argmax(dim=-1) == labels) & ~logits.isnan().any(dim=-1))


@checked
def binary_correct(
    logits: Float[Tensor, "batch 1"],
    labels: Int64[Tensor, "batch"],
) -> Int64[Tensor, ""]:
    """How often the log-odds of class 1 have the right sign."""
    return correct(torch.cat([torch.zeros_like(logits), logits], dim=1), labels)


@checked
def confusion_matrix(
    predicted: Int64[Tensor, "*batch"],
    labels: Int64[Tensor, "*batch"],
    num_classes: int,
) -> Int64[Tensor, "classes={num_classes} classes={num_classes}"]:
    """How often the class of each row was taken for the class of each column.

    Args:
        predicted: The classes that a model chose.
        labels: The right classes.
        num_classes: How many classes there are.

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
    """How well a model does on each class.

    Attributes:
        precision: Of the examples taken for the class, the share that is of it.
        recall: Of the examples of the class, the share that is taken for it.
        f1: The harmonic mean of precision and recall.
        support: How many examples the class has.
    """

    precision: Float[Tensor, "classes"]
    recall: Float[Tensor, "classes"]
    f1: Float[Tensor, "classes"]
    support: Int64[Tensor, "classes"]


@checked
def per_class(confusion: Int64[Tensor, "classes classes"]) -> ClassMetrics:
    """Precision, recall and F1 of each class; a share of no examples is 0.

    The figures are scikit-learn's `precision_recall_fscore_support` with ``zero_division=0``.

    Args:
        confusion: How often the class of the row was taken for that of the column.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo.train import confusion_matrix, per_class
        >>> predicted, labels = torch.tensor([0, 1, 1, 1]), torch.tensor([0, 0, 1, 1])
        >>> per_class(confusion_matrix(predicted, labels, 2)).recall.tolist()
        [0.5, 1.0]

        ```
    """
    confusion = confusion.cpu()  # not every device knows float64
    right, taken, support = confusion.diagonal().double(), confusion.sum(0), confusion.sum(1)
    return ClassMetrics(
        precision=right / taken.clamp(min=1),
        recall=right / support.clamp(min=1),
        f1=2 * right / (taken + support).clamp(min=1),
        support=support,
    )
