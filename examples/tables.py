"""Train linear regression on diabetes, logistic regression on breast cancer, and an MLP on both."""

import functools

import torch
from torch import nn

from shapezoo.data import Split, TableDataset, breast_cancer, diabetes
from shapezoo.models import linear_regression, logistic_regression, mlp
from shapezoo.train import (
    Correct,
    Loss,
    Metrics,
    binary_correct,
    binary_cross_entropy,
    evaluate,
    fit,
    init,
    mean_squared_error,
)


def trained(
    model: nn.Module,
    data: Split[TableDataset],
    *,
    lr: float,
    epochs: int,
    loss: Loss,
    correct: Correct | None,
) -> Metrics:
    """Train the model, and evaluate it on the test set."""
    make_optimizer = functools.partial(torch.optim.Adam, lr=lr)
    state = fit(
        model,
        make_optimizer,
        init(model, make_optimizer),
        data.train,
        data.test,
        epochs=epochs,
        batch_size=32,
        loss=loss,
        correct=correct,
    )
    return evaluate(model, state, data.test.batches(32), loss=loss, correct=correct)


def regress(model: nn.Module, *, lr: float, epochs: int) -> None:
    """Train on diabetes, and compare the error with a baseline that predicts the mean."""
    data = diabetes()
    metrics = trained(model, data, lr=lr, epochs=epochs, loss=mean_squared_error, correct=None)
    explained = 1 - metrics.loss / data.test.targets.var(correction=0).item()
    print(f"{type(model).__name__} explains {explained:.0%} of the variance")


def classify(model: nn.Module, *, lr: float, epochs: int) -> None:
    """Train on breast cancer, and print the accuracy."""
    metrics = trained(
        model,
        breast_cancer(),
        lr=lr,
        epochs=epochs,
        loss=binary_cross_entropy,
        correct=binary_correct,
    )
    print(f"{type(model).__name__}: {metrics.accuracy:.1%} of the tumours classified correctly")


def main() -> None:
    """Train each model on its table, and print its result on the test set."""
    torch.manual_seed(0)
    regress(linear_regression(in_features=10), lr=2.0, epochs=20)
    regress(mlp(in_features=10), lr=0.2, epochs=60)
    classify(logistic_regression(in_features=30), lr=0.05, epochs=10)
    classify(mlp(in_features=30), lr=0.05, epochs=10)


if __name__ == "__main__":
    main()
