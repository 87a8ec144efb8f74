from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import create_model, model_info, signature
from shapezoo.layers import haar_transform
from shapezoo.models import FeatureClassifier, conv_linear, fourier_linear, haar_linear

BUILDERS = ["fourier_linear", "haar_linear", "conv_linear"]


def fourier(images: Tensor, state: dict[str, Tensor]) -> Tensor:
    whole: Tensor = torch.fft.fft2(images)
    return whole.abs()[..., :15] / 28


def haar(images: Tensor, state: dict[str, Tensor]) -> Tensor:
    once = haar_transform(images)
    once[..., :14, :14] = haar_transform(once[..., :14, :14])
    return once


def convolved(images: Tensor, state: dict[str, Tensor]) -> Tensor:
    weight, bias = state["extractor.layers.0.weight"], state["extractor.layers.0.bias"]
    maps = nn.functional.conv2d(images, weight, bias, padding=2)
    return maps.unfold(2, 2, 2).unfold(3, 2, 2).amax(dim=(4, 5)).clamp(min=0)


@pytest.mark.parametrize(
    ("name", "features"),
    [("fourier_linear", fourier), ("haar_linear", haar), ("conv_linear", convolved)],
)
@pytest.mark.parametrize("in_channels", [1, 3])
def test_logits_are_a_linear_map_of_the_features(
    name: str, features: Callable[[Tensor, dict[str, Tensor]], Tensor], in_channels: int
) -> None:
    model = create_model(name, in_channels=in_channels, num_classes=7).double()
    images = torch.randn(4, in_channels, 28, 28, dtype=torch.float64)
    state = model.state_dict()
    flat = features(images, state).flatten(1)
    expected = flat @ state["classifier.weight"].T + state["classifier.bias"]
    torch.testing.assert_close(model(images), expected, rtol=1e-12, atol=1e-12)


def test_sizes() -> None:
    head = [
        model.classifier.in_features for model in (fourier_linear(), haar_linear(), conv_linear())
    ]
    assert head == [28 * (28 // 2 + 1), 28 * 28, 4 * 14 * 14]
    assert model_info("fourier_linear").parameters == (28 * 15 + 1) * 10
    assert model_info("haar_linear").parameters == (28 * 28 + 1) * 10
    assert model_info("conv_linear").parameters == (5 * 5 + 1) * 4 + (4 * 14 * 14 + 1) * 10


@pytest.mark.parametrize("name", BUILDERS)
def test_the_contract_follows_the_sizes(name: str) -> None:
    assert str(signature(create_model(name, in_channels=3))) == (
        '(images: Float[Tensor, "batch channels=3 28 28"]) -> Float[Tensor, "batch classes=10"]'
    )


@given(steps=st.integers(0, 5), rate=st.floats(0, 0.1))
def test_haar_and_pixels_learn_the_same_by_gradient_descent(steps: int, rate: float) -> None:
    """An orthogonal map of inputs and weights leaves every step of gradient descent as it is."""
    wavelets = haar_linear().double()
    pixels = FeatureClassifier(nn.Identity(), 784).double()
    weight = pixels.classifier.weight.detach().reshape(10, 1, 28, 28)
    with torch.no_grad():
        wavelets.classifier.weight.copy_(haar_transform(weight, 2).flatten(1))
        wavelets.classifier.bias.copy_(pixels.classifier.bias)
    images, labels = torch.rand(16, 1, 28, 28, dtype=torch.float64), torch.arange(16) % 10
    for model in (wavelets, pixels):
        for _ in range(steps):
            loss = nn.functional.cross_entropy(model(images), labels)
            parameters = list(model.parameters())
            gradients = torch.autograd.grad(loss, parameters)
            with torch.no_grad():
                for parameter, gradient in zip(parameters, gradients, strict=True):
                    parameter.sub_(gradient, alpha=rate)
    torch.testing.assert_close(wavelets(images), pixels(images), rtol=1e-9, atol=1e-9)


def test_only_magnitudes_do_not_see_a_shift() -> None:
    images = torch.rand(2, 1, 28, 28)
    shifted = images.roll((7, 7), dims=(2, 3))
    sees = [
        not torch.allclose(model(images), model(shifted), atol=1e-4)
        for model in (fourier_linear(), haar_linear(), conv_linear())
    ]
    assert sees == [False, True, True]


def test_a_wrong_number_of_features_is_no_silent_error() -> None:
    model = FeatureClassifier(nn.Identity(), 783)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        model(torch.zeros(1, 1, 28, 28))
