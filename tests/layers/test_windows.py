import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor

from shapezoo import Module, ShapeError, signature
from shapezoo.layers import merge_windows, partition_windows, relative_position_index
from shapezoo.testing import assert_proved

SIZES = st.integers(1, 4)


@given(batch=SIZES, rows=SIZES, columns=SIZES, size=SIZES, channels=SIZES)
def test_windows_are_crops(batch: int, rows: int, columns: int, size: int, channels: int) -> None:
    maps = torch.randn(batch, rows * size, columns * size, channels)
    windows = partition_windows(maps, size)
    for index in range(rows * columns):
        top, left = index // columns * size, index % columns * size
        crop = maps[:, top : top + size, left : left + size]
        assert torch.equal(windows[:, index], crop.flatten(1, 2))


@given(batch=st.integers(0, 3), rows=SIZES, columns=SIZES, size=SIZES, channels=SIZES)
def test_merging_undoes_partitioning(
    batch: int, rows: int, columns: int, size: int, channels: int
) -> None:
    maps = torch.randn(batch, channels, rows * size, columns * size).permute(0, 2, 3, 1)
    windows = partition_windows(maps, size)
    assert torch.equal(merge_windows(windows, size, *maps.shape[1:3]), maps)


@given(height=SIZES, width=SIZES)
def test_equal_steps_have_equal_numbers_in_the_order_of_rows(height: int, width: int) -> None:
    index = relative_position_index(height, width)
    pixels = [(row, column) for row in range(height) for column in range(width)]
    numbers: dict[tuple[int, int], float] = {}
    for query, (row, column) in enumerate(pixels):
        for key, (other_row, other_column) in enumerate(pixels):
            step = row - other_row, column - other_column
            assert numbers.setdefault(step, index[query, key].item()) == index[query, key]
    assert [numbers[step] for step in sorted(numbers)] == list(range(len(numbers)))
    assert len(numbers) == (2 * height - 1) * (2 * width - 1)


def test_the_index_of_a_window_of_two_rows_and_one_column() -> None:
    assert relative_position_index(2, 1).tolist() == [[1, 0], [2, 1]]


@pytest.mark.parametrize(("height", "width"), [(6, 9), (7, 6)])
def test_maps_that_cannot_be_cut_are_refused(height: int, width: int) -> None:
    with pytest.raises(RuntimeError, match=r"Provided sizes \[-1, 4\] don't multiply up"):
        partition_windows(torch.zeros(1, height, width, 2), 4)


def test_windows_for_other_maps_are_refused() -> None:
    windows = torch.zeros(1, 6, 4, 5)
    assert merge_windows(windows, 2, 6, 4).shape == (1, 6, 4, 5)
    with pytest.raises(ShapeError, match="= 4, got 6"):
        merge_windows(windows, 2, 4, 4)
    with pytest.raises(ShapeError, match=r"= 9, got 4"):
        merge_windows(windows, 3, 6, 9)


def test_the_contracts() -> None:
    assert str(signature(partition_windows)) == (
        '(maps: Float[Tensor, "batch height width channels"], size: int) -> '
        'Float[Tensor, "batch windows=(height//{size})*(width//{size}) seq={size}*{size} channels"]'
    )
    assert str(signature(merge_windows)) == (
        '(windows: Float[Tensor, "batch windows={(height//size)*(width//size)} '
        'seq={size}*{size} channels"], size: int, height: int, width: int) -> '
        'Float[Tensor, "batch height={height} width={width} channels"]'
    )
    assert str(signature(relative_position_index)) == (
        '(height: int, width: int) -> Int64[Tensor, "seq={height}*{width} kv_seq={height}*{width}"]'
    )


class Windows(Module):
    """Cuts maps into windows and merges them."""

    def forward(
        self, maps: Float[Tensor, "batch height width channels"]
    ) -> Float[Tensor, "batch height width channels"]:
        windows = partition_windows(maps, 7)
        return merge_windows(windows, 7, maps.shape[1], maps.shape[2])


def test_all_multiples_of_the_size_are_proved() -> None:
    assert_proved(Windows(), preconditions=["height % 7 == 0", "width % 7 == 0"])


def test_windows_in_a_graph() -> None:
    maps = torch.randn(2, 14, 21, 3)
    traced = torch.fx.symbolic_trace(Windows())
    compiled = torch.compile(Windows(), backend="eager", fullgraph=True, dynamic=True)
    assert torch.equal(traced(maps), maps)
    assert torch.equal(compiled(maps), maps)
