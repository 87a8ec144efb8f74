import itertools
import math

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.convnext import CNBlockConfig

from shapezoo import ShapeError, create_model, model_info, signature
from shapezoo.layers import StochasticDepth
from shapezoo.models import Backbone, ConvNeXt, ConvNeXtBlock, convnext_micro

SIZES = st.integers(1, 5)
SIDES = st.integers(32, 99)


def varied_block(channels: int, *, stochastic_depth: float = 0.0) -> ConvNeXtBlock:
    """A block whose residual is large."""
    block = ConvNeXtBlock(channels, stochastic_depth=stochastic_depth).double()
    for parameter in block.parameters():
        nn.init.normal_(parameter, std=0.5)
    return block


def block_by_hand(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """The paper's Figure 4, from the weights alone."""
    windows = functional.pad(x, [3] * 4).unfold(2, 7, 1).unfold(3, 7, 1)
    inner = torch.einsum("bchwij,cij->bhwc", windows, state["block.0.weight"][:, 0])
    inner = inner + state["block.0.bias"]
    inner = inner - inner.mean(-1, keepdim=True)
    inner = inner / (inner.square().mean(-1, keepdim=True) + 1e-6).sqrt()
    inner = inner * state["block.2.weight"] + state["block.2.bias"]
    inner = inner @ state["block.3.weight"].T + state["block.3.bias"]
    inner = inner * (1 + torch.erf(inner / math.sqrt(2))) / 2
    inner = inner @ state["block.5.weight"].T + state["block.5.bias"]
    return x + inner.movedim(-1, 1) * state["layer_scale"]


@given(batch=st.integers(0, 3), channels=SIZES, height=SIZES, width=SIZES)
def test_the_block_is_that_of_the_figure(
    batch: int, channels: int, height: int, width: int
) -> None:
    block = varied_block(channels)
    x = torch.randn(batch, channels, height, width, dtype=torch.float64)
    expected = block_by_hand(x, block.state_dict())
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)


def test_a_block_begins_close_to_the_identity() -> None:
    block, x = ConvNeXtBlock(8), torch.randn(2, 8, 5, 6)
    assert torch.equal(block.layer_scale, torch.full((8, 1, 1), 1e-6))
    assert 0 < (block(x) - x).abs().max() < 1e-5


def test_a_block_leaves_its_input_alone() -> None:
    x = torch.ones(2, 3, 4, 5, dtype=torch.float64)
    varied_block(3)(x)
    assert torch.equal(x, torch.ones_like(x))


def test_the_residual_of_some_examples_is_left_out_in_train_mode() -> None:
    block = varied_block(3, stochastic_depth=0.75)
    x = torch.randn(1, 3, 4, 5, dtype=torch.float64).expand(64, -1, -1, -1)
    residual = block.eval()(x) - x
    added = block.train()(x) - x
    is_dropped = (added == 0).flatten(1).all(1)
    assert 32 < is_dropped.sum() < 64
    torch.testing.assert_close(added[~is_dropped], 4 * residual[~is_dropped])


def test_a_small_network_is_that_of_torchvision() -> None:
    depths, widths = (1, 2, 3, 1), (4, 8, 16, 32, None)
    stages = [
        CNBlockConfig(width, following, depth)
        for width, following, depth in zip(widths[:-1], widths[1:], depths, strict=True)
    ]
    other = torchvision.models.ConvNeXt(stages, layer_scale=0.5, num_classes=7).double()
    for parameter in other.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter)
    ours = ConvNeXt(4, depths, num_classes=7).double()
    ours.load_state_dict(other.state_dict())
    images = torch.randn(2, 3, 70, 45, dtype=torch.float64)
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
    [
        ("convnext_tiny", 18, 0.1),
        ("convnext_small", 36, 0.4),
        ("convnext_base", 36, 0.5),
        ("convnext_large", 36, 0.5),
    ],
)
def test_blocks_are_left_out_more_often_with_the_depth(name: str, depth: int, rate: float) -> None:
    with torch.device("meta"):
        models = create_model(name), create_model(name, stochastic_depth=0.7)
    for model, last in zip(models, (rate, 0.7), strict=True):
        assert len(rates(model)) == depth
        assert rates(model) == pytest.approx([last * i / (depth - 1) for i in range(depth)])


