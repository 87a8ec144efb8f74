import functools
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.zoo.subjects import fill_statistics, vary
from torch import nn
from torchvision.models.mobilenetv3 import InvertedResidual, InvertedResidualConfig

from shapezoo import ShapeError, prove, signature
from shapezoo.layers import SqueezeExcitation
from shapezoo.models import MBConv

MBCONV = torchvision.models.efficientnet.MBConv
CONFIG = torchvision.models.efficientnet.MBConvConfig
SILU = functools.partial(nn.SiLU, inplace=True)


def block(**changes: Any) -> MBConv:
    arguments: dict[str, Any] = {
        "kernel_size": 3,
        "stride": 1,
        "norm": nn.BatchNorm2d,
        "activation": SILU,
    }
    return MBConv(8, changes.pop("expanded", 16), 8, **arguments | changes)


@settings(max_examples=25)
@given(
    expansion=st.sampled_from([1, 4, 6]),
    kernel_size=st.sampled_from([3, 5]),
    stride=st.integers(1, 2),
    out_channels=st.sampled_from([8, 16]),
    height=st.integers(1, 9),
    width=st.integers(1, 9),
)
def test_it_is_that_of_torchvision(
    expansion: int, kernel_size: int, stride: int, out_channels: int, height: int, width: int
) -> None:
    config = CONFIG(expansion, kernel_size, stride, 8, out_channels, 1)
    other = MBCONV(config, 0.0, nn.BatchNorm2d).double()
    vary(other)
    fill_statistics(other, torch.randn(9, 8, 9, 9, dtype=torch.float64))
    ours = MBConv(
        8,
        8 * expansion,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        norm=nn.BatchNorm2d,
        activation=SILU,
        squeeze_excitation=SqueezeExcitation(8 * expansion, 2, activation=SILU),
    ).double()
    assert [*ours.state_dict()] == [*other.state_dict()]
    ours.load_state_dict(other.state_dict())
    x = torch.randn(2, 8, height, width, dtype=torch.float64)
    torch.testing.assert_close(ours.eval()(x), other.eval()(x), rtol=1e-10, atol=1e-10)


def test_it_is_that_of_mobilenet_v3_without_squeeze_and_excitation() -> None:
    config = InvertedResidualConfig(8, 5, 24, 8, False, "RE", 1, 1, 1.0)
    other = InvertedResidual(config, nn.BatchNorm2d).double()
    vary(other)
    fill_statistics(other, torch.randn(9, 8, 9, 9, dtype=torch.float64))
    ours = block(expanded=24, kernel_size=5, activation=nn.ReLU).double()
    ours.load_state_dict(other.state_dict())
    x = torch.randn(2, 8, 7, 9, dtype=torch.float64)
    torch.testing.assert_close(ours.eval()(x), other.eval()(x), rtol=1e-10, atol=1e-10)


def test_the_residual_of_some_examples_is_left_out_in_train_mode() -> None:
    ours = block(stochastic_depth=0.75, norm=lambda channels: nn.GroupNorm(1, channels)).double()
    x = torch.randn(1, 8, 4, 5, dtype=torch.float64).expand(64, -1, -1, -1)
    residual = ours.eval()(x) - x
    added = ours.train()(x) - x
    is_dropped = (added == 0).flatten(1).all(1)
    assert 32 < is_dropped.sum() < 64
    torch.testing.assert_close(added[~is_dropped], 4 * residual[~is_dropped])


def test_the_argument_is_left_alone() -> None:
    x = torch.ones(2, 8, 4, 5)
    block()(x)
    assert torch.equal(x, torch.ones_like(x))


@pytest.mark.parametrize("stride", [1, 2])
def test_the_contract(stride: int) -> None:
    ours = block(stride=stride, squeeze_excitation=SqueezeExcitation(16, 4))
    assert str(signature(ours)) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        f'Float[Tensor, "batch channels=8 height=(height-1)//{stride}+1 '
        f'width=(width-1)//{stride}+1"]'
    )
    proof = prove(ours.eval())
    assert proof.verdict == "proved"
    assert proof.preconditions == ()


def test_a_residual_that_would_be_broadcast_is_refused() -> None:
    ours = MBConv(1, 2, 1, kernel_size=3, stride=1, norm=nn.BatchNorm2d, activation=SILU)
    ours.block.append(nn.ConstantPad2d(1, 0.0))
    with pytest.raises(ShapeError, match=r"expected height=\(height-1\)//1\+1 = 1, got 3"):
        ours(torch.zeros(2, 1, 1, 1))
