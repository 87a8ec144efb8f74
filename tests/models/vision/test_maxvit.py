import itertools
import math

import pytest
import torch
from tests.models.vision.parity import assert_parity, assert_same_layers, deviation
from torch import Tensor, nn
from torchvision.models.maxvit import MaxVit

from shapezoo import ShapeError, create_model, model_info, prove, signature
from shapezoo.layers import StochasticDepth, relative_position_index
from shapezoo.models import (
    Backbone,
    MaxViT,
    MaxViTBlock,
    PartitionAttention,
    PreNormMBConv,
    RelativeAttention,
    maxvit_micro,
    maxvit_t,
)
from shapezoo.models.vision.transformers.maxvit_blocks import merge_grid, partition_grid
from shapezoo.testing import assert_proved


def small(size: int = 2, num_classes: int = 7) -> MaxViT:
    """A network for windows of another size, so that small images will do."""
    return MaxViT(
        (8, 8, 16, 16),
        (1, 1, 2, 1),
        stem_channels=8,
        head_dim=4,
        partition_size=size,
        num_classes=num_classes,
    )


@pytest.mark.parametrize(("side", "size"), [(64, 2), (125, 2), (96, 3)])
def test_a_small_network_is_that_of_torchvision(side: int, size: int) -> None:
    other = MaxVit((side, side), 8, size, [8, 8, 16, 16], [1, 1, 2, 1], 4, 0.0, num_classes=7)
    assert_parity(small(size), other, torch.randn(3, 3, side, side, dtype=torch.float64))


def test_the_layers_are_those_of_torchvision() -> None:
    assert_same_layers("maxvit_t")


def attention_by_hand(x: Tensor, attention: RelativeAttention, pairs: list[Tensor]) -> Tensor:
    """Attention among a few pixels, from the weights alone, one head and one query at a time."""
    qkv = x @ attention.to_qkv.weight.T + attention.to_qkv.bias
    heads = []
    for head, part in enumerate(qkv.view(len(x), 3, attention.num_heads, -1).unbind(2)):
        queries, keys, values = part.unbind(1)
        rows = []
        for query, steps in zip(queries, pairs, strict=True):
            bias = attention.relative_position_bias_table[steps, head]
            scores = keys @ query / math.sqrt(attention.channels) + bias
            rows.append(scores.exp() @ values / scores.exp().sum())
        heads.append(torch.stack(rows))
    return torch.cat(heads, 1) @ attention.merge.weight.T + attention.merge.bias


def test_attention_is_biased_by_the_step_between_two_pixels() -> None:
    attention = RelativeAttention(6, head_dim=3, size=2).double()
    nn.init.normal_(attention.relative_position_bias_table)
    # of 3 x 3 steps, the one from a pixel to itself is the fifth
    steps = [[4, 3, 1, 0], [5, 4, 2, 1], [7, 6, 4, 3], [8, 7, 5, 4]]
    assert attention.relative_position_index.tolist() == steps
    x = torch.randn(2, 5, 4, 6, dtype=torch.float64)
    found = attention(x)
    for image, window in itertools.product(range(2), range(5)):
        expected = attention_by_hand(x[image, window], attention, list(map(torch.tensor, steps)))
        torch.testing.assert_close(found[image, window], expected)


def test_a_grid_holds_pixels_that_are_equally_far_apart() -> None:
    maps = torch.randn(2, 6, 8, 3)
    grids = partition_grid(maps, 2)
    assert grids.shape == (2, 12, 4, 3)
    for index in range(12):
        pixels = maps[:, index // 4 :: 3, index % 4 :: 4].flatten(1, 2)
        assert torch.equal(grids[:, index], pixels)
    assert torch.equal(merge_grid(grids, 2, 6, 8), maps)


def reached(attention: nn.Module) -> Tensor:
    """Which pixels of a map the one in the third row and the second column depends on."""
    x = torch.randn(1, 4, 4, 6, dtype=torch.float64, requires_grad=True)
    attention.double().eval()(x)[0, :, 2, 1].sum().backward()
    assert x.grad is not None
    return x.grad[0].abs().sum(0).nonzero()


def test_windows_are_local_and_grids_are_global() -> None:
    block = MaxViTBlock(4, 4, stride=1, head_dim=2, size=2, dropout=0.0, stochastic_depth=0.0)
    near = [[2, 0], [2, 1], [3, 0], [3, 1]]
    far = [[0, 1], [0, 4], [2, 1], [2, 4]]
    assert reached(block.layers.get_submodule("window_attention")).tolist() == near
    assert reached(block.layers.get_submodule("grid_attention")).tolist() == far


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_without_residual_returns_its_input_or_a_projection(stride: int) -> None:
    block = PreNormMBConv(8, 8, stride=stride, stochastic_depth=0.0).eval()
    last = block.layers.get_submodule("conv_c")
    nn.init.zeros_(last.get_parameter("weight"))
    nn.init.zeros_(last.get_parameter("bias"))
    x = torch.randn(2, 8, 5, 6)
    kept = x.clone()
    expected = x if stride == 1 else block.proj(x)
    assert torch.equal(block(x), expected)
    assert torch.equal(x, kept)


def test_images_that_windows_do_not_divide_are_refused() -> None:
    model = maxvit_micro().eval()
    for side in (221, 224):
        assert model(torch.zeros(1, 3, side, side)).shape == (1, 1000)
    with pytest.raises(
        ShapeError, match=r"height % 224 must be 0, 221, 222 or 223, got height=220"
    ):
        model(torch.zeros(1, 3, 220, 224))
    with pytest.raises(ShapeError, match="width % 224 must be"):
        model(torch.zeros(1, 3, 224, 225))
    with pytest.raises(RuntimeError, match=r"multiply up to the size of dim 2 \(15\)"):
        small()(torch.zeros(1, 3, 64, 60))


def test_one_model_takes_images_of_several_sizes() -> None:
    """As many models of torchvision do, with the same weights."""
    ours = small().double().eval()
    for side in (64, 128, 189):
        other = MaxVit((side, side), 8, 2, [8, 8, 16, 16], [1, 1, 2, 1], 4, 0.0, num_classes=7)
        other.double().eval().load_state_dict(ours.state_dict())
        images = torch.randn(2, 3, side, side, dtype=torch.float64)
        torch.testing.assert_close(ours(images), other(images), rtol=1e-10, atol=1e-12)
    assert ours(torch.zeros(1, 3, 64, 128, dtype=torch.float64)).shape == (1, 7)


def test_windows_of_a_fifth_of_an_image_of_160_pixels() -> None:
    """The limits are those of the size of the windows."""
    model = small(5).eval()
    maps = model.feature_maps(torch.zeros(2, 3, 160, 320))
    assert [tuple(m.shape[2:]) for m in maps] == [(40, 80), (20, 40), (10, 20), (5, 10)]


def test_channels_that_heads_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match="divisible by head_dim = 3, got 8"):
        RelativeAttention(8, head_dim=3, size=2)


