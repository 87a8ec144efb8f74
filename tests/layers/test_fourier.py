import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shapezoo import ShapeError
from shapezoo.layers import FourierMagnitudes

SIZES = st.integers(1, 9)


def by_hand(images: Tensor) -> Tensor:
    """The magnitudes of all frequencies, from the sums over sines and cosines."""

    def waves(size: int) -> Tensor:
        places = torch.arange(size, dtype=torch.float64)
        turns = places[:, None] * places / size
        return torch.exp(-2j * math.pi * turns) / math.sqrt(size)

    height, width = images.shape[-2:]
    return (waves(height) @ images.to(torch.complex128) @ waves(width)).abs()


@given(batch=st.integers(0, 3), channels=st.integers(1, 3), height=SIZES, width=SIZES)
def test_magnitudes_are_those_of_the_sums(
    batch: int, channels: int, height: int, width: int
) -> None:
    images = torch.randn(batch, channels, height, width, dtype=torch.float64)
    half = by_hand(images)[..., : width // 2 + 1]
    torch.testing.assert_close(FourierMagnitudes()(images), half, rtol=1e-12, atol=1e-12)


@given(height=SIZES, width=SIZES, down=st.integers(-9, 9), right=st.integers(-9, 9))
def test_cyclic_shifts_change_nothing(height: int, width: int, down: int, right: int) -> None:
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    shifted = images.roll((down, right), dims=(-2, -1))
    transform = FourierMagnitudes()
    torch.testing.assert_close(transform(shifted), transform(images), rtol=1e-12, atol=1e-12)


@given(height=SIZES, width=SIZES)
def test_half_a_turn_changes_nothing(height: int, width: int) -> None:
    images = torch.randn(2, 1, height, width, dtype=torch.float64)
    transform = FourierMagnitudes()
    turned = transform(images.rot90(2, dims=(-2, -1)))
    torch.testing.assert_close(turned, transform(images), rtol=1e-12, atol=1e-12)


@given(height=SIZES, width=SIZES)
def test_the_energy_of_the_pixels_is_that_of_the_frequencies(height: int, width: int) -> None:
    """Parseval, where each frequency that the half leaves out counts with its mirror image."""
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    frequencies = torch.arange(width // 2 + 1)
    is_alone = (2 * frequencies) % width == 0
    weights = torch.where(is_alone, 1.0, 2.0).double()
    energy = (FourierMagnitudes()(images).square() * weights).sum((-2, -1))
    torch.testing.assert_close(energy, images.square().sum((-2, -1)))


def test_a_constant_image_has_one_frequency() -> None:
    magnitudes = FourierMagnitudes()(torch.full((1, 1, 4, 9), -2.0, dtype=torch.float64))
    assert magnitudes[0, 0, 0, 0].item() == pytest.approx(12)
    magnitudes[0, 0, 0, 0] = 0
    assert magnitudes.max() < 1e-12


def test_stripes_show_at_their_frequency() -> None:
    columns = torch.cos(2 * math.pi * 3 * torch.arange(8, dtype=torch.float64) / 8)
    magnitudes = FourierMagnitudes()(columns.expand(1, 1, 6, 8))
    assert magnitudes.argmax().item() == 3
    assert (magnitudes > 1e-12).sum() == 1


def test_the_gradient_is_finite_where_a_magnitude_is_zero() -> None:
    images = torch.zeros(1, 1, 4, 4, requires_grad=True)
    (gradient,) = torch.autograd.grad(FourierMagnitudes()(images).sum(), images)
    assert gradient.isfinite().all()


def test_the_whole_spectrum_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.fft, "rfft2", torch.fft.fft2)
    with pytest.raises(ShapeError, match=r"expected width//2\+1 = 15, got 28"):
        FourierMagnitudes()(torch.zeros(2, 1, 28, 28))
