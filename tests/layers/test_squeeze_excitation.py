import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shapezoo import ShapeError, prove, signature
from shapezoo.layers import SqueezeExcitation

SIZES = st.integers(1, 5)


@given(batch=st.integers(0, 3), channels=SIZES, squeezed=SIZES, height=SIZES, width=SIZES)
def test_channels_are_scaled_as_in_the_paper(
    batch: int, channels: int, squeezed: int, height: int, width: int
) -> None:
    """Equations 2 to 4, from the weights alone."""
    layer = SqueezeExcitation(channels, squeezed).double()
    x = torch.randn(batch, channels, height, width, dtype=torch.float64)
    state = layer.state_dict()
    first, second = (state[f"fc{number}.weight"].flatten(1) for number in (1, 2))
    hidden = (x.mean((2, 3)) @ first.T + state["fc1.bias"]).clamp(min=0)
    scales = 1 / (1 + (-(hidden @ second.T) - state["fc2.bias"]).exp())
    torch.testing.assert_close(layer(x), x * scales[:, :, None, None], rtol=1e-12, atol=1e-12)


def test_it_is_that_of_torchvision() -> None:
    activations = {"activation": nn.SiLU, "scale_activation": nn.Hardsigmoid}
    other = torchvision.ops.SqueezeExcitation(8, 3, **activations).double()
    layer = SqueezeExcitation(8, 3, activation=nn.SiLU, gate=nn.Hardsigmoid).double()
    assert [*layer.state_dict()] == [*other.state_dict()]
    layer.load_state_dict(other.state_dict())
    x = torch.randn(2, 8, 5, 4, dtype=torch.float64)
    result, expected = layer(x), other(x)
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(
        torch.autograd.grad(result.square().sum(), [*layer.parameters()]),
        torch.autograd.grad(expected.square().sum(), [*other.parameters()]),
        rtol=1e-12,
        atol=1e-12,
    )


def test_the_argument_is_left_alone() -> None:
    x = torch.ones(2, 3, 4, 5)
    SqueezeExcitation(3, 2)(x)
    assert torch.equal(x, torch.ones_like(x))


def test_the_contract() -> None:
    layer = SqueezeExcitation(4, 2)
    assert str(signature(layer)) == (
        '(x: Float[Tensor, "batch channels=4 height width"]) -> '
        'Float[Tensor, "batch channels=4 height width"]'
    )
    proof = prove(layer)
    assert proof.verdict == "proved"
    assert proof.preconditions == ()


def test_scales_that_would_be_broadcast_are_refused() -> None:
    layer = SqueezeExcitation(1, 2)
    layer.fc2 = nn.Conv2d(2, 3, 1)
    with pytest.raises(ShapeError, match="expected channels = 1, got 3"):
        layer(torch.zeros(2, 1, 4, 4))
