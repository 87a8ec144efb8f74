import torch
from hypothesis import given
from hypothesis import strategies as st

from shapezoo.layers.channels_last import ChannelsFirst, ChannelsLast

SIZES = st.integers(1, 5)


@given(channels=SIZES, height=SIZES, width=SIZES)
def test_channels_are_moved_and_moved_back(channels: int, height: int, width: int) -> None:
    x = torch.randn(2, channels, height, width)
    moved = ChannelsLast()(x)
    assert torch.equal(moved, torch.stack([x[:, index] for index in range(channels)], dim=-1))
    assert torch.equal(ChannelsFirst()(moved), x)
