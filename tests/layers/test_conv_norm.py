import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, signature
from shapezoo.layers import ConvNormReLU

SIDES = st.integers(1, 7)
SIZES = st.integers(7, 12)


def by_hand(x: Tensor, layer: ConvNormReLU, stride: int, padding: tuple[int, int]) -> Tensor:
    """Windows, times weights, normalised by the statistics and cut at zero."""
    weight, (rows, columns) = layer.conv.weight, padding
    windows = functional.pad(x, [columns, columns, rows, rows])
    windows = windows.unfold(2, weight.shape[2], stride).unfold(3, weight.shape[3], stride)
    maps = torch.einsum("bihwkl,oikl->bohw", windows, weight)
    state = layer.state_dict()
    mean, variance, scale, shift = (
        state[f"bn.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    normalised: Tensor = (maps - mean) / (variance + 0.001).sqrt() * scale + shift
    return normalised.clamp(min=0)


@given(
    batch=st.integers(0, 3),
    in_channels=st.integers(1, 3),
    out_channels=st.integers(1, 3),
    kernel_size=st.tuples(SIDES, SIDES),
    stride=st.integers(1, 3),
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    height=SIZES,
    width=SIZES,
)
def test_maps_equal_those_by_hand(
    batch: int,
    in_channels: int,
    out_channels: int,
    kernel_size: tuple[int, int],
    stride: int,
    padding: tuple[int, int],
    height: int,
    width: int,
) -> None:
    layer = ConvNormReLU(
        in_channels, out_channels, kernel_size=kernel_size, stride=stride, padding=padding
    )
    for tensor in layer.bn.state_dict().values():  # statistics, scales and shifts that differ
        tensor += torch.rand(tensor.shape).to(tensor)
    layer.double().eval()
    x = torch.randn(batch, in_channels, height, width, dtype=torch.float64)
    expected = by_hand(x, layer, stride, padding)
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


def test_one_number_stands_for_both_directions() -> None:
    one = ConvNormReLU(2, 3, kernel_size=3, stride=2, padding=1)
    two = ConvNormReLU(2, 3, kernel_size=(3, 3), stride=2, padding=(1, 1))
    two.load_state_dict(one.state_dict())
    x = torch.randn(2, 2, 8, 9)
    assert torch.equal(one(x), two(x))


def test_training_normalises_each_map() -> None:
    layer = ConvNormReLU(2, 3, kernel_size=3).double()
    layer.relu = nn.Identity()  # type: ignore[assignment]  # to see both signs
    maps = layer(100 * torch.randn(4, 2, 9, 9, dtype=torch.float64) + 7)
    torch.testing.assert_close(maps.mean(dim=(0, 2, 3)), torch.zeros(3).double())
    spread = maps.std(dim=(0, 2, 3), correction=0)
    torch.testing.assert_close(spread, torch.ones(3).double(), rtol=1e-6, atol=0)


def test_the_keys() -> None:
    assert [*ConvNormReLU(2, 3, kernel_size=1).state_dict()] == [
        "conv.weight",
        *(f"bn.{part}" for part in ("weight", "bias", "running_mean", "running_var")),
        "bn.num_batches_tracked",
    ]


@pytest.mark.parametrize(
    ("layer", "height", "width"),
    [
        (ConvNormReLU(2, 3, kernel_size=3, stride=2), "(height-3)//2+1", "(width-3)//2+1"),
        (ConvNormReLU(2, 3, kernel_size=7, stride=2, padding=3), "(height-1)//2+1", None),
        (ConvNormReLU(2, 3, kernel_size=(1, 7), padding=(0, 3)), "(height-1)//1+1", None),
    ],
)
def test_the_contract(layer: ConvNormReLU, height: str, width: str | None) -> None:
    width = width or height.replace("height", "width")
    assert str(signature(layer)) == (
        '(x: Float[Tensor, "batch channels=2 height width"]) -> '
        f'Float[Tensor, "batch channels=3 height={height} width={width}"]'
    )


def test_another_convolution_is_refused() -> None:
    layer = ConvNormReLU(2, 3, kernel_size=(1, 7), padding=(0, 3))
    layer.conv = nn.Conv2d(2, 3, (7, 1), padding=(0, 3))
    with pytest.raises(ShapeError, match=r"expected height=\(height-1\)//1\+1 = 9, got 3"):
        layer(torch.zeros(1, 2, 9, 9))
