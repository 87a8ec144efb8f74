import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shapezoo import ShapeError, prove, signature
from shapezoo.layers import StochasticDepth

MANY = 20_000


def is_dropped(result: Tensor) -> Tensor:
    """Which examples are zeros, of a branch that has none."""
    return (result[..., None].flatten(1) == 0).all(1)


@given(
    p=st.floats(0.01, 0.95),
    batch=st.integers(0, 6),
    features=st.lists(st.integers(1, 4), max_size=3),
)
def test_an_example_is_dropped_or_scaled_as_a_whole(
    p: float, batch: int, features: list[int]
) -> None:
    x = torch.rand(batch, *features, dtype=torch.float64) + 1
    result = StochasticDepth(p)(x)
    kept = ~is_dropped(result)
    torch.testing.assert_close(result[kept], x[kept] / (1 - p), rtol=1e-12, atol=0)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_examples_are_dropped_with_the_probability(p: float) -> None:
    dropped = is_dropped(StochasticDepth(p)(torch.ones(MANY, 2))).double()
    assert abs(dropped.mean().item() - p) < 5 * math.sqrt(p * (1 - p) / MANY)
    pairs = dropped[::2] * dropped[1::2]  # independently of their neighbours
    assert abs(pairs.mean().item() - p**2) < 5 * math.sqrt(p**2 * (1 - p**2) / len(pairs))


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_the_mean_is_kept(p: float) -> None:
    mean = StochasticDepth(p)(torch.full((MANY, 1), 3.0, dtype=torch.float64)).mean().item()
    assert abs(mean - 3) < 5 * 3 * math.sqrt(p / (1 - p) / MANY)


def test_calls_differ() -> None:
    layer, x = StochasticDepth(0.5), torch.ones(64, 1)
    assert not torch.equal(layer(x), layer(x))


def test_nothing_happens_in_eval_mode() -> None:
    x = torch.randn(5, 3)
    assert StochasticDepth(0.5).eval()(x) is x


def test_nothing_happens_without_a_probability() -> None:
    x = torch.randn(5, 3)
    assert StochasticDepth(0)(x) is x


def test_the_argument_is_left_alone() -> None:
    x = torch.ones(8, 3)
    StochasticDepth(0.5)(x)
    assert torch.equal(x, torch.ones(8, 3))


@pytest.mark.parametrize("p", [-0.1, 1, 1.5, math.nan])
def test_probabilities_out_of_range_raise(p: float) -> None:
    with pytest.raises(ValueError, match=f"p must be at least 0 and less than 1, got {p}"):
        StochasticDepth(p)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
def test_the_dtype_is_kept(dtype: torch.dtype) -> None:
    assert StochasticDepth(0.5)(torch.ones(8, 3, dtype=dtype)).dtype == dtype


def test_a_low_precision_drops_no_more() -> None:
    p = 0.001  # which bfloat16 would round away from 1 - p
    dropped = is_dropped(StochasticDepth(p)(torch.ones(100_000, 1, dtype=torch.bfloat16)))
    assert 50 < dropped.sum() < 150


def test_a_dropped_example_has_no_gradient() -> None:
    x = (torch.rand(64, 3, dtype=torch.float64) + 1).requires_grad_()
    result = StochasticDepth(0.75)(x)
    (gradient,) = torch.autograd.grad(result.sum(), x)
    expected = torch.where(is_dropped(result), 0.0, 4.0).double()
    assert set(expected.tolist()) == {0.0, 4.0}
    assert torch.equal(gradient, expected[:, None].expand_as(x))


def test_compiled() -> None:
    layer = StochasticDepth(0.5)
    compiled = torch.compile(layer, backend="eager", fullgraph=True, dynamic=True)
    for shape in ((8, 2, 5), (32, 3, 4)):
        x = torch.rand(shape) + 1
        results = []
        for module in (layer, compiled):
            torch.manual_seed(0)
            results.append(module(x))
        assert 0 < is_dropped(results[0]).sum() < shape[0]
        assert torch.equal(*results)


@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_the_contract(training: bool) -> None:
    layer = StochasticDepth(0.5).train(training)
    assert str(signature(layer)) == (
        '(x: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch *features"]'
    )
    assert prove(layer).verdict == "proved"


def test_numbers_without_a_batch_are_refused() -> None:
    with pytest.raises(ShapeError, match="x"):
        StochasticDepth(0.5)(torch.tensor(1.0))


def test_a_result_of_another_size_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tensor, "bernoulli_", lambda self, p: self.new_ones(4, 5, 1))
    with pytest.raises(ShapeError, match="batch"):
        StochasticDepth(0.5)(torch.ones(1, 5, 3))


def test_the_probability_is_shown() -> None:
    assert repr(StochasticDepth(0.25)) == "StochasticDepth(p=0.25)"
