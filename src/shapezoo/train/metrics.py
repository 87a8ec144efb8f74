"""What a model is judged by."""

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
