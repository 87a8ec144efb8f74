import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models import swin_transformer as published

from shapezoo import ShapeError, create_model, model_info, signature
from shapezoo.layers import StochasticDepth
from shapezoo.models import (
    PatchMergingV2,
    ShiftedWindows,
    SwinBlockV2,
    SwinTransformer,
    WindowAttentionV2,
    Windows,
    swin_v2_micro,
)
from shapezoo.models.vision.transformers.swin_v2 import ContinuousPositionBias, log_spaced_steps

SIDES = st.integers(1, 9)


def random_maps(height: int, width: int, channels: int = 4, batch: int = 2) -> Tensor:
    return torch.randn(batch, height, width, channels, dtype=torch.float64)


def varied_attention(windows: Windows | ShiftedWindows) -> WindowAttentionV2:
    """An attention with large weights."""
    attention = WindowAttentionV2(4, head_dim=2, windows=windows, dropout=0.0).double()
    for parameter in attention.parameters():
        nn.init.normal_(parameter, std=0.5)
    return attention


def test_steps_are_spaced_as_logarithms() -> None:
    steps = log_spaced_steps(5)
    down, right = steps.unbind(-1)
    assert torch.equal(down, right.T)
    assert torch.equal(steps, -steps.flip(0, 1))
    expected = [math.log2(1 + 2 * n) / 3 for n in range(5)]  # 4 pixels become 8
    assert down[4:, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("size", [2, 3, 8])
def test_steps_are_those_of_torchvision(size: int) -> None:
    other = published.ShiftedWindowAttentionV2(4, [size, size], [0, 0], 2)
    ours = WindowAttentionV2(4, head_dim=2, windows=Windows(size), dropout=0.0)
    assert torch.equal(ours.relative_coords_table, other.relative_coords_table)
    assert torch.equal(ours.relative_position_index, other.relative_position_index)


def test_the_bias_is_computed_from_the_step() -> None:
    attention = varied_attention(Windows(3))
    first, second = (attention.cpb_mlp.get_parameter(f"{n}.weight") for n in (0, 2))
    first_bias, bias = attention.cpb_mlp.get_parameter("0.bias"), attention.position_bias()
    assert bias.shape == (2, 9, 9)
    for query in range(9):
        for key in range(9):
            down, right = query // 3 - key // 3, query % 3 - key % 3
            step = torch.tensor([4.0 * down, 4.0 * right], dtype=torch.float64)  # 2 become 8
            logs = step.sign() * (1 + step.abs()).log() / math.log(8)
            hidden = (first @ logs + first_bias).clamp(min=0)
            expected = 16 / (1 + (-second @ hidden).exp())
            torch.testing.assert_close(bias[:, query, key], expected, rtol=1e-6, atol=1e-6)


def attention_by_hand(attention: WindowAttentionV2, maps: Tensor) -> Tensor:
    """Equation 2, for maps that one window covers; what is missing is zero."""
    size, (_, height, width, _) = attention.windows.size, maps.shape
    pixels = functional.pad(maps, (0, 0, 0, size - width, 0, size - height)).flatten(1, 2)
    weights = attention.qkv.weight.view(3, 2, 2, 4)  # part, head, head_dim, channels
    query_bias, _, value_bias = attention.qkv.bias.view(3, 2, 2)
    heads = []
    for head in range(2):
        query = pixels @ weights[0, head].T + query_bias[head]
        key = pixels @ weights[1, head].T
        value = pixels @ weights[2, head].T + value_bias[head]
        lengths = query.norm(dim=-1)[:, :, None] * key.norm(dim=-1)[:, None]
        cosines = query @ key.mT / lengths.clamp(min=1e-12)
        scale = min(math.exp(attention.logit_scale[head].item()), 100.0)
        scores = cosines * scale + attention.position_bias()[head]
        heads.append(scores.exp() / scores.exp().sum(-1, keepdim=True) @ value)
    output = torch.cat(heads, dim=-1) @ attention.proj.weight.T + attention.proj.bias
    return output.view(-1, size, size, 4)[:, :height, :width]


@settings(max_examples=20)
@given(
    windows=st.sampled_from([Windows(3), ShiftedWindows(4)]),
    height=st.integers(1, 3),
    width=st.integers(1, 3),
    log_scale=st.floats(-2, 6),
)
def test_the_attention_is_that_of_the_paper(
    windows: Windows | ShiftedWindows, height: int, width: int, log_scale: float
) -> None:
    attention, maps = varied_attention(windows), random_maps(height, width)
    nn.init.constant_(attention.logit_scale[0], log_scale)
    expected = attention_by_hand(attention, maps)
    torch.testing.assert_close(attention(maps), expected, rtol=1e-10, atol=1e-10)


def test_keys_have_no_bias() -> None:
    attention, maps = varied_attention(Windows(3)), random_maps(5, 5)
    before = attention(maps)
    (gradient,) = torch.autograd.grad(before.square().sum(), attention.qkv.bias)
    assert gradient.view(3, 4).any(1).tolist() == [True, False, True]
    with torch.no_grad():
        attention.qkv.bias[4:8] = 7.0
    assert torch.equal(attention(maps), before)


@settings(max_examples=25)
@given(height=SIDES, width=SIDES)
def test_neighbours_are_merged_and_then_normalised(height: int, width: int) -> None:
    merging, maps = PatchMergingV2(3).double(), random_maps(height, width, channels=3)
    whole = functional.pad(maps, (0, 0, 0, width % 2, 0, height % 2))
    order = [(0, 0), (1, 0), (0, 1), (1, 1)]
    neighbours = torch.cat([whole[:, row::2, column::2] for row, column in order], dim=-1)
    expected = functional.layer_norm(neighbours @ merging.reduction.weight.T, (6,))
    torch.testing.assert_close(merging(maps), expected, rtol=1e-12, atol=1e-12)


def test_a_block_adds_two_normalised_residuals() -> None:
    block = SwinBlockV2(4, varied_attention(Windows(2)), dropout=0.0, stochastic_depth=0.5)
    block, maps = block.double().eval(), random_maps(3, 5)
    halfway = maps + functional.layer_norm(block.attn(maps), (4,))
    expected = halfway + functional.layer_norm(block.mlp(halfway), (4,))
    torch.testing.assert_close(block(maps), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("window_size", "height", "width"),
    [
        (8, 4, 7),  # a single pixel in all stages
        (8, 33, 50),  # windows that are larger than some maps
        (3, 48, 97),  # maps of whole windows and others
        (2, 36, 64),  # an odd number of neighbours
    ],
)
def test_a_small_network_is_that_of_torchvision(window_size: int, height: int, width: int) -> None:
    ours = SwinTransformer(
        WindowAttentionV2,
        SwinBlockV2,
        PatchMergingV2,
        *(4, (1, 2, 3, 2)),
        window_size=window_size,
        head_dim=2,
        num_classes=7,
    ).double()
    other = torchvision.models.SwinTransformer(
        *([4, 4], 4, [1, 2, 3, 2], [2, 4, 8, 16], [window_size, window_size]),
        stochastic_depth_prob=0.0,
        num_classes=7,
        block=published.SwinTransformerBlockV2,
        downsample_layer=published.PatchMergingV2,
    ).double()
    for parameter in other.parameters():
        nn.init.normal_(parameter, std=0.5)
    ours.load_state_dict(other.state_dict())
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    logits, expected = ours(images), other(images)
    torch.testing.assert_close(logits, expected, rtol=1e-10, atol=1e-10)
    gradients, others = (
        torch.autograd.grad(result.square().sum(), list(model.parameters()))
        for result, model in ((logits, ours), (expected, other))
    )
    torch.testing.assert_close(gradients, others, rtol=1e-9, atol=1e-9)


def test_weights_begin_with_a_deviation_of_2_hundredths_and_scales_at_10() -> None:
    for name, module in swin_v2_micro().named_modules():
        if isinstance(module, nn.Linear):
            weight = module.weight.detach().double() / 0.02
            assert abs(weight.std() - 1) < 5 / math.sqrt(2 * weight.numel()), name
            assert module.bias is None or not module.bias.any()
        if isinstance(module, WindowAttentionV2):
            scale = module.logit_scale.exp()
            torch.testing.assert_close(scale, torch.full((module.num_heads, 1, 1), 10.0))
            assert (module.position_bias() - 8).abs().max() < 1


def test_windows_are_regular_and_shifted_by_turns() -> None:
    found = [m.windows for m in swin_v2_micro().modules() if isinstance(m, WindowAttentionV2)]
    assert found == [Windows(8), ShiftedWindows(8), Windows(8), Windows(8), Windows(8)]


@pytest.mark.parametrize(
    ("name", "depth", "rate"),
    [("swin_v2_t", 12, 0.2), ("swin_v2_s", 24, 0.3), ("swin_v2_b", 24, 0.5)],
)
def test_residuals_are_left_out_more_often_with_the_depth(
    name: str, depth: int, rate: float
) -> None:
    with torch.device("meta"):
        model = create_model(name)
    found = [module.p for module in model.modules() if isinstance(module, StochasticDepth)]
    assert found == pytest.approx([rate * index / (depth - 1) for index in range(depth)])


def test_the_contracts() -> None:
    bias = ContinuousPositionBias(2)
    assert str(signature(bias)) == (
        '(steps: Float[Tensor, "*batch 2"]) -> Float[Tensor, "*batch heads=2"]'
    )
    assert str(signature(PatchMergingV2(8))) == (
        '(maps: Float[Tensor, "batch height width channels=8"]) -> '
        'Float[Tensor, "batch height=(height+1)//2 width=(width+1)//2 channels=16"]'
    )
    attention = WindowAttentionV2(8, head_dim=4, windows=ShiftedWindows(8), dropout=0.0)
    same = (
        '(maps: Float[Tensor, "batch height width channels=8"]) -> '
        'Float[Tensor, "batch height width channels=8"]'
    )
    assert str(signature(attention)) == same
    assert str(signature(attention.position_bias)) == (
        '() -> Float[Tensor, "heads=2 seq=64 kv_seq=64"]'
    )
    assert str(signature(SwinBlockV2(8, attention, dropout=0.0, stochastic_depth=0.0))) == same


def test_parts_that_do_not_fit_are_refused() -> None:
    attention = WindowAttentionV2(8, head_dim=4, windows=Windows(2), dropout=0.0)
    with pytest.raises(ShapeError, match="expected 2, got 3"):
        attention.cpb_mlp(torch.zeros(5, 3))
    attention.cpb_mlp[2] = nn.Linear(512, 3)
    with pytest.raises(ShapeError, match="expected heads = 2, got 3"):
        attention.position_bias()
    block = SwinBlockV2(4, nn.ZeroPad2d((0, 0, 0, 2)), dropout=0.0, stochastic_depth=0.0)
    with pytest.raises(ShapeError, match="expected width = 1, got 3"):  # it is broadcast
        block(torch.zeros(2, 1, 1, 4))


@pytest.mark.parametrize(
    ("name", "millions"), [("swin_v2_t", 28), ("swin_v2_s", 50), ("swin_v2_b", 88)]
)
def test_the_number_of_parameters_is_that_of_the_authors(name: str, millions: int) -> None:
    assert round(model_info(name).parameters / 1e6) == millions
