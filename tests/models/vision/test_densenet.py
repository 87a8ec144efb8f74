import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.zoo.subjects import shell, vary
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, create_model, model_info, signature
from shapezoo.models import (
    Backbone,
    DenseBlock,
    DenseLayer,
    DenseNet,
    TransitionLayer,
    densenet121,
    densenet_micro,
)
from shapezoo.weights import WeightsError

SIZES = st.integers(1, 5)
SIDES = st.integers(29, 99)


def varied(module: nn.Module) -> Any:
    """The module in eval mode and float64, with statistics and scales that differ."""
    vary(module)
    return module.double().eval()


def normalised_by_hand(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """Batch normalisation and ReLU."""
    mean, variance, weight, bias = (
        state[f"{name}.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return ((x - mean) / (variance + 1e-5).sqrt() * weight + bias).clamp(min=0)


def layer_by_hand(x: Tensor, state: dict[str, Tensor], name: str = "") -> Tensor:
    """The function H of Section 3, from the weights alone."""
    x = normalised_by_hand(x, state, f"{name}norm1")
    x = torch.einsum("bchw,oc->bohw", x, state[f"{name}conv1.weight"][:, :, 0, 0])
    x = normalised_by_hand(x, state, f"{name}norm2")
    return functional.conv2d(x, state[f"{name}conv2.weight"], padding="same")


@given(batch=st.integers(0, 3), channels=SIZES, growth=SIZES, height=SIZES, width=SIZES)
def test_a_layer_equals_that_by_hand(
    batch: int, channels: int, growth: int, height: int, width: int
) -> None:
    layer = varied(DenseLayer(channels, growth))
    x = torch.randn(batch, channels, height, width, dtype=torch.float64)
    expected = layer_by_hand(x, layer.state_dict())
    torch.testing.assert_close(layer(x), expected, rtol=1e-12, atol=1e-12)


@settings(max_examples=30)
@given(depth=SIZES, channels=SIZES, growth=SIZES, height=SIZES, width=SIZES)
def test_a_block_is_equation_2(
    depth: int, channels: int, growth: int, height: int, width: int
) -> None:
    """Each layer reads what all layers before it have returned."""
    block = varied(DenseBlock(channels, depth, growth))
    maps = [torch.randn(2, channels, height, width, dtype=torch.float64)]
    for number in range(1, depth + 1):
        read = torch.cat(maps, dim=1)
        maps.append(layer_by_hand(read, block.state_dict(), f"denselayer{number}."))
    torch.testing.assert_close(block(maps[0]), torch.cat(maps, dim=1), rtol=1e-12, atol=1e-12)


@given(channels=st.integers(2, 7), height=st.integers(2, 7), width=st.integers(2, 7))
def test_a_transition_averages_squares(channels: int, height: int, width: int) -> None:
    transition = varied(TransitionLayer(channels))
    state = transition.state_dict()
    x = torch.randn(2, channels, height, width, dtype=torch.float64)
    inner = normalised_by_hand(x, state, "norm")
    inner = torch.einsum("bchw,oc->bohw", inner, state["conv.weight"][:, :, 0, 0])
    expected = inner.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5))
    assert expected.shape == (2, channels // 2, height // 2, width // 2)
    torch.testing.assert_close(transition(x), expected, rtol=1e-12, atol=1e-12)


def test_outputs_of_layers_are_dropped_in_train_mode() -> None:
    block = varied(DenseBlock(3, 2, 4, dropout=0.75))
    x = torch.randn(2, 3, 20, 20, dtype=torch.float64)
    assert (block(x) != 0).all()
    maps = block.train()(x)
    assert torch.equal(maps[:, :3], x)
    assert (maps[:, 3:] == 0).double().mean().item() == pytest.approx(0.75, abs=0.03)


def test_blocks_leave_their_input_alone() -> None:
    for block in (DenseLayer(4, 2), DenseBlock(4, 2, 3), TransitionLayer(4)):
        x = torch.randn(2, 4, 6, 6)
        before = x.clone()
        block(x)
        assert torch.equal(x, before)


@pytest.mark.parametrize("mode", ["eval", "train"])
def test_a_small_network_is_that_of_torchvision(mode: str) -> None:
    depths = (2, 1, 3, 2)
    other = torchvision.models.DenseNet(4, depths, 8, drop_rate=0.3, num_classes=7).double()
    vary(other)
    ours = DenseNet(4, depths, num_classes=7, dropout=0.3).double()
    ours.load_state_dict(other.state_dict())
    images = torch.randn(2, 3, 70, 45, dtype=torch.float64)
    results, gradients = [], []
    for model in (ours, other):
        torch.manual_seed(0)
        results.append(model.train(mode == "train")(images))
        total = results[-1].square().sum()
        gradients.append(torch.autograd.grad(total, list(model.parameters())))
    torch.testing.assert_close(*results, rtol=1e-10, atol=1e-10)
    torch.testing.assert_close(*gradients, rtol=1e-9, atol=1e-9)


def test_the_output_sizes_of_table_1() -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        model = densenet121().eval()
        for name, layer in model.features.named_children():
            layer.register_forward_hook(
                lambda _module, _args, result, name=name: shapes.update(
                    {name: tuple(result.shape[1:3])}
                )
            )
        model(torch.zeros(1, 3, 224, 224))
    assert shapes == {
        **dict.fromkeys(("conv0", "norm0", "relu0"), (64, 112)),
        "pool0": (64, 56),
        "denseblock1": (256, 56),
        "transition1": (128, 28),
        "denseblock2": (512, 28),
        "transition2": (256, 14),
        "denseblock3": (1024, 14),
        "transition3": (512, 7),
        "denseblock4": (1024, 7),
        "norm5": (1024, 7),
    }


def test_the_names_count_the_layers() -> None:
    for depth in (121, 161, 169, 201):
        modules = shell(f"densenet{depth}").modules()
        assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in modules) == depth


def test_weights_start_with_the_variance_of_he() -> None:
    model = DenseNet(16, (1, 1, 1, 1), num_classes=50)
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            weight = module.weight.detach().double()
            std = math.sqrt(2 / weight[0].numel())
            assert weight.std().item() == pytest.approx(std, rel=4 / math.sqrt(2 * weight.numel()))
            assert abs(weight.mean()) < 4 * std / math.sqrt(weight.numel())
        elif isinstance(module, nn.BatchNorm2d):
            assert (module.weight == 1).all()
            assert not module.bias.any()
    assert not model.classifier.bias.any()


@settings(max_examples=20)
@given(height=SIDES, width=SIDES)
def test_the_head_reads_the_last_map(height: int, width: int) -> None:
    model = densenet_micro(in_channels=1, num_classes=7).double().eval()
    assert isinstance(model, Backbone)
    images = torch.randn(2, 1, height, width, dtype=torch.float64)
    maps = model.feature_maps(images)
    assert tuple(map_.shape[1] for map_ in maps) == model.feature_channels
    assert maps[0].shape[2:] == ((height + 3) // 4, (width + 3) // 4)
    for finer, coarser in itertools.pairwise(maps):
        assert coarser.shape[2:] == (finer.shape[2] // 2, finer.shape[3] // 2)
    assert maps[-1].min() >= 0
    logits = model.classifier(maps[-1].mean((2, 3)))
    torch.testing.assert_close(model(images), logits, rtol=1e-12, atol=1e-12)


def test_each_map_is_made_of_the_one_before() -> None:
    model = densenet_micro().double().eval()
    vary(model)
    maps = model.feature_maps(torch.randn(2, 3, 64, 64, dtype=torch.float64))
    layers = dict(model.features.named_children())
    for number, (finer, coarser) in enumerate(itertools.pairwise(maps), 1):
        made = layers[f"denseblock{number + 1}"](layers[f"transition{number}"](finer))
        if number == 3:
            made = layers["norm5"](made).relu()
        torch.testing.assert_close(made, coarser)


@pytest.mark.slow
def test_maps_of_a_compiled_model() -> None:
    model = densenet_micro().eval()
    compiled = torch.compile(model.feature_maps, backend="eager", fullgraph=True, dynamic=True)
    for height, width in ((64, 96), (100, 61)):
        images = torch.randn(2, 3, height, width)
        torch.testing.assert_close(compiled(images), model.feature_maps(images))


@pytest.mark.parametrize("training", [False, True])
def test_images_of_28_rows_are_too_small(training: bool) -> None:
    model = densenet_micro().train(training)
    assert model(torch.zeros(2, 3, 29, 29)).shape == (2, 1000)
    with pytest.raises(ShapeError, match="height must be at least 29, got 28"):
        model(torch.zeros(2, 3, 28, 29))
    with pytest.raises(ShapeError, match="width must be at least 29, got 28"):
        model(torch.zeros(2, 3, 29, 28))


def test_training_needs_two_values_of_each_map() -> None:
    model = densenet_micro()
    model(torch.zeros(1, 3, 61, 29))
    model(torch.zeros(1, 3, 29, 61))
    with pytest.raises(ShapeError, match="batch > 1 or height > 60 or width > 60"):
        model(torch.zeros(1, 3, 60, 60))
    model.eval()(torch.zeros(1, 3, 60, 60))


def with_dots(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Weights as in the files that torchvision publishes, which are older than some counters."""
    dotted = {}
    for key, tensor in state.items():
        for name in ("norm", "conv"):
            for number in "12":
                if ".denselayer" in key:
                    key = key.replace(f".{name}{number}.", f".{name}.{number}.")
        dotted[key] = tensor
    return {k: t for k, t in dotted.items() if not k.endswith("num_batches_tracked")}


def test_names_with_dots_are_adapted_as_torchvision_does() -> None:
    other = torchvision.models.DenseNet(4, (1, 2, 1, 11), 8)
    twin = torchvision.models.DenseNet(4, (1, 2, 1, 11), 8)
    ours = DenseNet(4, (1, 2, 1, 11))
    published = with_dots(other.state_dict())
    assert "features.denseblock4.denselayer11.norm.2.running_var" in published
    assert "features.transition1.norm.weight" in published
    weights: Any = SimpleNamespace(get_state_dict=lambda **_: dict(published))
    torchvision.models.densenet._load_state_dict(twin, weights, progress=False)
    ours.load_state_dict(ours.adapted(published))
    expected = twin.state_dict()
    assert all(torch.equal(tensor, expected[key]) for key, tensor in ours.state_dict().items())


def test_other_names_are_not_adapted() -> None:
    model = densenet_micro()
    state = model.state_dict()
    assert model.adapted(state) == state
    others = dict.fromkeys(("head.norm.1.weight", "x.denselayer1.norm.3.weight"), torch.zeros(1))
    assert model.adapted(others) == others
    key = "features.denselayer1.norm1.weight"
    both = {key: torch.zeros(1), key.replace("norm1", "norm.1"): torch.ones(1)}
    assert model.adapted(both) == both  # so that strict loading refuses them


@pytest.mark.slow
def test_a_published_file_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (weights,) = model_info("densenet121").weights
    weights.file.parent.mkdir(parents=True)
    published = with_dots(torchvision.models.densenet121().state_dict())
    torch.save(published, weights.file)
    model = create_model("densenet121", weights="DEFAULT", num_classes=7)
    loaded = with_dots(model.state_dict())
    assert loaded.keys() == published.keys()
    changed = {key for key in loaded if not torch.equal(loaded[key], published[key])}
    assert changed == {"classifier.weight", "classifier.bias"}
    published["features.denseblock1.denselayer1.norm.3.weight"] = torch.zeros(1)
    torch.save(published, weights.file)
    with pytest.raises(WeightsError, match=r"norm\.3\.weight: in the file, not in the model"):
        create_model("densenet121", weights="DEFAULT")


def test_the_contracts() -> None:
    assert str(signature(DenseLayer(8, 3))) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        'Float[Tensor, "batch channels=3 height width"]'
    )
    assert str(signature(DenseBlock(8, 2, 3))) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        'Float[Tensor, "batch channels=14 height width"]'
    )
    assert str(signature(TransitionLayer(9))) == (
        '(x: Float[Tensor, "batch channels=9 height width"]) -> '
        'Float[Tensor, "batch channels=4 height=height//2 width=width//2"]'
    )
    model = densenet_micro(in_channels=1, num_classes=7)
    assert str(signature(model)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        'Float[Tensor, "batch classes=7"]'
    )
    assert str(signature(model.feature_maps)) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> tuple['
        'Float[Tensor, "batch channels=16 height=(height-1)//4+1 width=(width-1)//4+1"], '
        'Float[Tensor, "batch channels=12 height=(height-5)//8+1 width=(width-5)//8+1"], '
        'Float[Tensor, "batch channels=10 height=(height-13)//16+1 width=(width-13)//16+1"], '
        'Float[Tensor, "batch channels=9 height=(height-29)//32+1 width=(width-29)//32+1"]]'
    )


def test_a_layer_that_loses_the_border_is_refused() -> None:
    layer = DenseLayer(3, 4)
    layer.conv2 = nn.Conv2d(16, 4, 3)
    with pytest.raises(ShapeError, match="expected height = 7, got 5"):
        layer(torch.zeros(2, 3, 7, 7))


def test_a_block_that_lacks_a_layer_is_refused() -> None:
    block = DenseBlock(3, 2, 4)
    del block[1]
    with pytest.raises(ShapeError, match="expected channels = 11, got 7"):
        block(torch.zeros(2, 3, 7, 7))


def test_a_transition_that_keeps_the_border_is_refused() -> None:
    transition = TransitionLayer(4)
    transition.pool.ceil_mode = True
    assert transition(torch.zeros(2, 4, 6, 6)).shape == (2, 2, 3, 3)
    with pytest.raises(ShapeError, match="expected height=height//2 = 3, got 4"):
        transition(torch.zeros(2, 4, 7, 6))
