import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError, model_info, signature
from shapezoo.models import InceptionBlock, SmallInception, inception_small

SIZES = st.integers(1, 6)


def block_by_hand(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    """The course's drawing of the block, from the weights alone."""

    def conv(maps: Tensor, layer: str) -> Tensor:
        weight = state[f"{name}{layer}.weight"]
        padding = weight.shape[-1] // 2
        return functional.conv2d(maps, weight, state[f"{name}{layer}.bias"], padding=padding)

    windows = functional.pad(x, [1, 1, 1, 1]).unfold(2, 3, 1).unfold(3, 3, 1)
    return torch.cat(
        [
            conv(x, "branch1x1"),
            conv(conv(x, "branch5x5.0"), "branch5x5.1"),
            conv(conv(conv(x, "branch3x3.0"), "branch3x3.1"), "branch3x3.2"),
            conv(windows.mean(dim=(4, 5)), "branch_pool.1"),
        ],
        dim=1,
    )


def net_by_hand(images: Tensor, state: dict[str, Tensor]) -> Tensor:
    x = images
    for stage in (0, 4):
        x = functional.conv2d(x, state[f"features.{stage}.weight"], state[f"features.{stage}.bias"])
        x = x.clamp(min=0).unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
        x = block_by_hand(x, state, f"features.{stage + 3}.")
    return x.flatten(1) @ state["classifier.weight"].T + state["classifier.bias"]


@given(batch=SIZES, in_channels=SIZES, height=SIZES, width=SIZES)
def test_the_block_is_that_of_the_drawing(
    batch: int, in_channels: int, height: int, width: int
) -> None:
    block = InceptionBlock(in_channels).double()
    x = torch.randn(batch, in_channels, height, width, dtype=torch.float64)
    expected = block_by_hand(x, block.state_dict(), "")
    torch.testing.assert_close(block(x), expected, rtol=1e-12, atol=1e-12)
    assert expected.shape == (batch, 88, height, width)


@given(batch=st.integers(0, 3), in_channels=st.integers(1, 3), num_classes=st.integers(1, 12))
def test_outputs_equal_those_by_hand(batch: int, in_channels: int, num_classes: int) -> None:
    model = SmallInception(in_channels=in_channels, num_classes=num_classes).double()
    images = torch.randn(batch, in_channels, 28, 28, dtype=torch.float64)
    expected = net_by_hand(images, model.state_dict())
    torch.testing.assert_close(model(images), expected, rtol=1e-12, atol=1e-12)


def test_every_size_of_the_drawing() -> None:
    x, shapes = torch.zeros(2, 1, 28, 28), []
    for layer in inception_small().features:
        x = layer(x)
        shapes.append(tuple(x.shape[1:]))
    assert shapes == [
        (10, 24, 24),
        (10, 12, 12),
        (10, 12, 12),
        (88, 12, 12),
        (20, 8, 8),
        (20, 4, 4),
        (20, 4, 4),
        (88, 4, 4),
        (1408,),
    ]


def test_the_number_of_parameters() -> None:
    def conv(given: int, made: int, side: int) -> int:
        return (given * side**2 + 1) * made

    def block(given: int) -> int:
        reductions = 3 * conv(given, 16, 1) + conv(given, 24, 1)
        return reductions + conv(16, 24, 5) + conv(16, 24, 3) + conv(24, 24, 3)

    convolutions = conv(1, 10, 5) + conv(88, 20, 5)
    assert model_info("inception_small").parameters == (
        convolutions + block(10) + block(20) + (1408 + 1) * 10
    )


def test_the_contracts() -> None:
    assert str(signature(InceptionBlock(10))) == (
        '(x: Float[Tensor, "batch channels=10 height width"]) -> '
        'Float[Tensor, "batch channels=88 height width"]'
    )
    assert str(signature(inception_small())) == (
        '(images: Float[Tensor, "batch channels=1 28 28"]) -> Float[Tensor, "batch classes=10"]'
    )


def test_a_narrow_branch_is_refused() -> None:
    block = InceptionBlock(10)
    block.branch1x1 = nn.Conv2d(10, 8, kernel_size=1)
    with pytest.raises(ShapeError, match="expected channels = 88, got 80"):
        block(torch.zeros(2, 10, 12, 12))


def test_branches_that_all_lose_the_border_are_refused() -> None:
    block = InceptionBlock(10)
    block.branch1x1 = nn.Conv2d(10, 16, kernel_size=5)
    block.branch5x5[1] = nn.Conv2d(16, 24, kernel_size=5)
    block.branch3x3[1] = nn.Conv2d(16, 24, kernel_size=3)
    block.branch3x3[2] = nn.Conv2d(24, 24, kernel_size=3)
    block.branch_pool[0] = nn.AvgPool2d(kernel_size=5, stride=1)
    with pytest.raises(ShapeError, match="expected height = 12, got 8"):
        block(torch.zeros(2, 10, 12, 12))
