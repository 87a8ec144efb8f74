from collections.abc import Callable

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from tests.zoo.subjects import fill_statistics, vary
from torch import nn

from shapezoo import ShapeError, prove, signature
from shapezoo.layers import ConvNormActivation


@given(
    batch=st.integers(0, 3),
    channels=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    groups=st.integers(1, 2),
    kernel_size=st.sampled_from([1, 3, 5, 7]),
    stride=st.integers(1, 3),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_maps_are_those_of_torchvision(
    batch: int,
    channels: tuple[int, int],
    groups: int,
    kernel_size: int,
    stride: int,
    height: int,
    width: int,
) -> None:
    in_channels, out_channels = (groups * number for number in channels)
    other = torchvision.ops.Conv2dNormActivation(
        in_channels, out_channels, kernel_size, stride, groups=groups
    ).double()
    vary(other)
    fill_statistics(other, torch.randn(9, in_channels, 9, 9, dtype=torch.float64))
    layer = ConvNormActivation(
        in_channels, out_channels, kernel_size, stride=stride, groups=groups
    ).double()
    layer.load_state_dict(other.state_dict())
    x = torch.randn(batch, in_channels, height, width, dtype=torch.float64)
    torch.testing.assert_close(layer.eval()(x), other.eval()(x), rtol=1e-12, atol=1e-12)


def test_the_keys_are_those_of_torchvision() -> None:
    keys = [*torchvision.ops.Conv2dNormActivation(2, 3).state_dict()]
    assert [*ConvNormActivation(2, 3, 3).state_dict()] == keys


@pytest.mark.parametrize("activation", [nn.Hardswish, nn.SiLU, None])
def test_the_activation_comes_last(activation: Callable[[], nn.Module] | None) -> None:
    layer = ConvNormActivation(2, 3, 1, activation=activation).eval()
    x = torch.randn(2, 2, 4, 5)
    convolved = nn.functional.conv2d(x, layer.get_parameter("0.weight")) / (1 + 1e-5) ** 0.5
    expected = activation()(convolved) if activation else convolved
    torch.testing.assert_close(layer(x), expected)


def test_another_norm() -> None:
    layer = ConvNormActivation(2, 4, 1, norm=lambda channels: nn.GroupNorm(2, channels))
    assert isinstance(layer[1], nn.GroupNorm)
    maps = layer(torch.randn(3, 2, 5, 5))
    assert maps.shape == (3, 4, 5, 5)
    assert (maps >= 0).all()


def test_the_argument_is_left_alone() -> None:
    x = torch.ones(2, 3, 4, 5)
    ConvNormActivation(3, 3, 3)(x)
    assert torch.equal(x, torch.ones_like(x))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_contract(stride: int) -> None:
    layer = ConvNormActivation(2, 4, 5, stride=stride, groups=2)
    assert str(signature(layer)) == (
        '(x: Float[Tensor, "batch channels=2 height width"]) -> '
        f'Float[Tensor, "batch channels=4 height=(height-1)//{stride}+1 '
        f'width=(width-1)//{stride}+1"]'
    )
    proof = prove(layer.eval())
    assert proof.verdict == "proved"
    assert proof.preconditions == ()


def test_another_convolution_is_refused() -> None:
    layer = ConvNormActivation(2, 3, 3)
    layer[0] = nn.Conv2d(2, 3, 3)
    with pytest.raises(ShapeError, match=r"expected height=\(height-1\)//1\+1 = 9, got 7"):
        layer(torch.zeros(1, 2, 9, 9))
