import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, create_model, model_info, signature
from shapezoo.data import ImageBatch
from shapezoo.models import (
    Backbone,
    GoogLeNet,
    GoogLeNetAuxiliary,
    InceptionModule,
    googlenet,
    googlenet_micro,
)
from shapezoo.train import (
    auxiliary_cross_entropy,
    choose_optimizer,
    evaluate,
    init,
    install,
    train_step,
)

WIDTHS = st.tuples(*[st.integers(1, 4)] * 7)
SIZES = st.integers(1, 7)
IMAGES = st.integers(15, 90)


def varied(module: nn.Module) -> nn.Module:
    """The module in eval mode and float64, with statistics and scales that differ."""
    for tensor in module.state_dict().values():
        if tensor.dim() == 1:
            tensor += torch.rand_like(tensor)
    return module.double().eval()


def conv_by_hand(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    maps = functional.conv2d(x, state[f"{name}.conv.weight"], padding="same")
    mean, variance, weight, bias = (
        state[f"{name}.bn.{part}"][:, None, None]
        for part in ("running_mean", "running_var", "weight", "bias")
    )
    return ((maps - mean) / (variance + 0.001).sqrt() * weight + bias).clamp(min=0)


def module_by_hand(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Figure 2(b), from the weights alone."""
    padded = functional.pad(x, [1] * 4, value=-torch.inf)
    strongest = padded.unfold(2, 3, 1).unfold(3, 3, 1).amax(dim=(4, 5))
    branches = [
        conv_by_hand(x, state, "branch1"),
        conv_by_hand(conv_by_hand(x, state, "branch2.0"), state, "branch2.1"),
        conv_by_hand(conv_by_hand(x, state, "branch3.0"), state, "branch3.1"),
        conv_by_hand(strongest, state, "branch4.1"),
    ]
    return torch.cat(branches, dim=1)


@settings(max_examples=30)
@given(batch=st.integers(0, 3), widths=WIDTHS, height=SIZES, width=SIZES)
def test_a_module_equals_that_by_hand(
    batch: int, widths: tuple[int, int, int, int, int, int, int], height: int, width: int
) -> None:
    module = varied(InceptionModule(*widths))
    x = torch.randn(batch, widths[0], height, width, dtype=torch.float64)
    expected = module_by_hand(x, module.state_dict())
    torch.testing.assert_close(module(x), expected, rtol=1e-12, atol=1e-12)
    sides = [module.get_parameter(f"branch{n}.1.conv.weight").shape[-1] for n in (2, 3)]
    assert sides == [3, 3]


@given(batch=st.integers(0, 3), height=SIZES, width=SIZES)
def test_an_auxiliary_classifier_equals_that_by_hand(batch: int, height: int, width: int) -> None:
    classifier = varied(GoogLeNetAuxiliary(5, 7, channels=3, hidden_features=11))
    state = classifier.state_dict()
    x = torch.randn(batch, 5, height, width, dtype=torch.float64)
    maps = conv_by_hand(functional.adaptive_avg_pool2d(x, 4), state, "conv")
    hidden = (maps.flatten(1) @ state["fc1.weight"].T + state["fc1.bias"]).clamp(min=0)
    expected = hidden @ state["fc2.weight"].T + state["fc2.bias"]
    torch.testing.assert_close(classifier(x), expected, rtol=1e-12, atol=1e-12)


def test_the_output_sizes_of_table_1() -> None:
    shapes: dict[str, tuple[int, ...]] = {}
    with torch.device("meta"):
        model = googlenet().eval()
        for name, layer in model.named_children():
            layer.register_forward_hook(
                lambda _module, _args, result, name=name: shapes.update(
                    {name: tuple(result.shape[1:3])}
                )
            )
        model(torch.zeros(1, 3, 224, 224))
    assert shapes == {
        "conv1": (64, 112),
        "maxpool1": (64, 56),
        "conv2": (64, 56),
        "conv3": (192, 56),
        "maxpool2": (192, 28),
        "inception3a": (256, 28),
        "inception3b": (480, 28),
        "maxpool3": (480, 14),
        **{f"inception4{letter}": (512, 14) for letter in "abc"},
        "inception4d": (528, 14),
        "inception4e": (832, 14),
        "maxpool4": (832, 7),
        "inception5a": (832, 7),
        "inception5b": (1024, 7),
        "avgpool": (1024, 1),
        "dropout": (1024,),
        "fc": (1000,),
    }


def test_parameters_are_as_many_as_published() -> None:
    with torch.device("meta"):
        model = googlenet()
    auxiliary = sum(
        p.numel() for name in ("aux1", "aux2") for p in model.get_submodule(name).parameters()
    )
    assert model_info("googlenet").parameters - auxiliary == 6_624_904
    assert model_info("googlenet").parameters == 13_004_888
    assert model_info("googlenet_micro").parameters < 300_000


def auxiliaries(model: GoogLeNet) -> tuple[GoogLeNetAuxiliary, GoogLeNetAuxiliary]:
    assert model.aux1 is not None
    assert model.aux2 is not None
    return model.aux1, model.aux2


def test_in_train_mode_the_later_auxiliary_classifier_comes_first() -> None:
    model = googlenet_micro(num_classes=2)
    for number, head in enumerate((model.fc, *(aux.fc2 for aux in reversed(auxiliaries(model))))):
        nn.init.zeros_(head.weight)
        nn.init.constant_(head.bias, number)
    images = torch.randn(3, 3, 20, 30)
    outputs = model(images)
    assert isinstance(outputs, tuple)
    assert [output.tolist() for output in outputs] == [[[n, n]] * 3 for n in (0.0, 1.0, 2.0)]
    logits = model.eval()(images)
    assert isinstance(logits, Tensor)
    assert torch.equal(logits, torch.zeros(3, 2))


def test_without_auxiliary_classifiers_train_mode_returns_the_logits_alone() -> None:
    torch.manual_seed(1)
    images = torch.randn(3, 3, 20, 30)
    without = googlenet_micro(num_classes=2, aux_logits=False)
    removed = googlenet_micro(num_classes=2)
    removed.aux1 = removed.aux2 = None
    removed.load_state_dict(without.state_dict())
    assert not [key for key in without.state_dict() if key.startswith("aux")]
    torch.manual_seed(2)
    logits = without(images)
    torch.manual_seed(2)
    same = removed(images)
    assert isinstance(logits, Tensor)
    assert isinstance(same, Tensor)
    assert torch.equal(logits, same)
    torch.autograd.backward(logits.sum())
    assert all(parameter.grad is not None for parameter in without.parameters())


@pytest.mark.parametrize("name", ["aux1", "aux2"])
def test_with_one_auxiliary_classifier_train_mode_returns_the_logits_alone(name: str) -> None:
    model = googlenet_micro(num_classes=2)
    setattr(model, name, None)
    logits = model(torch.randn(3, 3, 20, 30))
    assert isinstance(logits, Tensor)
    assert logits.shape == (3, 2)


def test_auxiliary_classifiers_read_modules_4a_and_4d() -> None:
    model = googlenet_micro()
    read: dict[str, Tensor] = {}
    for name in ("inception4a", "inception4d"):
        model.get_submodule(name).register_forward_hook(
            lambda _module, _args, result, name=name: read.update({name: result})
        )
    for name in ("aux1", "aux2"):
        model.get_submodule(name).register_forward_pre_hook(
            lambda _module, args, name=name: read.update({name: args[0]})
        )
    model(torch.zeros(2, 3, 32, 32))
    assert read["aux1"] is read["inception4a"]
    assert read["aux2"] is read["inception4d"]


def test_what_is_dropped() -> None:
    model = googlenet_micro()
    dropouts = {path: m.p for path, m in model.named_modules() if isinstance(m, nn.Dropout)}
    assert dropouts == {"dropout": 0.2, "aux1.dropout": 0.7, "aux2.dropout": 0.7}
    first, second = auxiliaries(model)
    model.dropout.p = first.dropout.p = second.dropout.p = 1.0
    for output, head in zip(
        model(torch.randn(2, 3, 32, 32)), (model.fc, second.fc2, first.fc2), strict=True
    ):
        assert torch.equal(output, head.bias.expand(2, -1))


def test_how_weights_start() -> None:
    model = GoogLeNet(num_classes=50, divisor=2)
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight
            assert weight.std().item() == pytest.approx(0.0088, rel=3 / weight.numel() ** 0.5)
            assert abs(weight.mean()) < 0.04 / weight.numel() ** 0.5
            assert weight.abs().max() < 0.02 + 1e-6
        elif isinstance(layer, nn.BatchNorm2d):
            assert (layer.weight == 1).all()
            assert not layer.bias.any()


@settings(max_examples=10)
@given(height=IMAGES, width=IMAGES)
def test_the_head_reads_the_last_feature_map(height: int, width: int) -> None:
    model = googlenet_micro(num_classes=7).double().eval()
    images = torch.randn(2, 3, height, width, dtype=torch.float64)
    maps = model.feature_maps(images)
    logits = maps[-1].mean(dim=(2, 3)) @ model.fc.weight.T + model.fc.bias
    torch.testing.assert_close(model(images), logits, rtol=1e-12, atol=1e-12)


@settings(max_examples=10)
@given(height=IMAGES, width=IMAGES)
def test_a_map_grows_by_one_row_per_stride(height: int, width: int) -> None:
    backbone: Backbone = googlenet_micro().eval()
    maps = backbone.feature_maps(torch.zeros(1, 3, height, width))
    taller = backbone.feature_maps(torch.zeros(1, 3, height + 32, width))
    wider = backbone.feature_maps(torch.zeros(1, 3, height, width + 32))
    assert tuple(map_.shape[1] for map_ in maps) == backbone.feature_channels
    for stride, map_, tall, wide in zip(backbone.strides, maps, taller, wider, strict=True):
        assert (tall.shape[2] - map_.shape[2], tall.shape[3]) == (32 // stride, map_.shape[3])
        assert (wide.shape[3] - map_.shape[3], wide.shape[2]) == (32 // stride, map_.shape[2])


@pytest.mark.parametrize("training", [False, True])
def test_what_is_too_small_is_refused(training: bool) -> None:
    model = create_model("googlenet_micro").train(training)
    model(torch.zeros(2, 3, 15, 15))
    with pytest.raises(ShapeError, match="height must be at least 15, got 14"):
        model(torch.zeros(2, 3, 14, 15))
    with pytest.raises(ShapeError, match="width must be at least 15, got 14"):
        model(torch.zeros(2, 3, 15, 14))


def test_training_needs_two_values_of_each_map() -> None:
    model = googlenet_micro()
    model(torch.zeros(1, 3, 47, 15))
    model(torch.zeros(1, 3, 15, 47))
    with pytest.raises(ShapeError, match="batch > 1 or height > 46 or width > 46"):
        model(torch.zeros(1, 3, 46, 46))
    model.eval()(torch.zeros(1, 3, 46, 46))


def test_the_contracts() -> None:
    assert str(signature(InceptionModule(8, 1, 2, 3, 4, 5, 6))) == (
        '(x: Float[Tensor, "batch channels=8 height width"]) -> '
        'Float[Tensor, "batch channels=15 height width"]'
    )
    logits = 'Float[Tensor, "batch classes=7"]'
    assert str(signature(GoogLeNetAuxiliary(8, 7, channels=2, hidden_features=3))) == (
        f'(x: Float[Tensor, "batch channels=8 height width"]) -> {logits}'
    )
    assert str(signature(googlenet_micro(in_channels=1, num_classes=7))) == (
        '(images: Float[Tensor, "batch channels=1 height width"]) -> '
        f"{logits} | tuple[{logits}, {logits}, {logits}]"
    )


def test_branches_that_all_lose_the_border_are_refused() -> None:
    module = InceptionModule(8, 1, 2, 3, 4, 5, 6)
    for branch in (module.branch1, module.branch2, module.branch3, module.branch4):
        branch.register_forward_hook(lambda _module, _args, maps: maps[..., 1:-1, 1:-1])
    with pytest.raises(ShapeError, match="expected height = 7, got 5"):
        module(torch.zeros(2, 8, 7, 7))


def test_an_auxiliary_classifier_of_other_labels_is_refused() -> None:
    model = googlenet_micro()
    auxiliaries(model)[0].fc2 = nn.Linear(64, 7)
    with pytest.raises(ShapeError, match="expected classes = 1000, got 7"):
        model(torch.zeros(2, 3, 32, 32))


def test_pooling_that_drops_the_border_is_refused() -> None:
    model = googlenet_micro()
    model.maxpool2.ceil_mode = False
    with pytest.raises(ShapeError, match=r"expected height=\(height-7\)//8\+1 = 4, got 3"):
        model.feature_maps(torch.zeros(2, 3, 32, 32))


def test_a_few_steps_of_training() -> None:
    model = googlenet_micro(in_channels=1, num_classes=2)
    labels = torch.tensor([0, 1]).repeat(8)
    images = torch.randn(16, 1, 16, 16) + 2 * labels[:, None, None, None]
    batch = ImageBatch(images, labels)
    make_optimizer = choose_optimizer("adam", lr=0.003)
    state = init(model, make_optimizer, seed=0)
    losses = []
    for _ in range(12):
        state, loss = train_step(model, make_optimizer, state, batch, loss=auxiliary_cross_entropy)
        losses.append(loss)
    assert losses[0] == pytest.approx(1.6 * 0.693, rel=0.1)  # three that guess, two at 0.3
    assert losses[-1] < 0.5 * losses[0]
    metrics = evaluate(model, state, [batch], loss=auxiliary_cross_entropy)
    install(model, state)
    logits = model.eval()(images)
    assert isinstance(logits, Tensor)
    assert metrics.accuracy == (logits.argmax(dim=1) == labels).float().mean()
    assert metrics.loss == pytest.approx(auxiliary_cross_entropy(logits, labels).item(), rel=1e-5)
