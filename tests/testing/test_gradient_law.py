"""Every parameter gets a finite gradient: modules that break this are found."""

import pytest
import torch
from jaxtyping import Complex, Float, Int64
from tests.testing.weighted import Body, Holding, Weighted, both, in_train_mode, root, without_norm
from torch import Tensor, nn

from shapezoo import Module
from shapezoo.models import gru, lenet
from shapezoo.testing import assert_gradients, inputs


def detached(model: Weighted, x: Tensor) -> Tensor:
    result: Tensor = model.norm(x) * model.weight.detach()
    return result


def nothing(model: Weighted, x: Tensor) -> Tensor:
    return x


def by_value(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x) if model.weight.detach().sum() < 0 else without_norm(model, x)


def in_place(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x).mul_(2).relu_()


def logarithm(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x).abs().log()


class Parts(Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.ones(3))
        self.second = nn.Parameter(torch.ones(3))

    def forward(
        self, x: Float[Tensor, "batch 3"], state: Float[Tensor, "batch 3"] | None = None
    ) -> tuple[Float[Tensor, "batch 3"], dict[str, Int64[Tensor, "batch"]]]:
        result = x * self.first
        if state is not None:
            result = result + state * self.second
        return result, {"best": result.argmax(1)}


class Waves(Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Float[Tensor, "batch 3"]) -> Complex[Tensor, "batch 3"]:
        result: Tensor = torch.fft.fft(x * self.weight)
        return result


class Looked(Module):
    """Its embedding gives sparse gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3, sparse=True)

    def forward(self, tokens: Int64[Tensor, "batch"]) -> Float[Tensor, "batch 3"]:
        result: Tensor = self.embedding(tokens)
        return result


class Shared(Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        result: Tensor = self.second(self.first(x))
        return result


def frozen() -> Weighted:
    model = Weighted(detached).eval()
    model.weight.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    "module",
    [
        Weighted(both).eval(),
        Weighted(in_place).eval(),
        frozen(),
        Parts(),
        Waves(),
        Looked(),
        Shared(),
        lenet(),
        gru(num_layers=2),
        torch.compile(Parts(), backend="eager"),
    ],
    ids=lambda module: type(module).__name__,
)
def test_gradients_that_reach_all_parameters_pass(module: nn.Module) -> None:
    assert_gradients(module, max_examples=5)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (without_norm, "norm.bias, norm.weight"),
        (detached, "weight"),
        (nothing, "norm.bias, norm.weight, weight"),
        (by_value, "norm.bias, norm.weight"),
        (in_train_mode, "norm.bias, norm.weight"),
    ],
)
def test_parameters_without_gradient_are_named(body: Body, names: str) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_gradients(Weighted(body).eval(), max_examples=5)
    assert str(caught.value).endswith(f": no gradient reaches {names}")


def test_gradients_are_those_of_the_mode() -> None:
    module = Weighted(in_train_mode)
    assert_gradients(module, inputs(module, batch=range(2, 5)))


@pytest.mark.parametrize("body", [root, logarithm])
def test_gradients_that_are_not_finite_are_shown_with_the_smallest_call(body: Body) -> None:
    expected = r"Weighted\(x=Tensor float32 \(1, 3\)\): the gradient of weight is not finite"
    with pytest.raises(AssertionError, match=expected):
        assert_gradients(Weighted(body).eval())


def test_a_parameter_needs_a_gradient_in_one_call_only() -> None:
    module = Parts()
    with pytest.raises(AssertionError, match="no gradient reaches second"):
        assert_gradients(module, inputs(module, given={"state": None}))


def test_gradients_are_computed_whatever_the_mode() -> None:
    with torch.no_grad():
        assert_gradients(Holding())
    with torch.inference_mode():
        assert_gradients(Holding())


class Detector(Module):
    """Gives what has no shape in its contract."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Float[Tensor, "batch 3"]) -> list[dict[str, Tensor]]:
        return [{"boxes": box} for box in self.linear(x)]


def test_gradients_come_from_results_without_shapes_too() -> None:
    assert_gradients(Detector())
