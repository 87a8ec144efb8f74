import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from tests.models.vision.parity import assert_parity
from torchvision.models import maxvit as theirs

from shapezoo import ShapeError
from shapezoo.models import MaxViT, RelativeAttention, maxvit_micro
from shapezoo.models.vision.transformers.maxvit_blocks import merge_grid, partition_grid


def small() -> MaxViT:
    return maxvit_micro(num_classes=7, stochastic_depth=0.0)


def test_a_small_network_is_that_of_torchvision() -> None:
    other = torchvision.models.MaxVit(
        (224, 224), 8, 7, [8, 8, 16, 16], [1, 1, 2, 1], 4, 0.0, num_classes=7
    )
    assert_parity(small(), other, torch.randn(2, 3, 224, 224, dtype=torch.float64))


@given(
    size=st.integers(1, 4),
    rows=st.integers(1, 3),
    columns=st.integers(1, 3),
    channels=st.integers(1, 3),
)
def test_grids_are_cut_and_put_together(size: int, rows: int, columns: int, channels: int) -> None:
    height, width = size * rows, size * columns
    maps = torch.randn(2, height, width, channels)
    grids = partition_grid(maps, size)
    assert torch.equal(merge_grid(grids, size, height, width), maps)


def test_the_pixels_of_a_grid_are_equally_far_apart() -> None:
    maps = torch.arange(36.0).view(1, 6, 6, 1)
    first = partition_grid(maps, 2)[0, 0, :, 0]
    assert first.tolist() == [0, 3, 18, 21]
    last = partition_grid(maps, 2)[0, -1, :, 0]
    assert last.tolist() == [14, 17, 32, 35]


def test_attention_is_that_of_torchvision() -> None:
    ours = RelativeAttention(8, head_dim=4, size=3).double()
    other = theirs.RelativePositionalMultiHeadAttention(8, 4, 9).double()
    ours.load_state_dict(other.state_dict())
    x = torch.randn(2, 5, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(ours(x), other(x), rtol=0, atol=1e-12)


def test_channels_are_divisible_by_the_width_of_a_head() -> None:
    with pytest.raises(ValueError, match="divisible by head_dim = 3, got 8"):
        RelativeAttention(8, head_dim=3, size=2)


def test_images_of_other_sizes_are_taken_if_windows_divide_their_maps() -> None:
    model = small().eval()
    for height, width in ((221, 224), (448, 222)):
        assert model(torch.zeros(1, 3, height, width)).shape == (1, 7)
    with pytest.raises(ShapeError, match=r"height % 224 in \(0, 221, 222, 223\)"):
        model(torch.zeros(1, 3, 225, 224))
