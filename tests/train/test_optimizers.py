import pickle
from typing import Any

import pytest
import torch

from shapezoo.data import TableBatch
from shapezoo.models import linear_regression
from shapezoo.train import (
    OPTIMIZERS,
    UnknownOptimizerError,
    choose_optimizer,
    init,
    mean_squared_error,
    train_step,
)

SETTINGS: dict[str, dict[str, Any]] = {
    "adagrad": {"lr": 1.0},
    "adam": {"lr": 0.5},
    "adamax": {"lr": 1.0},
    "adamw": {"lr": 0.5, "weight_decay": 0.001},
    "asgd": {"lr": 0.15},
    "lbfgs": {"lr": 1.0},
    "rmsprop": {"lr": 0.1},
    "rprop": {"lr": 0.01},
    "sgd": {"lr": 0.1, "momentum": 0.5},
}
BATCH = TableBatch(
    torch.tensor([[1.0], [2.0], [3.0]]).double(), torch.tensor([[2.0], [4.0], [6.0]]).double()
)


def error_after(steps: int, name: str, **settings: Any) -> float:
    """Return the distance of the line from y = 2 x + 0."""
    model = linear_regression().double()
    make_optimizer = choose_optimizer(name, **settings)
    state = init(model, make_optimizer)
    for _ in range(steps):
        state, _ = train_step(model, make_optimizer, state, BATCH, loss=mean_squared_error)
    weight, bias = (state.parameters[f"linear.{part}"].item() for part in ("weight", "bias"))
    return max(abs(weight - 2), abs(bias))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_finds_the_line(name: str) -> None:
    assert error_after(200, name, **SETTINGS[name]) < 1e-2


def test_lbfgs_finds_the_line_in_three_steps() -> None:
    assert error_after(3, "lbfgs") < 1e-6


def test_a_rate_that_is_too_high_does_not_find_it() -> None:
    assert error_after(20, "sgd", lr=0.2) > 10


def test_the_names_are_those_of_pytorch() -> None:
    assert {name: kind.__name__.lower() for name, kind in OPTIMIZERS.items()} == {
        name: name for name in SETTINGS
    }


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_and_defaults_reach_the_optimizer(name: str) -> None:
    parameters = [torch.nn.Parameter(torch.zeros(2))]
    optimizer = choose_optimizer(name, lr=0.125)(parameters)
    assert type(optimizer) is OPTIMIZERS[name]
    assert optimizer.defaults == {**OPTIMIZERS[name](parameters).defaults, "lr": 0.125}  # type: ignore[call-arg]  # the base class has no defaults


def test_a_chosen_optimizer_can_be_pickled() -> None:
    make_optimizer = pickle.loads(pickle.dumps(choose_optimizer("sgd", lr=0.1, momentum=0.9)))
    optimizer = make_optimizer([torch.nn.Parameter(torch.zeros(2))])
    assert (optimizer.defaults["lr"], optimizer.defaults["momentum"]) == (0.1, 0.9)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("adamm", "did you mean 'adam', 'adamw' or 'adamax'?"),
        ("SGD", "did you mean 'sgd'"),
        ("lion", ""),
    ],
)
def test_an_unknown_name_raises_with_close_matches_and_all_names(name: str, hint: str) -> None:
    with pytest.raises(UnknownOptimizerError) as error:
        choose_optimizer(name)
    assert str(error.value).startswith(f"no optimizer is called {name!r}; {hint}")
    assert str(error.value).endswith(f"valid names: {', '.join(OPTIMIZERS)}")


@pytest.mark.parametrize("setting", ["momentum", "learning_rate", "params", "self"])
def test_an_unknown_setting_is_refused_at_once(setting: str) -> None:
    with pytest.raises(TypeError) as error:
        choose_optimizer("adam", **{setting: 0.5})
    assert f"optimizer 'adam' has no {setting!r}; it has lr, betas, eps" in str(error.value)
