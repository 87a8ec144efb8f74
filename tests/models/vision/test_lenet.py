import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from shapezoo import model_info, signature
from shapezoo.models import LeNet, SmallLeNet, lenet, lenet_small


def features_by_hand(images: Tensor, state: dict[str, Tensor]) -> list[Tensor]:
    """The convolutions of the course's drawings, step by step, from the weights alone."""
    first = functional.conv2d(images, state["features.0.weight"], state["features.0.bias"])
    halved = first.clamp(min=0).unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
    second = functional.conv2d(halved, state["features.3.weight"], state["features.3.bias"])
    quarter = second.clamp(min=0).unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5))
    return [first, halved, second, quarter, quarter.flatten(1)]


def by_hand(images: Tensor, state: dict[str, Tensor]) -> list[Tensor]:
    steps = features_by_hand(images, state)
    return [*steps, functional.linear(steps[-1], *linear(state, "classifier"))]


def small_by_hand(images: Tensor, state: dict[str, Tensor]) -> list[Tensor]:
    steps = features_by_hand(images, state)
    hidden = functional.linear(steps[-1], *linear(state, "classifier.0"))
    logits = functional.linear(hidden.clamp(min=0), *linear(state, "classifier.2"))
    return [*steps, hidden, logits]


def linear(state: dict[str, Tensor], name: str) -> tuple[Tensor, Tensor]:
    return state[f"{name}.weight"], state[f"{name}.bias"]


def test_every_size_of_the_drawing() -> None:
    steps = by_hand(torch.zeros(2, 1, 28, 28), lenet().state_dict())
    assert [tuple(step.shape) for step in steps] == [
        (2, 10, 24, 24),
        (2, 10, 12, 12),
        (2, 20, 8, 8),
        (2, 20, 4, 4),
        (2, 320),
        (2, 10),
    ]


def test_every_size_of_the_smaller_drawing() -> None:
    steps = small_by_hand(torch.zeros(2, 1, 28, 28), lenet_small().state_dict())
    assert [tuple(step.shape) for step in steps] == [
        (2, 4, 24, 24),
        (2, 4, 12, 12),
        (2, 8, 8, 8),
        (2, 8, 4, 4),
        (2, 128),
        (2, 64),
        (2, 10),
    ]


def test_the_number_of_parameters() -> None:
    assert model_info("lenet").parameters == 8490
    convolutions = (1 * 5**2 + 1) * 4 + (4 * 5**2 + 1) * 8
    linear_layers = (128 + 1) * 64 + (64 + 1) * 10
    assert model_info("lenet_small").parameters == convolutions + linear_layers


@given(batch=st.integers(0, 4), in_channels=st.integers(1, 3), num_classes=st.integers(1, 12))
def test_outputs_equal_those_by_hand(batch: int, in_channels: int, num_classes: int) -> None:
    model = LeNet(in_channels=in_channels, num_classes=num_classes).double()
    images = torch.randn(batch, in_channels, 28, 28, dtype=torch.float64)
    expected = by_hand(images, model.state_dict())[-1]
    torch.testing.assert_close(model(images), expected, rtol=1e-12, atol=1e-12)


@given(
    batch=st.integers(0, 4),
    in_channels=st.integers(1, 3),
    num_classes=st.integers(1, 12),
    hidden_features=st.integers(1, 70),
)
def test_outputs_of_the_smaller_equal_those_by_hand(
    batch: int, in_channels: int, num_classes: int, hidden_features: int
) -> None:
    model = SmallLeNet(
        in_channels=in_channels, num_classes=num_classes, hidden_features=hidden_features
    ).double()
    images = torch.randn(batch, in_channels, 28, 28, dtype=torch.float64)
    expected = small_by_hand(images, model.state_dict())[-1]
    torch.testing.assert_close(model(images), expected, rtol=1e-12, atol=1e-12)


def test_its_contract_is_that_of_the_course() -> None:
    contract = signature(lenet())
    assert str(contract) == (
        '(images: Float[Tensor, "batch channels=1 28 28"]) -> Float[Tensor, "batch classes=10"]'
    )
    assert contract.accepts((None, 1, 28, 28))
    assert not contract.accepts((None, 3, 28, 28))
    assert str(signature(lenet_small())) == str(contract)
