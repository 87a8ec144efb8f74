import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, fx, nn
from torch.nn import functional
from torchvision.models.vision_transformer import VisionTransformer as Published
from torchvision.models.vision_transformer import interpolate_embeddings

from shapezoo import ShapeError, model_info, signature
from shapezoo.layers import SelfAttention
from shapezoo.models import (
    Backbone,
    Encoder,
    EncoderBlock,
    VisionTransformer,
    vit_h_14,
    vit_micro,
)

SIZES = st.integers(1, 3)
POSITIONS = "encoder.pos_embedding"


def with_all_parts(model: VisionTransformer) -> VisionTransformer:
    """A model whose zeros are replaced: else its head sees nothing of the image."""
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.1)
    return model.double()


def images_for(model: VisionTransformer, batch: int = 2) -> Tensor:
    shape = (batch, model.in_channels, model.image_size, model.image_size)
    return torch.randn(shape, dtype=torch.float64)


@pytest.mark.parametrize("is_training", [False, True])
@settings(max_examples=30)
@given(grid=SIZES, patch_size=SIZES, num_layers=SIZES, num_heads=SIZES, head_dim=SIZES)
def test_outputs_and_gradients_are_those_of_the_publisher(
    is_training: bool, grid: int, patch_size: int, num_layers: int, num_heads: int, head_dim: int
) -> None:
    size, hidden = grid * patch_size, num_heads * head_dim
    ours = with_all_parts(
        VisionTransformer(
            size,
            patch_size=patch_size,
            num_layers=num_layers,
            num_heads=num_heads,
            hidden_size=hidden,
            num_classes=5,
        )
    ).train(is_training)
    other = Published(
        size, patch_size, num_layers, num_heads, hidden, 4 * hidden, num_classes=5
    ).double()
    other.train(is_training).load_state_dict(ours.state_dict())
    images = images_for(ours)
    upstream = torch.randn(2, 5, dtype=torch.float64)
    gradients = []
    for model in (ours, other):
        logits = model(images)
        gradients.append(torch.autograd.grad(logits, [*model.parameters()], upstream))
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)
    with torch.no_grad():  # where PyTorch takes another kernel
        torch.testing.assert_close(ours(images), other(images), rtol=1e-10, atol=1e-10)


@given(down=SIZES, right=SIZES)
def test_without_position_embeddings_patches_are_a_bag(down: int, right: int) -> None:
    model = with_all_parts(vit_micro())
    images, step = images_for(model), model.strides[0]
    rolled = images.roll((down * step, right * step), dims=(2, 3))
    assert not torch.allclose(model(rolled), model(images))
    nn.init.zeros_(model.get_parameter(POSITIONS))
    torch.testing.assert_close(model(rolled), model(images))
    (before,), (after,) = model.feature_maps(images), model.feature_maps(rolled)
    torch.testing.assert_close(after, before.roll((down, right), dims=(2, 3)))


