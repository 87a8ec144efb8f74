import functools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shapezoo.data import Split, TableDataset, diabetes
from shapezoo.models import linear_regression
from shapezoo.train import evaluate, fit, init, mean_squared_error

SIZES = st.integers(1, 5)


@given(batch=SIZES, features=SIZES, targets=SIZES)
def test_the_gradient_of_least_squares_is_the_analytic_one(
    batch: int, features: int, targets: int
) -> None:
    model = linear_regression(in_features=features, out_features=targets).double()
    inputs = torch.randn(batch, features, dtype=torch.float64)
    wanted = torch.randn(batch, targets, dtype=torch.float64)
    by_weight, by_bias = torch.autograd.grad(
        mean_squared_error(model(inputs), wanted), (model.linear.weight, model.linear.bias)
    )
    errors = 2 * (model(inputs) - wanted) / wanted.numel()
    torch.testing.assert_close(by_weight, errors.T @ inputs)
    torch.testing.assert_close(by_bias, errors.sum(0))


def solved(data: Split[TableDataset]) -> float:
    """The test error of the exact solution of least squares."""

    def with_constant(part: TableDataset) -> Tensor:
        return torch.cat([part.features, torch.ones(len(part), 1)], dim=1)

    weights = torch.linalg.lstsq(with_constant(data.train), data.train.targets).solution
    return torch.mean((with_constant(data.test) @ weights - data.test.targets) ** 2).item()


def test_diabetes_is_learned_as_well_as_least_squares_can() -> None:
    data, model = diabetes(), linear_regression(in_features=10)
    make_optimizer = functools.partial(torch.optim.Adam, lr=2.0)
    state = fit(
        model,
        make_optimizer,
        init(model, make_optimizer),
        data.train,
        data.test,
        epochs=40,
        batch_size=64,
        loss=mean_squared_error,
        correct=None,
    )
    metrics = evaluate(model, state, data.test.batches(64), loss=mean_squared_error, correct=None)
    assert metrics.accuracy is None
    assert metrics.loss == pytest.approx(solved(data), rel=0.05)
    assert metrics.loss < 0.5 * data.test.targets.var().item()
