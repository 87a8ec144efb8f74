import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, model_info, signature
from shapezoo.models import ResidualBlock, SmallResNet, resnet_small

SIZES = st.integers(1, 6)


def block_by_hand(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """The paper's Figure 2, from the weights alone."""
    first, second = (
        (state[f"{name}{layer}.weight"], state[f"{name}{layer}.bias"])
        for layer in ("conv1", "conv2")
    )
    inner = functional.conv2d(x, *first, padding="same").clamp(min=0)
    return (x + functional.conv2d(inner, *second, padding="same")).clamp(min=0)


def net_by_hand(images: Tensor, state: dict[str, Tensor]) -> Tensor:
    x = images
    for stage in (0, 4):
        x = functional.conv2d(x, state[f"features.{stage}.weight"], state[f"features.{stage}.bias"])
        x = x.clamp(min=0).unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
        x = block_by_hand(x, state, f"features.{stage + 3}.")
    return x.flatten(1) @ state["classifier.weight"].T + state["classifier.bias"]


@given(batch=SIZES, channels=SIZES, height=SIZES, width=SIZES)
def test_the_block_preserves_its_dimensions(
    batch: int, channels: int, height: int, width: int
) -> None:
    block = ResidualBlock(channels).double()
    x = torch.randn(batch, channels, height, width, dtype=torch.float64)
    result = block(x)
    assert result.shape == x.shape
    expected = block_by_hand(x, block.state_dict(), "")
    torch.testing.assert_close(result, expected, rtol=1e-12, atol=1e-12)


@given(batch=SIZES, channels=SIZES, height=SIZES, width=SIZES)
def test_a_block_that_adds_nothing_is_relu(
    batch: int, channels: int, height: int, width: int
) -> None:
    block = ResidualBlock(channels)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)
    x = torch.randn(batch, channels, height, width, requires_grad=True)
    result = block(x)
    assert torch.equal(result, x.relu())
    (gradient,) = torch.autograd.grad(result.sum(), x)
    assert torch.equal(gradient, (x > 0).float())


@given(batch=st.integers(0, 3), in_channels=st.integers(1, 3), num_classes=st.integers(1, 12))
def test_outputs_equal_those_by_hand(batch: int, in_channels: int, num_classes: int) -> None:
    model = SmallResNet(in_channels=in_channels, num_classes=num_classes).double()
    images = torch.randn(batch, in_channels, 28, 28, dtype=torch.float64)
    expected = net_by_hand(images, model.state_dict())
    torch.testing.assert_close(model(images), expected, rtol=1e-12, atol=1e-12)


def test_every_size_of_the_drawing() -> None:
    x, shapes = torch.zeros(2, 1, 28, 28), []
    for layer in resnet_small().features:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [
        (16, 24, 24),
        (16, 24, 24),
        (16, 12, 12),
        (16, 12, 12),
        (32, 8, 8),
        (32, 8, 8),
        (32, 4, 4),
        (32, 4, 4),
        (512,),
    ]


def test_the_number_of_parameters() -> None:
    def conv(given: int, made: int, side: int) -> int:
        return (given * side**2 + 1) * made

    convolutions = conv(1, 16, 5) + conv(16, 32, 5)
    blocks = 2 * conv(16, 16, 3) + 2 * conv(32, 32, 3)
    assert model_info("resnet_small").parameters == convolutions + blocks + (512 + 1) * 10


def test_the_contracts() -> None:
    assert str(signature(ResidualBlock(16))) == (
        '(x: Float[Tensor, "batch channels=16 height width"]) -> '
        'Float[Tensor, "batch channels=16 height width"]'
    )
    assert str(signature(resnet_small())) == (
        '(images: Float[Tensor, "batch channels=1 28 28"]) -> Float[Tensor, "batch classes=10"]'
    )


@pytest.mark.parametrize(
    ("conv2", "message"),
    [
        (nn.Conv2d(1, 4, kernel_size=3, padding=1), "expected channels = 1, got 4"),
        (nn.Conv2d(1, 1, kernel_size=1, padding=1), "expected height = 1, got 3"),
    ],
    ids=["channels", "height"],
)
def test_a_shortcut_that_would_be_broadcast_is_refused(conv2: nn.Conv2d, message: str) -> None:
    block = ResidualBlock(1)
    block.conv2 = conv2
    with pytest.raises(ShapeError, match=message):
        block(torch.zeros(2, 1, 1, 1))
