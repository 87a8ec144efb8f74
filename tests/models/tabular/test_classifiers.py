"""Logistic regression and the perceptron, the two classifiers of tables."""

import functools
from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shapezoo import Module, ShapeError
from shapezoo.data import breast_cancer
from shapezoo.models import logistic_regression, mlp
from shapezoo.train import (
    EpochDone,
    Event,
    binary_correct,
    binary_cross_entropy,
    fit,
    init,
)

SIZES = st.integers(1, 5)


@given(batch=SIZES, features=SIZES)
def test_the_gradient_of_logistic_regression_is_the_analytic_one(batch: int, features: int) -> None:
    model = logistic_regression(in_features=features).double()
    inputs = torch.randn(batch, features, dtype=torch.float64)
    labels = torch.randint(2, (batch,))
    (found,) = torch.autograd.grad(
        binary_cross_entropy(model(inputs), labels), (model.linear.weight,)
    )
    errors = (model(inputs).sigmoid()[:, 0] - labels) / batch
    torch.testing.assert_close(found, (errors @ inputs)[None])


def test_the_perceptron_is_its_formula() -> None:
    model = mlp().double()
    weights = model.state_dict()
    x = inputs = torch.randn(5, 8, dtype=torch.float64)
    for layer in (0, 2, 4):
        x = x @ weights[f"layers.{layer}.weight"].T + weights[f"layers.{layer}.bias"]
        if layer < 4:
            x = 1 / (1 + torch.exp(-x))
    torch.testing.assert_close(model(inputs), x)
    assert sum(p.numel() for p in model.parameters()) == 8 * 6 + 6 + 6 * 4 + 4 + 4 + 1


def test_the_perceptron_may_have_any_depth() -> None:
    model = mlp(in_features=3, out_features=2, hidden_features=())
    assert model(torch.zeros(4, 3)).shape == (4, 2)
    assert [type(layer).__name__ for layer in model.layers] == ["Linear"]
    with pytest.raises(ShapeError, match="expected features = 3, got 2"):
        model(torch.zeros(4, 2))


@pytest.mark.parametrize(
    ("builder", "lr", "epochs"), [(logistic_regression, 0.05, 5), (mlp, 0.05, 20)]
)
def test_breast_cancer_is_told(builder: Callable[..., Module], lr: float, epochs: int) -> None:
    data, model = breast_cancer(), builder(in_features=30)
    make_optimizer = functools.partial(torch.optim.Adam, lr=lr)
    events: list[Event] = []
    fit(
        model,
        make_optimizer,
        init(model, make_optimizer),
        data.train,
        data.test,
        epochs=epochs,
        batch_size=32,
        loss=binary_cross_entropy,
        correct=binary_correct,
        observers=[events.append],
    )
    assert isinstance(events[-1], EpochDone)
    metrics = events[-1].test
    assert metrics.accuracy is not None
    assert metrics.accuracy >= 0.93
    assert metrics.examples == 113
