import pytest
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models._utils import _make_divisible

from shapezoo.layers import make_divisible


@pytest.mark.parametrize(
    ("channels", "rounded"),
    [(1, 8), (8, 8), (11.9, 16), (12, 16), (33.6, 32), (1.1 * 40, 48), (0.35 * 32, 16), (36, 40)],
)
def test_numbers_are_rounded_to_multiples_of_8(channels: float, rounded: int) -> None:
    assert make_divisible(channels) == rounded


@given(channels=st.floats(0.1, 5000), divisor=st.integers(1, 64))
def test_it_is_that_of_torchvision(channels: float, divisor: int) -> None:
    assert make_divisible(channels, divisor) == _make_divisible(channels, divisor)


@given(channels=st.floats(0.1, 5000), divisor=st.integers(1, 64))
def test_little_is_lost(channels: float, divisor: int) -> None:
    rounded = make_divisible(channels, divisor)
    assert rounded % divisor == 0
    assert rounded >= max(divisor, 0.9 * channels)
    assert rounded <= max(divisor, channels + divisor)
