import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shapezoo import ShapeError
from shapezoo.layers import ConvFeatures

SIZES = st.integers(2, 9)


@given(
    batch=st.integers(0, 3),
    in_channels=st.integers(1, 3),
    out_channels=st.integers(1, 4),
    height=SIZES,
    width=SIZES,
)
def test_features_are_the_strongest_responses_of_each_block(
    batch: int, in_channels: int, out_channels: int, height: int, width: int
) -> None:
    model = ConvFeatures(in_channels, out_channels).double()
    images = torch.randn(batch, in_channels, height, width, dtype=torch.float64)
    weights = model.state_dict()
    padded = nn.functional.pad(images, [2] * 4)
    windows = padded.unfold(2, 5, 1).unfold(3, 5, 1)
    responses = torch.einsum("bihwkl,oikl->bohw", windows, weights["layers.0.weight"])
    responses = (responses + weights["layers.0.bias"][:, None, None]).clamp(min=0)
    expected = responses.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
    torch.testing.assert_close(model(images), expected, rtol=1e-12, atol=1e-12)


def test_a_convolution_without_padding_is_refused() -> None:
    model = ConvFeatures(1, 4)
    model.layers[0] = nn.Conv2d(1, 4, kernel_size=5)
    with pytest.raises(ShapeError, match=r"expected height//2 = 14, got 12"):
        model(torch.zeros(2, 1, 28, 28))