def test_weights_begin_with_a_deviation_of_2_hundredths() -> None:
    model = ConvNeXt(32, (1, 1, 1, 1))
    weights = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            weights.append(module.weight.detach().double().flatten() / 0.02)
            count = weights[-1].numel()
            assert abs(weights[-1].mean()) < 5 / math.sqrt(count)
            assert abs(weights[-1].std() - 1) < 5 / math.sqrt(2 * count)
            assert module.bias is not None
            assert not module.bias.any()
    assert len(weights) == 1 + 3 * 4 + 3 + 1
    far = torch.cat(weights).abs() > 2  # as many as of a normal distribution that is not truncated
    assert far.double().mean().item() == pytest.approx(math.erfc(math.sqrt(2)), rel=0.02)


def test_norms_begin_alike() -> None:
    norms = [m for m in ConvNeXt(4, (1, 1, 1, 1)).modules() if isinstance(m, nn.LayerNorm)]
    assert len(norms) == 1 + 4 + 3 + 1
    for norm in norms:
        assert torch.equal(norm.weight, torch.ones_like(norm.weight))
        assert torch.equal(norm.bias, torch.zeros_like(norm.bias))
        assert norm.eps == 1e-6


@settings(max_examples=30)
@given(height=SIDES, width=SIDES)
def test_each_map_is_coarser_by_its_stride(height: int, width: int) -> None:
    model = convnext_micro(in_channels=1).eval()
    assert isinstance(model, Backbone)
    images = torch.randn(2, 1, height, width)
    maps = model.feature_maps(images)
    for tensor, channels, stride in zip(maps, model.feature_channels, model.strides, strict=True):
        assert tensor.shape == (2, channels, height // stride, width // stride)
    logits = model.classifier(maps[-1].mean((2, 3), keepdim=True))
    torch.testing.assert_close(logits, model(images))


def test_each_map_is_made_of_the_one_before() -> None:
    model = convnext_micro().double().eval()
    maps = model.feature_maps(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    for index, (finer, coarser) in enumerate(itertools.pairwise(maps)):
        stages = model.features[2 * index + 2 : 2 * index + 4]
        torch.testing.assert_close(stages(finer), coarser)


@pytest.mark.slow
def test_maps_of_a_compiled_model() -> None:
    model = convnext_micro().eval()
    compiled = torch.compile(model.feature_maps, backend="eager", fullgraph=True, dynamic=True)
    for height, width in ((64, 96), (100, 33)):
        images = torch.randn(2, 3, height, width)
        torch.testing.assert_close(compiled(images), model.feature_maps(images))


def test_images_of_31_rows_are_too_small() -> None:
    model = convnext_micro()
    assert model(torch.zeros(1, 3, 32, 32)).shape == (1, 1000)
    with pytest.raises(ShapeError, match="height"):
        model(torch.zeros(1, 3, 31, 32))
    with pytest.raises(ShapeError, match="width"):
        model(torch.zeros(1, 3, 32, 31))


def test_the_contracts() -> None:
    assert str(signature(ConvNeXtBlock(8))) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        'Float[Tensor, "batch channels=8 height width"]'
    )
    model = convnext_micro(in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )
    assert str(signature(model.feature_maps)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> tuple['
        'Float[Tensor, "batch channels=8 height=height//4 width=width//4"], '
        'Float[Tensor, "batch channels=16 height=height//8 width=width//8"], '
        'Float[Tensor, "batch channels=32 height=height//16 width=width//16"], '
        'Float[Tensor, "batch channels=64 height=height//32 width=width//32"]]'
    )


@pytest.mark.parametrize(
    ("index", "layer", "message"),
    [
        (0, nn.Conv2d(1, 1, 7, padding=4), "expected height = 1, got 3"),
        (5, nn.Linear(4, 4), "expected channels = 1, got 4"),
    ],
    ids=["height", "channels"],
)
def test_a_residual_that_would_be_broadcast_is_refused(
    index: int, layer: nn.Module, message: str
) -> None:
    block = ConvNeXtBlock(1)
    block.block[index] = layer
    with pytest.raises(ShapeError, match=message):
        block(torch.zeros(2, 1, 1, 1))


def test_a_map_of_another_size_is_refused() -> None:
    model = convnext_micro()
    model.features[3] = nn.ConstantPad2d(1, 0.0)
    with pytest.raises(ShapeError, match="expected height=height//8 = 8, got 10"):
        model.feature_maps(torch.zeros(2, 3, 64, 64))


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("convnext_tiny", 28.6),
        ("convnext_small", 50.2),
        ("convnext_base", 88.6),
        ("convnext_large", 197.8),
    ],
)
def test_the_number_of_parameters_is_that_of_the_paper(name: str, millions: float) -> None:
    assert round(model_info(name).parameters / 1e6, 1) == millions
