import itertools
import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.export import Dim, export
from torch.nn import functional

from shapezoo import ShapeError, create_model, model_info, signature
from shapezoo.layers import MLPBlock, StochasticDepth
from shapezoo.models import (
    Backbone,
    PatchMerging,
    ShiftedWindows,
    SwinBlock,
    SwinTransformer,
    WindowAttention,
    Windows,
    swin_micro,
)
from shapezoo.models.vision.transformers.swin_blocks import PatchEmbedding

SIDES = st.integers(1, 12)
WINDOWS = st.builds(
    lambda kind, size: kind(size), st.sampled_from([Windows, ShiftedWindows]), st.integers(2, 4)
)


def random_maps(height: int, width: int, channels: int = 4, batch: int = 2) -> Tensor:
    return torch.randn(batch, height, width, channels, dtype=torch.float64)


def varied_attention(windows: Windows | ShiftedWindows, *, channels: int = 4) -> WindowAttention:
    """An attention with large weights."""
    attention = WindowAttention(channels, head_dim=2, windows=windows, dropout=0.0).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.5)
    return attention


def stripes(windows: Windows | ShiftedWindows, side: int) -> list[int]:
    """The number of the window that a row or column is in."""
    is_shifted = isinstance(windows, ShiftedWindows) and side > windows.size
    shift = windows.size // 2 if is_shifted else 0
    return [(position - shift) // windows.size for position in range(side)]


@settings(max_examples=50)
@given(windows=WINDOWS, height=SIDES, width=SIDES)
def test_windows_are_cut_and_put_back(
    windows: Windows | ShiftedWindows, height: int, width: int
) -> None:
    maps = random_maps(height, width)
    sizes = []

    def unchanged(windows: Tensor, bias: Tensor) -> Tensor:
        sizes.append(windows.shape)
        return windows

    area = windows.size**2
    assert torch.equal(windows.attend(unchanged, maps, torch.zeros(1, area, area)), maps)
    rows, columns = -(-height // windows.size), -(-width // windows.size)
    assert sizes == [(2, rows * columns, area, 4)]


@settings(max_examples=40)
@given(windows=WINDOWS, height=SIDES, width=SIDES, data=st.data())
def test_pixels_of_different_windows_do_not_attend_to_each_other(
    windows: Windows | ShiftedWindows, height: int, width: int, data: st.DataObject
) -> None:
    row, column = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    attention, maps = varied_attention(windows), random_maps(height, width)
    changed = maps.clone()
    changed[:, row, column] += 1
    moves = (attention(changed) - attention(maps)).abs().amax((0, 3)) > 1e-12
    down, right = stripes(windows, height), stripes(windows, width)
    is_near = [
        [down[i] == down[row] and right[j] == right[column] for j in range(width)]
        for i in range(height)
    ]
    assert torch.equal(moves, torch.tensor(is_near))


def attention_by_hand(attention: WindowAttention, maps: Tensor) -> Tensor:
    """Equation 4, for maps that one window covers; what is missing is zero."""
    size, (_, height, width, _) = attention.windows.size, maps.shape
    pixels = functional.pad(maps, (0, 0, 0, size - width, 0, size - height)).flatten(1, 2)
    weights = attention.qkv.weight.view(3, 2, 2, 4)  # part, head, head_dim, channels
    biases = attention.qkv.bias.view(3, 2, 2)
    positions = list(itertools.product(range(size), repeat=2))
    heads = []
    for head, table in enumerate(attention.relative_position_bias_table.T):
        query, key, value = (
            pixels @ weights[part, head].T + biases[part, head] for part in (0, 1, 2)
        )
        scores = query @ key.mT / math.sqrt(2)
        for i, (row, column) in enumerate(positions):
            for j, (other_row, other_column) in enumerate(positions):
                down, right = row - other_row + size - 1, column - other_column + size - 1
                scores[:, i, j] += table[down * (2 * size - 1) + right]
        heads.append(scores.exp() / scores.exp().sum(-1, keepdim=True) @ value)
    output = torch.cat(heads, dim=-1) @ attention.proj.weight.T + attention.proj.bias
    return output.view(-1, size, size, 4)[:, :height, :width]


@settings(max_examples=10)
@given(windows=WINDOWS, data=st.data())
def test_the_attention_is_that_of_the_paper(
    windows: Windows | ShiftedWindows, data: st.DataObject
) -> None:
    sides = st.integers(1, windows.size)
    attention, maps = varied_attention(windows), random_maps(data.draw(sides), data.draw(sides))
    expected = attention_by_hand(attention, maps)
    torch.testing.assert_close(attention(maps), expected, rtol=1e-12, atol=1e-12)


def test_the_position_bias_of_a_window_of_two_by_two() -> None:
    attention = WindowAttention(4, head_dim=2, windows=Windows(2), dropout=0.0)
    with torch.no_grad():
        attention.relative_position_bias_table[:, 0] = torch.arange(9)
        attention.relative_position_bias_table[:, 1] = -torch.arange(9)
    first, second = attention.position_bias()
    assert first.tolist() == [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]
    assert torch.equal(second, -first)


@settings(max_examples=25)
@given(height=SIDES, width=SIDES)
def test_neighbours_are_merged_column_by_column(height: int, width: int) -> None:
    merging = PatchMerging(3).double()
    maps = random_maps(height, width, channels=3)
    whole = functional.pad(maps, (0, 0, 0, width % 2, 0, height % 2))
    order = [(0, 0), (1, 0), (0, 1), (1, 1)]
    neighbours = torch.cat([whole[:, row::2, column::2] for row, column in order], dim=-1)
    expected = merging.norm(neighbours) @ merging.reduction.weight.T
    torch.testing.assert_close(merging(maps), expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=25)
@given(height=st.integers(4, 13), width=st.integers(4, 13))
def test_each_patch_of_4_by_4_pixels_is_embedded(height: int, width: int) -> None:
    embedding = PatchEmbedding(2, 5).double()
    images = torch.randn(3, 2, height, width, dtype=torch.float64)
    conv = embedding.get_submodule("0")
    assert isinstance(conv, nn.Conv2d)
    assert conv.bias is not None
    patches = images.unfold(2, 4, 4).unfold(3, 4, 4)
    expected = torch.einsum("bchwij,dcij->bhwd", patches, conv.weight) + conv.bias
    expected = functional.layer_norm(expected, (5,))
    torch.testing.assert_close(embedding(images), expected, rtol=1e-12, atol=1e-12)


def small_block(*, stochastic_depth: float = 0.0) -> SwinBlock:
    block = SwinBlock(
        4, varied_attention(Windows(2)), dropout=0.0, stochastic_depth=stochastic_depth
    )
    return block.double()


def test_a_block_adds_two_residuals_of_normalised_maps() -> None:
    block, maps = small_block(), random_maps(3, 5)
    before = maps.clone()
    halfway = maps + block.attn(functional.layer_norm(maps, (4,)))
    expected = halfway + block.mlp(functional.layer_norm(halfway, (4,)))
    torch.testing.assert_close(block(maps), expected, rtol=1e-12, atol=1e-12)
    assert torch.equal(maps, before)


def test_the_residuals_of_some_examples_are_left_out_in_train_mode() -> None:
    block, maps = small_block(stochastic_depth=0.75), random_maps(3, 5, batch=1)
    added = block.train()(maps.expand(64, -1, -1, -1)) - maps
    assert 16 < (added == 0).flatten(1).all(1).sum() < 64  # both residuals: 9 of 16
    assert torch.equal(block.eval()(maps), small_block_without_depth(block)(maps))


def small_block_without_depth(block: SwinBlock) -> SwinBlock:
    other = small_block()
    other.load_state_dict(block.state_dict())
    return other


def small_pair(window_size: int) -> tuple[SwinTransformer, nn.Module]:
    """A small network, and that of torchvision with the same weights."""
    ours = SwinTransformer(
        WindowAttention,
        SwinBlock,
        PatchMerging,
        4,
        (1, 2, 3, 2),
        window_size=window_size,
        head_dim=2,
        num_classes=7,
    ).double()
    other = torchvision.models.SwinTransformer(
        [4, 4],
        4,
        [1, 2, 3, 2],
        [2, 4, 8, 16],
        [window_size, window_size],
        stochastic_depth_prob=0.0,
        num_classes=7,
    ).double()
    for parameter in other.parameters():
        nn.init.normal_(parameter, std=0.5)
    ours.load_state_dict(other.state_dict())
    return ours, other


@pytest.mark.parametrize(
    ("window_size", "height", "width"),
    [
        (7, 4, 7),  # a single pixel in all stages
        (7, 33, 50),  # windows that are larger than some maps
        (3, 48, 97),  # maps of whole windows and others
        (2, 36, 64),  # an odd number of neighbours
    ],
)
def test_a_small_network_is_that_of_torchvision(window_size: int, height: int, width: int) -> None:
    ours, other = small_pair(window_size)
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    logits, expected = ours(images), other(images)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)
    gradients, others = (
        torch.autograd.grad(result.square().sum(), list(model.parameters()))
        for result, model in ((logits, ours), (expected, other))
    )
    torch.testing.assert_close(gradients, others, rtol=1e-9, atol=1e-9)


def rates(model: nn.Module) -> list[float]:
    return [module.p for module in model.modules() if isinstance(module, StochasticDepth)]


@pytest.mark.parametrize(
    ("name", "depth", "rate"),
    [("swin_t", 12, 0.2), ("swin_s", 24, 0.3), ("swin_b", 24, 0.5)],
)
def test_residuals_are_left_out_more_often_with_the_depth(
    name: str, depth: int, rate: float
) -> None:
    with torch.device("meta"):
        models = create_model(name), create_model(name, stochastic_depth=0.7)
    for model, last in zip(models, (rate, 0.7), strict=True):
        assert rates(model) == pytest.approx([last * i / (depth - 1) for i in range(depth)])


def test_windows_are_regular_and_shifted_by_turns() -> None:
    model = swin_micro()
    found = [m.windows for m in model.modules() if isinstance(m, WindowAttention)]
    assert found == [Windows(7), ShiftedWindows(7), Windows(7), Windows(7), Windows(7)]


def test_dropout_follows_linear_layers() -> None:
    model = swin_micro(dropout=0.5, stochastic_depth=0.0)
    assert sum(isinstance(module, nn.Dropout) for module in model.modules()) == 5 * 3
    assert {module.p for module in model.modules() if isinstance(module, nn.Dropout)} == {0.5}
    images = torch.randn(2, 3, 32, 32)
    assert not torch.equal(model(images), model(images))
    assert torch.equal(model.eval()(images), model(images))
    attention = WindowAttention(32, head_dim=2, windows=Windows(7), dropout=0.25)
    dropped = (attention(torch.randn(8, 14, 14, 32)) == 0).double().mean().item()
    assert dropped == pytest.approx(0.25, abs=0.02)


def test_weights_begin_with_a_deviation_of_2_hundredths() -> None:
    model = swin_micro()
    for name, module in model.named_modules():
        if isinstance(module, nn.Linear):
            weight = module.weight.detach().double() / 0.02
            assert abs(weight.std() - 1) < 5 / math.sqrt(2 * weight.numel()), name
            assert module.bias is None or not module.bias.any()
        if isinstance(module, WindowAttention):
            table = module.relative_position_bias_table.detach().double() / 0.02
            assert abs(table.std() - 1) < 5 / math.sqrt(2 * table.numel()), name
    assert sum(isinstance(module, MLPBlock) for module in model.modules()) == 5


@settings(max_examples=8)
@given(height=st.integers(4, 99), width=st.integers(4, 99))
def test_each_map_is_coarser_by_its_stride(height: int, width: int) -> None:
    model = swin_micro(in_channels=1).eval()
    assert isinstance(model, Backbone)
    images = torch.randn(2, 1, height, width)
    maps = model.feature_maps(images)
    for tensor, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        sides = [math.ceil(side // 4 / (stride // 4)) for side in (height, width)]
        assert tensor.shape == (2, channels, *sides)
    features = model.norm(maps[-1].permute(0, 2, 3, 1)).mean((1, 2))
    torch.testing.assert_close(model.head(features), model(images))


def test_each_map_is_made_of_the_one_before() -> None:
    model = swin_micro().double().eval()
    maps = model.feature_maps(torch.randn(2, 3, 64, 50, dtype=torch.float64))
    for index, (finer, coarser) in enumerate(itertools.pairwise(maps)):
        stages = model.features[2 * index + 2 : 2 * index + 4]
        expected = stages(finer.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        torch.testing.assert_close(coarser, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["swin_micro", "swin_v2_micro"])
def test_a_program_with_named_dimensions_serves_all_sizes_of_several_windows(name: str) -> None:
    model = create_model(name).eval()
    sides = {axis: Dim(axis, min=260, max=1024) for axis in ("height", "width")}
    shapes = {"images": {0: Dim("batch"), 2: sides["height"], 3: sides["width"]}}
    program = export(model, (torch.randn(2, 3, 300, 290),), dynamic_shapes=shapes).module()
    for height, width in ((260, 448), (301, 512)):  # with padding in all stages, and in some
        images = torch.randn(3, 3, height, width)
        torch.testing.assert_close(program(images), model(images))


def test_images_of_3_rows_are_too_small() -> None:
    model = swin_micro()
    assert model(torch.zeros(1, 3, 4, 4)).shape == (1, 1000)
    with pytest.raises(ShapeError, match="height must be at least 4, got 3"):
        model(torch.zeros(1, 3, 3, 4))
    with pytest.raises(ShapeError, match="width must be at least 4, got 3"):
        model(torch.zeros(1, 3, 4, 3))


def test_channels_that_are_no_whole_number_of_heads_are_refused() -> None:
    with pytest.raises(ValueError, match="divisible by head_dim = 32, got 48"):
        SwinTransformer(WindowAttention, SwinBlock, PatchMerging, 48, (1, 1, 1, 1), window_size=7)


def test_the_contracts() -> None:
    assert str(signature(PatchEmbedding(3, 8))) == (
        '(images: Float[Tensor, "batch channels=3 height width"]) -> '
        'Float[Tensor, "batch height=height//4 width=width//4 channels=8"]'
    )
    assert str(signature(PatchMerging(8))) == (
        '(maps: Float[Tensor, "batch height width channels=8"]) -> '
        'Float[Tensor, "batch height=(height+1)//2 width=(width+1)//2 channels=16"]'
    )
    attention = WindowAttention(8, head_dim=4, windows=ShiftedWindows(7), dropout=0.0)
    same = (
        '(maps: Float[Tensor, "batch height width channels=8"]) -> '
        'Float[Tensor, "batch height width channels=8"]'
    )
    assert str(signature(attention)) == same
    assert str(signature(attention.position_bias)) == (
        '() -> Float[Tensor, "heads=2 seq=49 kv_seq=49"]'
    )
    assert str(signature(SwinBlock(8, attention, dropout=0.0, stochastic_depth=0.0))) == same
    assert str(signature(swin_micro(in_channels=1).feature_maps)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> tuple['
        'Float[Tensor, "batch channels=8 height=height//4 width=width//4"], '
        'Float[Tensor, "batch channels=16 height=(height//4+1)//2 width=(width//4+1)//2"], '
        'Float[Tensor, "batch channels=32 height=(height//4+3)//4 width=(width//4+3)//4"], '
        'Float[Tensor, "batch channels=64 height=(height//4+7)//8 width=(width//4+7)//8"]]'
    )


def test_parts_that_do_not_fit_are_refused() -> None:
    attention = WindowAttention(8, head_dim=4, windows=Windows(2), dropout=0.0)
    attention.relative_position_bias_table = nn.Parameter(torch.zeros(9, 3))
    with pytest.raises(ShapeError, match="expected kv_seq = 4, got 6"):
        attention.position_bias()
    block = SwinBlock(4, nn.ZeroPad2d((0, 0, 0, 2)), dropout=0.0, stochastic_depth=0.0)
    with pytest.raises(ShapeError, match="expected width = 1, got 3"):  # it is broadcast
        block(torch.zeros(2, 1, 1, 4))
    merging = PatchMerging(1)
    merging.reduction = nn.Linear(4, 3)
    with pytest.raises(ShapeError, match="expected channels = 2, got 3"):
        merging(torch.zeros(1, 2, 2, 1))


@pytest.mark.parametrize(("name", "millions"), [("swin_t", 28), ("swin_s", 50), ("swin_b", 88)])
def test_the_number_of_parameters_is_that_of_the_authors(name: str, millions: int) -> None:
    assert round(model_info(name).parameters / 1e6) == millions
