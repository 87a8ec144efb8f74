from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import Module, ShapeError, create_model, model_info, signature
from shapezoo.models import (
    Backbone,
    InceptionA,
    InceptionB,
    InceptionC,
    InceptionV3,
    InceptionV3Auxiliary,
    ReductionA,
    ReductionB,
    inception_v3,
    inception_v3_micro,
)

State = dict[str, Tensor]


def varied(module: nn.Module) -> nn.Module:
    """The module in eval mode and float64, with statistics and scales that differ."""
    for tensor in module.state_dict().values():
        if tensor.dim() == 1:
            tensor += torch.rand_like(tensor)
    return module.double().eval()


def conv(x: Tensor, state: State, *names: str, stride: int = 1) -> Tensor:
    """Convolutions in a row, padded where they keep the resolution; the last has the stride."""
    for name in names:
        weight = state[f"{name}.conv.weight"]
        is_last = stride > 1 and name == names[-1]
        x = functional.conv2d(
            x, weight, stride=stride if is_last else 1, padding="valid" if is_last else "same"
        )
        mean, variance, scale, shift = (
            state[f"{name}.bn.{part}"][:, None, None]
            for part in ("running_mean", "running_var", "weight", "bias")
        )
        x = ((x - mean) / (variance + 0.001).sqrt() * scale + shift).clamp(min=0)
    return x


def averaged(x: Tensor) -> Tensor:
    """Means of three by three, zeros around."""
    return functional.pad(x, [1] * 4).unfold(2, 3, 1).unfold(3, 3, 1).mean(dim=(4, 5))


def strongest(x: Tensor) -> Tensor:
    """Maxima of three by three, of every second row and column."""
    return x.unfold(2, 3, 2).unfold(3, 3, 2).amax(dim=(4, 5))


def a_by_hand(x: Tensor, state: State) -> list[Tensor]:
    return [
        conv(x, state, "branch1x1"),
        conv(x, state, "branch5x5_1", "branch5x5_2"),
        conv(x, state, *(f"branch3x3dbl_{n}" for n in (1, 2, 3))),
        conv(averaged(x), state, "branch_pool"),
    ]


def reduction_a_by_hand(x: Tensor, state: State) -> list[Tensor]:
    return [
        conv(x, state, "branch3x3", stride=2),
        conv(x, state, *(f"branch3x3dbl_{n}" for n in (1, 2, 3)), stride=2),
        strongest(x),
    ]


def b_by_hand(x: Tensor, state: State) -> list[Tensor]:
    return [
        conv(x, state, "branch1x1"),
        conv(x, state, *(f"branch7x7_{n}" for n in (1, 2, 3))),
        conv(x, state, *(f"branch7x7dbl_{n}" for n in (1, 2, 3, 4, 5))),
        conv(averaged(x), state, "branch_pool"),
    ]


def reduction_b_by_hand(x: Tensor, state: State) -> list[Tensor]:
    return [
        conv(x, state, "branch3x3_1", "branch3x3_2", stride=2),
        conv(x, state, *(f"branch7x7x3_{n}" for n in (1, 2, 3, 4)), stride=2),
        strongest(x),
    ]


def c_by_hand(x: Tensor, state: State) -> list[Tensor]:
    return [
        conv(x, state, "branch1x1"),
        *(conv(x, state, "branch3x3_1", f"branch3x3_2{n}") for n in "ab"),
        *(conv(x, state, "branch3x3dbl_1", "branch3x3dbl_2", f"branch3x3dbl_3{n}") for n in "ab"),
        conv(averaged(x), state, "branch_pool"),
    ]


MODULES: dict[str, tuple[Callable[[], Module], Callable[[Tensor, State], list[Tensor]]]] = {
    "A": (lambda: InceptionA(3, 1, 2, 3, 4, 5, 6), a_by_hand),
    "reduction A": (lambda: ReductionA(3, 1, 2, 4), reduction_a_by_hand),
    "B": (lambda: InceptionB(3, 2, 4), b_by_hand),
    "reduction B": (lambda: ReductionB(3, 2, 4), reduction_b_by_hand),
    "C": (lambda: InceptionC(3, 1, 2, 4, 5), c_by_hand),
}


@pytest.mark.parametrize("name", MODULES)
@settings(max_examples=20)
@given(batch=st.integers(0, 3), height=st.integers(3, 9), width=st.integers(3, 9))
def test_a_module_equals_that_by_hand(name: str, batch: int, height: int, width: int) -> None:
    build, by_hand = MODULES[name]
    module = varied(build())
    x = torch.randn(batch, 3, height, width, dtype=torch.float64)
    expected = torch.cat(by_hand(x, module.state_dict()), dim=1)
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)