def test_feature_maps_and_scores_come_from_the_same_tokens() -> None:
    model = with_all_parts(vit_micro())
    images = images_for(model)
    seen: list[Tensor] = []
    model.encoder.register_forward_hook(lambda module, args, result: seen.append(result))
    (features,) = model.feature_maps(images)
    assert isinstance(model, Backbone)
    assert features.shape == (2, *model.feature_channels, *[32 // model.strides[0]] * 2)
    for row, column in itertools.product(range(8), repeat=2):
        assert torch.equal(features[..., row, column], seen[0][:, 1 + 8 * row + column])
    torch.testing.assert_close(model(images), model.heads(seen[0][:, 0]))


def test_dropout_stands_where_the_paper_says() -> None:
    dropping = VisionTransformer(
        32, patch_size=4, num_layers=2, num_heads=2, hidden_size=32, dropout=0.5
    )
    assert [name for name, m in dropping.named_modules() if isinstance(m, nn.Dropout)] == [
        "encoder.dropout",
        *(
            f"encoder.layers.encoder_layer_{layer}.{name}"
            for layer in range(2)
            for name in ("dropout", "mlp.2", "mlp.4")
        ),
    ]
    assert {m.p for m in dropping.modules() if isinstance(m, nn.Dropout)} == {0.5}
    assert {m.dropout for m in dropping.modules() if isinstance(m, SelfAttention)} == {0.0}
    model, images = with_all_parts(dropping), images_for(dropping)
    assert not torch.equal(model(images), model(images))
    assert torch.equal(model.eval()(images), model(images))


@pytest.mark.parametrize("image_size", [8, 24, 32, 64])
def test_weights_for_another_size_are_adapted_as_by_the_publisher(image_size: int) -> None:
    weights = with_all_parts(vit_micro(image_size=32)).state_dict()
    kept = weights[POSITIONS]
    model = vit_micro(image_size=image_size).double()
    adapted = model.adapted(weights)
    assert weights[POSITIONS] is kept
    assert [*adapted] == [*weights]
    assert all(adapted[key] is weights[key] for key in weights if key != POSITIONS)
    assert torch.equal(adapted[POSITIONS][:, 0], kept[:, 0])
    expected = interpolate_embeddings(image_size, 4, weights)
    assert torch.equal(adapted[POSITIONS], expected[POSITIONS])
    model.load_state_dict(adapted)


def test_weights_for_the_same_size_stay() -> None:
    model = vit_micro()
    weights = model.state_dict()
    assert torch.equal(model.adapted(weights)[POSITIONS], weights[POSITIONS])


def test_weights_without_positions_are_left_to_who_loads_them() -> None:
    assert [*vit_micro().adapted({"class_token": torch.zeros(1)})] == ["class_token"]


def test_weights_with_the_names_of_older_files_are_adapted() -> None:
    weights = vit_micro().state_dict()
    older = {
        key.replace("mlp.0.", "mlp.linear_1.").replace("mlp.3.", "mlp.linear_2."): weight
        for key, weight in weights.items()
    }
    assert older.keys() - weights.keys()
    assert [*vit_micro().adapted(older)] == [*weights]
    other = Published(32, 4, num_layers=2, num_heads=2, hidden_dim=32, mlp_dim=128)
    other.load_state_dict(older)
    for key, weight in other.state_dict().items():
        assert torch.equal(weight, weights[key])


@pytest.mark.parametrize("number", [2, 15])
def test_positions_that_are_no_square_are_refused(number: int) -> None:
    weights = {**vit_micro().state_dict(), POSITIONS: torch.zeros(1, 1 + number, 32)}
    message = f"encoder.pos_embedding must be of a square of patches, got {number} patches"
    with pytest.raises(ValueError, match=message):
        vit_micro().adapted(weights)


def test_images_that_are_not_whole_patches_are_refused() -> None:
    with pytest.raises(ValueError, match="image_size must be divisible by patch_size = 4, got 30"):
        vit_micro(image_size=30)


def test_how_weights_begin() -> None:
    model = vit_micro(image_size=128)
    state = model.state_dict()
    patches, positions = state["conv_proj.weight"], state[POSITIONS]
    assert patches.std().item() == pytest.approx(math.sqrt(1 / (3 * 4 * 4)), rel=0.03)
    assert patches.mean().item() == pytest.approx(0, abs=0.003)
    assert positions.std().item() == pytest.approx(0.02, rel=0.03)
    assert positions.mean().item() == pytest.approx(0, abs=0.001)
    zeros = {key for key, weight in state.items() if not weight.any()}
    ends = {"class_token", "conv_proj.bias", "heads.head.weight", "heads.head.bias"}
    assert ends == {key for key in zeros if not key.startswith("encoder.")}


def test_weights_of_patches_begin_truncated_at_2() -> None:
    model = VisionTransformer(
        1, patch_size=1, num_layers=0, num_heads=1, hidden_size=9999, in_channels=1, num_classes=1
    )
    weights = model.conv_proj.weight
    assert 1.99 < weights.abs().max().item() <= 2
    assert weights.std().item() == pytest.approx(0.88, abs=0.02)  # of a normal one cut there


def test_the_numbers_of_parameters() -> None:
    names = {"vit_b_16": 86_567_656, "vit_l_16": 304_326_632, "vit_h_14": 632_045_800}
    assert {name: model_info(name).parameters for name in names} == names
    assert model_info("vit_micro").parameters < 300_000


def test_a_giant_needs_no_memory_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = vit_h_14(image_size=518, in_channels=1, num_classes=3).eval()
        logits = model(torch.zeros(2, 1, 518, 518))
    assert logits.shape == (2, 3)
    assert model.encoder.seq_length == 37**2 + 1


def test_the_contracts() -> None:
    block = EncoderBlock(8, num_heads=2, dropout=0.0)
    encoder = Encoder(8, seq_length=5, num_layers=1, num_heads=2, dropout=0.0)
    assert str(signature(block)) == (
        '(tokens: Float[Tensor, "batch seq hidden=8"]) -> Float[Tensor, "batch seq hidden=8"]'
    )
    assert str(signature(encoder)) == (
        '(tokens: Float[Tensor, "batch seq=5 hidden=8"]) -> Float[Tensor, "batch seq=5 hidden=8"]'
    )
    images = '(images: Float[Tensor, "batch channels=3 height=32 width=32"]) -> '
    assert str(signature(vit_micro())) == images + 'Float[Tensor, "batch classes=1000"]'
    assert str(signature(vit_micro().feature_maps)) == (
        images + 'tuple[Float[Tensor, "batch channels=32 height=8 width=8"]]'
    )


def test_calls_that_break_a_contract_are_refused() -> None:
    model, images = vit_micro(), torch.zeros(1, 3, 32, 32)
    with pytest.raises(ShapeError, match="expected height = 32, got 40"):
        model(torch.zeros(1, 3, 40, 32))
    model.conv_proj.stride = (8, 8)
    with pytest.raises(ShapeError, match="expected seq = 65, got 17"):
        model(images)
    model.conv_proj.stride = (4, 4)
    block = model.encoder.layers[0]
    assert isinstance(block, EncoderBlock)
    block.mlp[3] = nn.Linear(128, 1)  # which would be broadcast
    with pytest.raises(ShapeError, match="expected hidden = 32, got 1"):
        model(images)


def blocks_by_hand(model: VisionTransformer, images: Tensor) -> list[Tensor]:
    """The patches that hooks see after each block, normalised."""
    seen: list[Tensor] = []
    handles = [
        block.register_forward_hook(lambda _module, _args, tokens: seen.append(tokens))
        for block in model.encoder.layers
    ]
    model(images)
    for handle in handles:
        handle.remove()
    norm, shape = model.encoder.ln, (-1, model.grid_size, model.grid_size, model.num_features)
    return [
        functional.layer_norm(tokens, shape[3:], norm.weight, norm.bias, 1e-6)[:, 1:]
        .reshape(shape)
        .movedim(3, 1)
        for tokens in seen
    ]


@given(layers=st.lists(st.integers(-3, 2), max_size=5))
def test_intermediate_maps_are_those_after_each_block(layers: list[int]) -> None:
    model = VisionTransformer(8, patch_size=4, num_layers=3, num_heads=2, hidden_size=6).eval()
    with_all_parts(model)
    images = images_for(model)
    expected = blocks_by_hand(model, images)
    maps = model.intermediate_maps(images, layers)
    assert len(maps) == len(layers)
    for number, map_ in zip(layers, maps, strict=True):
        torch.testing.assert_close(map_, expected[number])
    assert torch.equal(model.intermediate_maps(images, (-1,))[0], model.feature_maps(images)[0])


def test_blocks_after_the_last_intermediate_map_do_not_run() -> None:
    model, images = vit_micro(), torch.zeros(1, 3, 32, 32)
    model.encoder.layers[1] = nn.Flatten()  # which would break the contract of the maps
    assert model.intermediate_maps(images, [0])[0].shape == (1, 32, 8, 8)
    assert model.intermediate_maps(images, []) == ()


@pytest.mark.parametrize("number", [2, -3, 100])
def test_blocks_that_are_not_there_are_refused(number: int) -> None:
    message = f"^layers must be indices of blocks, from -2 to 1, got {number}$"
    with pytest.raises(ValueError, match=message):
        vit_micro().intermediate_maps(torch.zeros(1, 3, 32, 32), [0, number])


def test_intermediate_maps_have_a_contract() -> None:
    model = vit_micro()
    assert str(signature(model.intermediate_maps)) == (
        '(images: Float[Tensor, "batch channels=3 height=32 width=32"], layers: Sequence[int]) -> '
        'tuple[Float[Tensor, "batch channels=32 height=8 width=8"], ...]'
    )
    with pytest.raises(ShapeError, match="expected height = 32, got 16"):
        model.intermediate_maps(torch.zeros(1, 3, 16, 32), [0])
    block = model.encoder.layers[0]
    block.register_forward_hook(lambda _module, _args, tokens: tokens.repeat(2, 1, 1))
    with pytest.raises(ShapeError, match="expected batch = 1, got 2"):
        model.intermediate_maps(torch.zeros(1, 3, 32, 32), [0])


class Pyramid(nn.Module):
    """Two maps of a vision transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.vit = vit_micro()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        return self.vit.intermediate_maps(images, [0, -1])


def test_intermediate_maps_fit_into_one_graph() -> None:
    model, images = Pyramid().eval(), torch.randn(2, 3, 32, 32)
    expected = model(images)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    programs = fx.symbolic_trace(model), compiled, torch.export.export(model, (images,)).module()
    for program in programs:
        for map_, same in zip(program(images), expected, strict=True):
            torch.testing.assert_close(map_, same)
