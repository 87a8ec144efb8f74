import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import ShapeError, signature
from shapezoo.layers import SelfAttention

SIZES = st.integers(1, 4)


def plain(hidden_size: int, *, scores: float, dropout: float = 0.0) -> SelfAttention:
    """One head, whose queries and keys are the positions times a factor, and its values they."""
    attention = SelfAttention(hidden_size, 1, dropout=dropout).double()
    identity = torch.eye(hidden_size, dtype=torch.float64)
    with torch.no_grad():
        attention.in_proj_weight.copy_(torch.cat([scores * identity, scores * identity, identity]))
        attention.out_proj.weight.copy_(identity)
    return attention


@pytest.mark.parametrize("is_training", [False, True])
@settings(max_examples=30)
@given(batch=SIZES, seq=SIZES, num_heads=SIZES, head_dim=SIZES)
def test_outputs_and_gradients_are_those_of_pytorch(
    is_training: bool, batch: int, seq: int, num_heads: int, head_dim: int
) -> None:
    hidden = num_heads * head_dim
    ours = SelfAttention(hidden, num_heads).double().train(is_training)
    other = nn.MultiheadAttention(hidden, num_heads, batch_first=True).double().train(is_training)
    nn.init.normal_(other.in_proj_bias)
    ours.load_state_dict(other.state_dict())
    x = torch.randn(batch, seq, hidden, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn_like(x)
    results, expected = ours(x), other(x, x, x, need_weights=False)[0]
    torch.testing.assert_close(results, expected, rtol=0, atol=1e-12)
    gradients, wanted = (
        torch.autograd.grad(result, [x, *model.parameters()], upstream)
        for result, model in ((results, ours), (expected, other))
    )
    torch.testing.assert_close(gradients, wanted, rtol=0, atol=1e-12)
    with torch.no_grad():  # where PyTorch takes another kernel
        expected = other(x, x, x, need_weights=False)[0]
        torch.testing.assert_close(ours(x), expected, rtol=0, atol=1e-12)


def test_parameters_are_called_as_those_of_pytorch() -> None:
    ours, other = SelfAttention(8, 2), nn.MultiheadAttention(8, 2)
    assert [*ours.state_dict()] == [*other.state_dict()]
    assert [name for name, _ in ours.named_parameters()] == [n for n, _ in other.named_parameters()]


def test_weights_of_attention_by_hand() -> None:
    a = math.sqrt(math.log(3))
    x = torch.tensor([[[0.0], [a]]], dtype=torch.float64)
    expected = torch.tensor([[[a / 2], [3 * a / 4]]], dtype=torch.float64)  # softmax(0, log 3)
    torch.testing.assert_close(plain(1, scores=1.0)(x), expected, rtol=0, atol=1e-15)


def test_scores_are_divided_by_the_root_of_the_width_of_a_head() -> None:
    a = math.sqrt(math.log(3))
    x = torch.tensor([[[0.0] * 4, [a] * 4]], dtype=torch.float64)
    expected = torch.tensor([[[a / 2] * 4, [9 * a / 10] * 4]], dtype=torch.float64)  # 4 log 3 / 2
    torch.testing.assert_close(plain(4, scores=1.0)(x), expected, rtol=0, atol=1e-15)


@given(batch=SIZES, order=st.permutations(range(5)), num_heads=SIZES)
def test_a_permutation_of_the_positions_permutes_the_result(
    batch: int, order: list[int], num_heads: int
) -> None:
    attention = SelfAttention(2 * num_heads, num_heads).double()
    x = torch.randn(batch, 5, 2 * num_heads, dtype=torch.float64)
    torch.testing.assert_close(attention(x[:, order]), attention(x)[:, order], rtol=0, atol=1e-12)


def test_without_scores_the_mean_is_gathered() -> None:
    x = torch.randn(2, 7, 3, dtype=torch.float64)
    mean = x.mean(1, keepdim=True).expand_as(x)
    torch.testing.assert_close(plain(3, scores=0.0)(x), mean, rtol=0, atol=1e-15)


def test_dropout_removes_whole_weights_and_keeps_the_mean() -> None:
    attention = plain(2, scores=0.0, dropout=0.25)
    ones = torch.ones(20, 50, 2, dtype=torch.float64)
    gathered = attention(ones)
    kept = gathered * 50 * 0.75  # of 50 positions, each with weight 1 / 50 / 0.75
    torch.testing.assert_close(kept, kept.round(), rtol=0, atol=1e-9)
    assert torch.equal(gathered[..., 0], gathered[..., 1])
    assert gathered.std() > 0.05
    assert gathered.mean().item() == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(attention.eval()(ones), ones)


def test_weights_begin_uniform_and_biases_at_zero() -> None:
    attention = SelfAttention(64, 4)
    for weight, bound in (
        (attention.in_proj_weight, math.sqrt(6 / (64 + 3 * 64))),
        (attention.out_proj.weight, math.sqrt(1 / 64)),
    ):
        assert 0.99 * bound < weight.abs().max().item() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert weight.mean().item() == pytest.approx(0, abs=0.03 * bound)
    assert not attention.in_proj_bias.any()
    assert not attention.out_proj.bias.any()


@pytest.mark.parametrize("num_heads", [3, 16])
def test_heads_that_do_not_share_the_width_equally_are_refused(num_heads: int) -> None:
    message = f"hidden_size must be divisible by num_heads = {num_heads}, got 8"
    with pytest.raises(ValueError, match=message):
        SelfAttention(8, num_heads)


def test_the_contract() -> None:
    attention = SelfAttention(8, 2)
    assert str(signature(attention)) == (
        '(x: Float[Tensor, "batch seq hidden=8"]) -> Float[Tensor, "batch seq hidden=8"]'
    )
    with pytest.raises(ShapeError, match="expected hidden = 8, got 4"):
        attention(torch.zeros(1, 2, 4))
    attention.out_proj = nn.Linear(8, 4)
    with pytest.raises(ShapeError, match="expected hidden = 8, got 4"):
        attention(torch.zeros(1, 2, 8))


@pytest.mark.parametrize("shape", [(0, 3, 8), (2, 0, 8)])
def test_there_may_be_no_examples_or_positions(shape: tuple[int, ...]) -> None:
    x: Tensor = torch.zeros(shape)
    assert SelfAttention(8, 2)(x).shape == shape


def test_repr_tells_the_sizes() -> None:
    assert repr(SelfAttention(8, 2)).startswith("SelfAttention(\n  8, num_heads=2, dropout=0.0\n")