def test_the_sides_of_all_patterns() -> None:
    """Each factor of a large pattern lies in its own direction."""
    with torch.device("meta"):
        model = inception_v3()
    sides = {
        path.removesuffix(".conv"): layer.kernel_size
        for path, layer in model.named_modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size not in ((1, 1), (3, 3))
    }
    assert sides == {
        **{f"Mixed_5{block}.branch5x5_2": (5, 5) for block in "bcd"},
        **{
            f"Mixed_6{block}.branch7x7{layer}": size
            for block in "bcde"
            for layer, size in [
                *(("_2", (1, 7)), ("_3", (7, 1)), ("dbl_2", (7, 1)), ("dbl_3", (1, 7))),
                *(("dbl_4", (7, 1)), ("dbl_5", (1, 7))),
            ]
        },
        "AuxLogits.conv1": (5, 5),
        "Mixed_7a.branch7x7x3_2": (1, 7),
        "Mixed_7a.branch7x7x3_3": (7, 1),
        **{
            f"Mixed_7{block}.branch3x3{layer}": size
            for block in "bc"
            for layer, size in [
                *(("_2a", (1, 3)), ("_2b", (3, 1)), ("dbl_3a", (1, 3)), ("dbl_3b", (3, 1))),
            ]
        },
    }


@settings(max_examples=20)
@given(batch=st.integers(0, 3), height=st.integers(17, 30), width=st.integers(17, 30))
def test_the_auxiliary_classifier_equals_that_by_hand(batch: int, height: int, width: int) -> None:
    classifier = varied(InceptionV3Auxiliary(5, 7, channels=3, features=11))
    state = classifier.state_dict()
    x = torch.randn(batch, 5, height, width, dtype=torch.float64)
    means = x.unfold(2, 5, 3).unfold(3, 5, 3).mean(dim=(4, 5))
    padded = conv(conv(means, state, "conv0"), state, "conv1")
    features = padded[..., 2:-2, 2:-2].mean(dim=(2, 3))
    expected = features @ state["fc.weight"].T + state["fc.bias"]
    torch.testing.assert_close(classifier(x), expected, rtol=1e-12, atol=1e-12)


def test_the_output_sizes_of_the_paper() -> None:
    """Those of Table 1 from the modules on, and those of the authors' code before."""
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        model = inception_v3().eval()
        for name, layer in model.named_children():
            layer.register_forward_hook(
                lambda _module, _args, result, name=name: shapes.update(
                    {name: tuple(result.shape[1:3])}
                )
            )
        model(torch.zeros(1, 3, 299, 299))
    assert shapes == {
        "Conv2d_1a_3x3": (32, 149),
        "Conv2d_2a_3x3": (32, 147),
        "Conv2d_2b_3x3": (64, 147),
        "maxpool1": (64, 73),
        "Conv2d_3b_1x1": (80, 73),
        "Conv2d_4a_3x3": (192, 71),
        "maxpool2": (192, 35),
        "Mixed_5b": (256, 35),
        "Mixed_5c": (288, 35),
        "Mixed_5d": (288, 35),
        "Mixed_6a": (768, 17),
        **{f"Mixed_6{block}": (768, 17) for block in "bcde"},
        "Mixed_7a": (1280, 8),
        "Mixed_7b": (2048, 8),
        "Mixed_7c": (2048, 8),
        "avgpool": (2048, 1),
        "dropout": (2048,),
        "fc": (1000,),
    }


def test_parameters_are_as_many_as_published() -> None:
    assert model_info("inception_v3").parameters == 27_161_264
    assert model_info("inception_v3_micro").parameters < 300_000


def test_in_train_mode_the_auxiliary_logits_come_last() -> None:
    model = inception_v3_micro(num_classes=2)
    assert model.AuxLogits is not None
    read: list[Tensor] = []
    model.Mixed_6e.register_forward_hook(lambda _module, _args, maps: read.append(maps))
    model.AuxLogits.register_forward_pre_hook(lambda _module, args: read.append(args[0]))
    for number, head in enumerate((model.fc, model.AuxLogits.fc)):
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, number)
    images = torch.randn(2, 3, 299, 299)
    outputs = model(images)
    assert isinstance(outputs, tuple)
    assert [output.tolist() for output in outputs] == [[[n, n]] * 2 for n in (0.0, 1.0)]
    assert read[0] is read[1]
    assert read[1].shape == (2, 48, 17, 17)
    read.clear()
    logits = model.eval()(images)
    assert isinstance(logits, Tensor)
    assert torch.equal(logits, torch.zeros(2, 2))
    assert len(read) == 1


def test_without_an_auxiliary_classifier_train_mode_returns_the_logits_alone() -> None:
    """And takes smaller images, as only that classifier needs those of the paper."""
    images = torch.randn(3, 3, 80, 90)
    without = inception_v3_micro(num_classes=2, aux_logits=False)
    removed = inception_v3_micro(num_classes=2)
    removed.AuxLogits = None
    removed.load_state_dict(without.state_dict())
    results = []
    for model in (without, removed):
        torch.manual_seed(2)
        logits = model(images)
        assert isinstance(logits, Tensor)
        results.append(logits)
    assert torch.equal(*results)
    torch.autograd.backward(results[0].sum())
    assert all(parameter.grad is not None for parameter in without.parameters())


