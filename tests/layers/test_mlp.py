import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import ShapeError, signature
from shapezoo.layers import MLPBlock

SIZES = st.integers(1, 4)


def by_hand(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Two linear layers, with x times the normal distribution function of x between them."""
    hidden = x @ state["0.weight"].T + state["0.bias"]
    hidden = hidden * (1 + torch.erf(hidden / math.sqrt(2))) / 2
    return hidden @ state["3.weight"].T + state["3.bias"]


@given(leading=st.lists(st.integers(0, 3), max_size=3), hidden_size=SIZES, mlp_size=SIZES)
def test_outputs_equal_those_by_hand(leading: list[int], hidden_size: int, mlp_size: int) -> None:
    mlp = MLPBlock(hidden_size, mlp_size).double()
    nn.init.normal_(mlp.get_parameter("0.bias"))
    x = torch.randn(*leading, hidden_size, dtype=torch.float64)
    torch.testing.assert_close(mlp(x), by_hand(x, mlp.state_dict()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("index", [2, 4])
def test_dropout_follows_either_layer(index: int) -> None:
    mlp = MLPBlock(50, 100, dropout=0.25)
    x = torch.randn(40, 50)
    seen: list[Tensor] = []
    mlp[index].register_forward_hook(lambda module, args, result: seen.append(result))
    mlp(x)
    share = (seen[0] == 0).double().mean().item()
    assert share == pytest.approx(0.25, abs=0.03)
    assert torch.equal(mlp.eval()(x), mlp(x))


def test_weights_begin_by_the_rule_of_glorot_and_biases_almost_at_zero() -> None:
    mlp = MLPBlock(64, 256)
    bound = math.sqrt(6 / (64 + 256))
    for name in ("0", "3"):
        weight, bias = mlp.get_parameter(f"{name}.weight"), mlp.get_parameter(f"{name}.bias")
        assert 0.99 * bound < weight.abs().max().item() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert bias.std().item() == pytest.approx(1e-6, rel=0.3)


def test_the_contract() -> None:
    mlp = MLPBlock(4, 8)
    assert [*mlp.state_dict()] == ["0.weight", "0.bias", "3.weight", "3.bias"]
    assert str(signature(mlp)) == (
        '(x: Float[Tensor, "*batch hidden=4"]) -> Float[Tensor, "*batch hidden=4"]'
    )
    with pytest.raises(ShapeError, match="expected hidden = 4, got 3"):
        mlp(torch.zeros(2, 3))
    mlp[3] = nn.Linear(8, 5)
    with pytest.raises(ShapeError, match="expected hidden = 4, got 5"):
        mlp(torch.zeros(2, 4))
