"""A model computes with the tensors of a state, and has its own again afterwards."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from shapezoo.train import MakeOptimizer, State, choose_optimizer, evaluate, init, install
from shapezoo.train.steps.state import lent

ADAM = choose_optimizer("adam", lr=0.01)
Fingerprint = Callable[..., str]


def model_with_state() -> tuple[nn.Sequential, State]:
    """A model of which a part is in evaluation mode, and a state of other values."""
    torch.manual_seed(1)
    model, other = (
        nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2), nn.LSTM(2, 2)) for _ in range(2)
    )
    model[1].eval()
    return model, init(other, ADAM)


def values(state: State) -> dict[str, Tensor]:
    parameters: dict[str, Tensor] = {n: nn.Parameter(v) for n, v in state.parameters.items()}
    return parameters | state.buffers


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_a_model_gets_back_what_it_is_made_of(training: bool, fails: bool) -> None:
    model, state = model_with_state()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = dict([*model.named_parameters(), *model.named_buffers()])
    gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    names = list(model.state_dict())
    try:
        with lent(model, values(state), training=training):
            assert not any(p is before[name] for name, p in model.named_parameters())
            inside = [module.training for module in model.modules()]
            assert inside == (modes if training else [False] * len(modes))
            if fails:
                raise ArithmeticError
    except ArithmeticError:
        assert fails
    after = dict([*model.named_parameters(), *model.named_buffers()])
    assert all(after[name] is tensor for name, tensor in before.items())
    assert all(p.grad is gradients[name] for name, p in model.named_parameters())
    assert [module.training for module in model.modules()] == modes
    assert list(model.state_dict()) == names
    rnn = model[2]
    assert isinstance(rnn, nn.LSTM)
    assert [id(weight) for weight in rnn._flat_weights] == [id(w) for w in rnn.parameters()]


def test_loans_nest() -> None:
    model, state = model_with_state()
    own, outer, inner = model[0].weight, values(state), values(state)
    with lent(model, outer, training=True):
        with lent(model, inner, training=False):
            assert model[0].weight is inner["0.weight"]
        assert model[0].weight is outer["0.weight"]
        assert model.training
    assert model[0].weight is own


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_a_recurrent_model_computes_with_what_it_is_lent(kind: Callable[..., nn.Module]) -> None:
    one, other = kind(2, 3), kind(2, 3)
    x = torch.randn(4, 2)
    with lent(one, values(init(other, ADAM)), training=True):
        torch.testing.assert_close(one(x), other(x), rtol=0, atol=0)
    assert not torch.equal(one(x)[0], other(x)[0])


def test_a_state_begins_with_copies(fingerprint: Fingerprint) -> None:
    model, _ = model_with_state()
    state = init(model, ADAM)
    before = fingerprint(state)
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor += 1
    assert fingerprint(state) == before


def test_the_seed_decides_what_is_random_and_nothing_else(fingerprint: Fingerprint) -> None:
    model, _ = model_with_state()
    before = torch.get_rng_state()
    first, again, other = (init(model, ADAM, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    assert fingerprint(first) == fingerprint(again)
    assert fingerprint(first.random) != fingerprint(other.random)
    assert fingerprint(first.parameters) == fingerprint(other.parameters)


def test_a_state_begins_as_after_manual_seed() -> None:
    state = init(nn.Linear(1, 1), ADAM, seed=5)
    torch.manual_seed(5)
    assert torch.equal(state.random["cpu"], torch.get_rng_state())


def test_an_optimizer_sees_which_parameters_are_frozen() -> None:
    model = nn.Sequential(nn.Linear(2, 2).requires_grad_(False), nn.Linear(2, 2))
    seen: list[bool] = []

    def make_optimizer(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        seen.extend(parameter.requires_grad for parameter in parameters)
        return torch.optim.SGD(parameters)

    init(model, make_optimizer)
    assert seen == [False, False, True, True]


def test_a_model_takes_over_a_state(fingerprint: Fingerprint) -> None:
    model, state = model_with_state()
    before = fingerprint(state)
    install(model, state)
    held = dict([*model.named_parameters(), *model.named_buffers()])
    assert fingerprint(held) == fingerprint({**state.parameters, **state.buffers})
    with torch.no_grad():
        next(model.parameters()).zero_()
    assert fingerprint(state) == before


class One(nn.Module):
    def __init__(self, tensor: Tensor) -> None:
        super().__init__()
        if isinstance(tensor, nn.Parameter):
            self.x = tensor
        else:
            self.register_buffer("x", tensor)


PARAMETER, BUFFER = One(nn.Parameter(torch.ones(2))), One(torch.ones(2))
SGD: MakeOptimizer = functools.partial(torch.optim.SGD, lr=0.1)


@pytest.mark.parametrize(
    ("model", "other", "message"),
    [
        (
            nn.Linear(6, 3),
            nn.Linear(6, 1),
            r"'weight' is float32 \(1, 6\) in .* \(3, 6\) in",
        ),
        (nn.Linear(6, 3), nn.Bilinear(6, 6, 3), r"'weight' is float32 \(3, 6, 6\) in the state"),
        (nn.Linear(6, 3), nn.Linear(6, 3, bias=False), "'bias' is missing in the state"),
        (
            nn.Linear(6, 3, bias=False),
            nn.Linear(6, 3),
            r"'bias' is float32 \(3,\) .* missing in",
        ),
        (nn.Linear(6, 3), nn.Sequential(nn.Linear(6, 3)), "'weight' is missing in the state"),
        (nn.BatchNorm1d(3), nn.BatchNorm1d(2), r"'weight' is float32 \(2,\) in the state"),
        (nn.Linear(6, 3), nn.Linear(6, 3).double(), r"'weight' is float64 .* and float32 \(3, 6\)"),
        (PARAMETER, One(nn.Parameter(torch.ones(1, 2))), r"'x' is float32 \(1, 2\) in the state"),
    ],
)
def test_the_state_of_another_model_is_refused_and_nothing_is_taken(
    model: nn.Module, other: nn.Module, message: str, fingerprint: Fingerprint
) -> None:
    before = fingerprint(model.state_dict())
    state = init(other, SGD)
    with pytest.raises(ValueError, match=message):
        install(model, state)
    with pytest.raises(ValueError, match=message):
        evaluate(model, state, [])
    assert fingerprint(model.state_dict()) == before


def test_a_buffer_is_not_a_parameter() -> None:
    as_parameter = init(PARAMETER, SGD)
    as_buffer = State({}, as_parameter.parameters, as_parameter.optimizer, {}, 0)
    with pytest.raises(
        ValueError, match=r"'x' is float32 \(2,\) in .* a buffer float32 \(2,\) in One"
    ):
        install(BUFFER, as_parameter)
    with pytest.raises(
        ValueError, match=r"'x' is a buffer float32 \(2,\) in .* and float32 \(2,\) in"
    ):
        install(PARAMETER, as_buffer)
