import copy
import math
import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError
from shapezoo.layers import ACTIVATIONS, Activation, ActivationLayer

EACH = pytest.mark.parametrize("activation", ACTIVATIONS.values(), ids=ACTIVATIONS)
NUMBERS = st.floats(-100, 100) | st.sampled_from([-0.5, -0.0, 0.0, 0.5])
POINTS = [-3.0, -0.5, -0.25, 0.0, 0.25, 0.5, 3.0]
ROUNDING = 1e-8  # above what PyTorch's softplus lacks past 20


def tensor(*numbers: float) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)


def value(activation: Activation, x: float) -> float:
    return activation(tensor(x)).item()


def formula(text: str, x: float) -> float:
    """The value of a formula in Python's notation."""
    names: Mapping[str, object] = {**vars(math), "x": x}
    return float(eval(text, {}, names))


def faults(activation: Activation, x: float) -> set[str]:
    """Return the attributes of an activation that are wrong at this point."""
    at = tensor(x).requires_grad_()
    y = activation(at)
    (slope,) = torch.autograd.grad(y, at)
    found = {
        "formula": abs(y.item() - formula(activation.formula, x)) > ROUNDING,
        "derivative": abs(slope.item() - formula(activation.derivative, x)) > ROUNDING,
        "lower": y.item() < activation.lower,
        "upper": y.item() > activation.upper,
    }
    if abs(x) <= 10 and not activation.attained:  # beyond, rounding reaches the bounds
        found["attained"] = y.item() in (activation.lower, activation.upper)
    return {fault for fault, is_there in found.items() if is_there}


def loose_bounds(activation: Activation) -> set[str]:
    """Return the finite bounds that are not attained, or not approached."""
    far, distance = (10, 0.0) if activation.attained else (100, 1e-12)
    return {
        side
        for side, x in {"lower": -far, "upper": far}.items()
        if math.isfinite(bound := getattr(activation, side))
        and abs(value(activation, x) - bound) > distance
    }


@EACH
@given(x=NUMBERS)
def test_an_activation_is_what_it_says(activation: Activation, x: float) -> None:
    assert faults(activation, x) == set()


@EACH
def test_the_finite_bounds_are_reached_or_approached(activation: Activation) -> None:
    assert loose_bounds(activation) == set()


@pytest.mark.parametrize(
    ("name", "sabotage", "fault"),
    [
        ("relu", {"formula": "x"}, "formula"),
        ("tanh", {"derivative": "1 - tanh(x)"}, "derivative"),
        ("relu", {"derivative": "1 if x >= 0 else 0"}, "derivative"),
        ("piecewise_linear", {"derivative": "1 if -1/2 <= x <= 1/2 else 0"}, "derivative"),
        ("tanh", {"lower": 0}, "lower"),
        ("relu", {"upper": 1}, "upper"),
        ("sign", {"attained": False}, "attained"),
        ("relu", {"function": functional.leaky_relu}, "formula"),
    ],
)
def test_a_false_statement_is_found(name: str, sabotage: dict[str, object], fault: str) -> None:
    false = replace(ACTIVATIONS[name], **sabotage)  # type: ignore[arg-type]  # the fields differ in type
    assert fault in set().union(*(faults(false, x) for x in POINTS))


@pytest.mark.parametrize(
    ("name", "sabotage", "side"),
    [
        ("relu", {"lower": -1}, "lower"),
        ("tanh", {"upper": 2}, "upper"),
        ("tanh", {"attained": True}, "upper"),
        ("softplus", {"attained": True}, "lower"),
    ],
)
def test_a_loose_bound_is_found(name: str, sabotage: dict[str, float], side: str) -> None:
    false = replace(ACTIVATIONS[name], **sabotage)  # type: ignore[arg-type]  # the fields differ in type
    assert side in loose_bounds(false)


@EACH
@given(a=NUMBERS, b=NUMBERS)
def test_activations_never_fall(activation: Activation, a: float, b: float) -> None:
    low, high = activation(tensor(min(a, b), max(a, b)))
    assert low <= high + ROUNDING


@given(x=NUMBERS, sharpness=st.floats(1, 1000))
def test_softplus_tends_to_relu(x: float, sharpness: float) -> None:
    softplus, relu = ACTIVATIONS["softplus"], ACTIVATIONS["relu"]
    gap = value(softplus, sharpness * x) / sharpness - value(relu, x)
    assert -ROUNDING <= gap <= math.log(2) / sharpness + ROUNDING  # the corner becomes sharp
    assert gap <= math.exp(-abs(x)) + ROUNDING  # far from the corner there is no difference


@given(x=NUMBERS)
def test_tanh_and_softplus_are_relatives_of_the_logistic_function(x: float) -> None:
    logistic, tanh, softplus = (ACTIVATIONS[name] for name in ("logistic", "tanh", "softplus"))
    assert value(tanh, x) == pytest.approx(2 * value(logistic, 2 * x) - 1, abs=1e-14)
    assert value(logistic, -x) == pytest.approx(1 - value(logistic, x), abs=1e-14)
    at = tensor(x).requires_grad_()
    (slope,) = torch.autograd.grad(softplus(at), at)
    assert slope.item() == pytest.approx(value(logistic, x), abs=ROUNDING)


@given(x=NUMBERS)
def test_the_unit_step_is_heaviside_with_a_half_at_zero(x: float) -> None:
    expected = torch.heaviside(tensor(x), tensor(0.5))
    assert torch.equal(ACTIVATIONS["unit_step"](tensor(x)), expected)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("linear", nn.Identity()),
        ("logistic", nn.Sigmoid()),
        ("tanh", nn.Tanh()),
        ("relu", nn.ReLU()),
        ("softplus", nn.Softplus()),
    ],
)
def test_a_layer_equals_that_of_pytorch(name: str, layer: nn.Module) -> None:
    x = torch.randn(2, 3, 4)
    assert torch.equal(ActivationLayer(ACTIVATIONS[name])(x), layer(x))


@EACH
def test_a_model_with_an_activation_can_be_copied_and_pickled(activation: Activation) -> None:
    model = nn.Sequential(nn.Linear(3, 3), ActivationLayer(activation), nn.Linear(3, 1))
    x = torch.randn(5, 3)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin[1].activation == activation
        assert torch.equal(twin(x), model(x))
    assert f"ActivationLayer({activation.name})" in str(model)


@EACH
def test_a_layer_is_compiled_whole(activation: Activation) -> None:
    layer = ActivationLayer(activation)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    x = torch.randn(5, 3)
    assert torch.equal(compiled(x), layer(x))


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"Activation\.__call__: argument 'x' breaks its contract"):
        ACTIVATIONS["relu"](torch.tensor([1, 2]))


def test_a_function_that_changes_the_shape_is_refused() -> None:
    total = replace(ACTIVATIONS["relu"], function=torch.sum)
    with pytest.raises(ShapeError, match="the result breaks its contract"):
        total(torch.zeros(3))


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[2] / "docs/course/activations.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert rows == [
        f"| `{a.name}` | `{a.formula}` | {a.interval} | `{a.derivative}` |"
        for a in ACTIVATIONS.values()
    ]