def test_half_of_the_features_are_dropped() -> None:
    model = inception_v3_micro()
    dropouts = {path: m.p for path, m in model.named_modules() if isinstance(m, nn.Dropout)}
    assert dropouts == {"dropout": 0.5}
    model.dropout.p = 1.0
    logits, _ = model(torch.randn(2, 3, 299, 299))
    assert torch.equal(logits, model.fc.bias.expand(2, -1))


def test_how_weights_start() -> None:
    model = InceptionV3(num_classes=200, divisor=4)
    special = {"AuxLogits.conv1.conv": 0.01, "AuxLogits.fc": 0.001}
    for path, layer in model.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight, std = layer.weight, special.get(path, 0.1)
            assert weight.std().item() == pytest.approx(0.88 * std, rel=3 / weight.numel() ** 0.5)
            assert abs(weight.mean()) < 4 * std / weight.numel() ** 0.5
            assert weight.abs().max() < 2 * std + 1e-6
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert not layer.bias.any()
    assert special.keys() <= dict(model.named_modules()).keys()


@settings(max_examples=8)
@given(height=st.integers(75, 140), width=st.integers(75, 140))
def test_the_head_reads_the_last_feature_map(height: int, width: int) -> None:
    model = inception_v3_micro(num_classes=7).double().eval()
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    maps = model.feature_maps(images)
    logits = maps[-1].mean(dim=(2, 3)) @ model.fc.weight.T + model.fc.bias
    torch.testing.assert_close(model(images), logits, rtol=1e-12, atol=1e-12)


@settings(max_examples=8)
@given(height=st.integers(75, 140), width=st.integers(75, 140))
def test_a_map_grows_by_one_row_per_stride(height: int, width: int) -> None:
    backbone: Backbone = inception_v3_micro().eval()
    maps = backbone.feature_maps(torch.zeros(1, 3, height, width))
    taller = backbone.feature_maps(torch.zeros(1, 3, height + 32, width))
    wider = backbone.feature_maps(torch.zeros(1, 3, height, width + 32))
    assert tuple(map_.shape[1] for map_ in maps) == backbone.feature_channels
    for stride, map_, tall, wide in zip(backbone.strides, maps, taller, wider, strict=True):
        assert (tall.shape[2] - map_.shape[2], tall.shape[3]) == (32 // stride, map_.shape[3])
        assert (wide.shape[3] - map_.shape[3], wide.shape[2]) == (32 // stride, map_.shape[2])


@pytest.mark.parametrize(("training", "least"), [(False, 75), (True, 299)])
def test_what_is_too_small_is_refused(training: bool, least: int) -> None:
    """In train mode the auxiliary classifier needs the images of the paper."""
    model = create_model("inception_v3_micro").train(training)
    model(torch.zeros(2, 3, least, least))
    for axis, size in (("height", (least - 1, least)), ("width", (least, least - 1))):
        with pytest.raises(ShapeError, match=f"{axis} must be at least {least}, got {least - 1}"):
            model(torch.zeros(2, 3, *size))


def test_training_needs_two_values_of_each_map() -> None:
    model = inception_v3_micro()
    model(torch.zeros(1, 3, 347, 299))
    with pytest.raises(ShapeError, match="batch > 1 or height > 346 or width > 346"):
        model(torch.zeros(1, 3, 346, 346))


def test_the_contracts() -> None:
    same = 'Float[Tensor, "batch channels={} height width"]'
    half = 'Float[Tensor, "batch channels={} height=(height-3)//2+1 width=(width-3)//2+1"]'
    results = [same.format(15), half.format(8), same.format(16), half.format(9), same.format(22)]
    for (build, _), result in zip(MODULES.values(), results, strict=True):
        assert str(signature(build())) == f"(x: {same.format(3)}) -> {result}"
    logits = 'Float[Tensor, "batch classes=7"]'
    assert str(signature(InceptionV3Auxiliary(3, 7, channels=2, features=3))) == (
        f"(x: {same.format(3)}) -> {logits}"
    )
    assert str(signature(inception_v3_micro(in_channels=1, num_classes=7))) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        f"{logits} | tuple[{logits}, {logits}]"
    )


@pytest.mark.parametrize("name", MODULES)
def test_branches_that_all_lose_columns_are_refused(name: str) -> None:
    module, x = MODULES[name][0](), torch.zeros(2, 3, 20, 20)
    for layer in module.children():
        layer.register_forward_pre_hook(
            lambda _module, args: args[0][..., 2:] if args[0] is x else None
        )
    with pytest.raises(ShapeError, match=r"expected width.* = (20, got 18|9, got 8)"):
        module(x)


def test_a_stage_of_another_resolution_is_refused() -> None:
    model = inception_v3_micro().eval()
    model.maxpool2 = nn.MaxPool2d(3, stride=1)
    with pytest.raises(ShapeError, match=r"expected height=\(height-27\)//8\+1 = 10, got 19"):
        model.feature_maps(torch.zeros(1, 3, 99, 99))
