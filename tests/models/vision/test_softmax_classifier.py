from itertools import pairwise

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from shapezoo import model_info, signature
from shapezoo.models import SoftmaxClassifier, softmax_classifier

WIDTHS = (784, 512, 256, 128, 64, 10)


def by_hand(images: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Matrix products with all below zero cut off between them, from the weights alone."""
    values = list(state.values())
    x = images.reshape(len(images), values[0].shape[1])
    for weight, bias in zip(values[::2], values[1::2], strict=True):
        last = x @ weight.T + bias
        x = last.clamp(min=0)
    return last


@given(batch=st.integers(0, 4), in_channels=st.integers(1, 3), num_classes=st.integers(1, 12))
def test_outputs_equal_those_by_hand(batch: int, in_channels: int, num_classes: int) -> None:
    model = SoftmaxClassifier(in_channels=in_channels, num_classes=num_classes).double()
    images = torch.randn(batch, in_channels, 28, 28, dtype=torch.float64)
    expected = by_hand(images, model.state_dict())
    torch.testing.assert_close(model(images), expected, rtol=1e-12, atol=1e-12)


def test_its_layers_are_those_of_the_course() -> None:
    weights = [p for p in softmax_classifier().parameters() if p.dim() == 2]
    assert [tuple(weight.shape[::-1]) for weight in weights] == list(pairwise(WIDTHS))
    expected = sum(width * (before + 1) for before, width in pairwise(WIDTHS))
    assert model_info("softmax_classifier").parameters == expected


def test_its_contract_is_that_of_the_course() -> None:
    assert str(signature(softmax_classifier())) == (
        '(images: Float[Tensor, "batch channels=1 28 28"]) -> Float[Tensor, "batch classes=10"]'
    )