def rates(model: nn.Module) -> list[float]:
    return [module.p for module in model.modules() if isinstance(module, StochasticDepth)]


def test_blocks_are_left_out_more_often_with_the_depth() -> None:
    with torch.device("meta"):
        models = maxvit_t(), maxvit_t(stochastic_depth=0.7)
    for model, last in zip(models, (0.2, 0.7), strict=True):
        assert rates(model) == pytest.approx([last * i / 10 for i in range(11) for _ in range(3)])


def test_the_residuals_of_some_examples_are_left_out_in_train_mode() -> None:
    layer = PartitionAttention(
        4,
        partition=partition_grid,
        merge=merge_grid,
        head_dim=2,
        size=2,
        dropout=0.0,
        stochastic_depth=0.5,
    ).double()
    x = torch.randn(1, 4, 4, 4, dtype=torch.float64).expand(64, -1, -1, -1)
    added = layer.train()(x) - x
    is_dropped = (added.abs() < 1e-12).flatten(1).all(1)
    assert 4 < is_dropped.sum() < 32  # both residuals, a fourth of the time


def test_weights_begin_as_those_of_torchvision() -> None:
    model = maxvit_micro()
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert deviation(module.weight, 0.02) < 5
            assert module.bias is None or not module.bias.any()
        if isinstance(module, RelativeAttention):
            assert deviation(module.relative_position_bias_table, 0.02) < 5
            assert torch.equal(module.relative_position_index, relative_position_index(7, 7))


def test_each_map_is_made_of_the_one_before() -> None:
    model = small().double().eval()
    assert isinstance(model, Backbone)
    images = torch.randn(2, 3, 64, 128, dtype=torch.float64)
    maps = model.feature_maps(images)
    for tensor, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        assert tensor.shape == (2, channels, 64 // stride, 128 // stride)
    for (finer, coarser), stage in zip(
        itertools.pairwise([model.stem(images), *maps]), model.blocks, strict=True
    ):
        torch.testing.assert_close(stage(finer), coarser)
    torch.testing.assert_close(model.classifier(maps[-1]), model(images))


def test_the_contracts() -> None:
    model = create_model("maxvit_micro", in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )
    block = MaxViTBlock(4, 8, stride=2, head_dim=4, size=7, dropout=0.0, stochastic_depth=0.0)
    halved = (
        '(x: Float[Tensor, "batch channels=4 height width"]) -> '
        'Float[Tensor, "batch channels=8 height=(height-1)//2+1 width=(width-1)//2+1"]'
    )
    assert str(signature(block)) == halved
    assert str(signature(block.layers.get_submodule("MBconv"))) == halved
    attention = block.layers.get_submodule("grid_attention")
    assert str(signature(attention)) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        'Float[Tensor, "batch channels=8 height width"]'
    )
    assert str(signature(attention.get_submodule("attn_layer.1"))) == (
        '(x: Float[Tensor, "batch windows seq=49 channels=8"]) -> '
        'Float[Tensor, "batch windows seq=49 channels=8"]'
    )


def test_the_limits_of_an_attention_are_proved() -> None:
    layer = PartitionAttention(
        8,
        partition=partition_grid,
        merge=merge_grid,
        head_dim=4,
        size=7,
        dropout=0.0,
        stochastic_depth=0.0,
    )
    proof = assert_proved(layer.eval(), preconditions=["height % 7 == 0", "width % 7 == 0"])
    assert proof.rests_on.calls == "any"


def test_a_result_of_another_shape_is_refused() -> None:
    attention = RelativeAttention(8, head_dim=4, size=2)
    attention.merge = nn.Linear(8, 9)
    with pytest.raises(ShapeError, match="expected channels = 8, got 9"):
        attention(torch.zeros(1, 2, 4, 8))
    assert prove(attention).verdict == "refuted"


def test_the_number_of_parameters_is_that_of_the_paper() -> None:
    assert round(model_info("maxvit_t").parameters / 1e6) == 31  # Table 2
