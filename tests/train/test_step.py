import hashlib
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import train
from shapezoo.train import State, choose_optimizer, evaluate, init, install, train_step
from shapezoo.train.step import MakeOptimizer

OPTIMIZERS: dict[str, MakeOptimizer] = {
    **{name: choose_optimizer(name, lr=0.01) for name in train.OPTIMIZERS},
    "sgd": choose_optimizer("sgd", lr=0.01, momentum=0.5),
    "lbfgs": choose_optimizer("lbfgs", lr=0.1, max_iter=4),
}


@dataclass(frozen=True)
class Points:
    features: Tensor
    labels: Tensor

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        return (self.features,)

    @property
    def targets(self) -> Tensor:
        return self.labels

    def to(self, device: torch.device) -> "Points":
        return Points(self.features.to(device), self.labels.to(device))


def classifier() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 3)
    )


def batches(count: int = 5) -> list[Points]:
    generator = torch.Generator().manual_seed(2)
    return [
        Points(torch.randn(7, 6, generator=generator), torch.randint(3, (7,), generator=generator))
        for _ in range(count)
    ]


def digest(tensors: dict[str, Tensor], optimizer: object) -> str:
    parts = [f"{name}{tensor.tolist()}" for name, tensor in tensors.items()]
    return hashlib.sha256("".join([*parts, repr(optimizer)]).encode()).hexdigest()


def digest_of(state: State) -> str:
    return digest({**state.parameters, **state.buffers}, (state.optimizer, state.step))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_ordinary_training_bit_for_bit(name: str) -> None:
    make_optimizer = OPTIMIZERS[name]
    pure, ordinary = classifier(), classifier()
    optimizer = make_optimizer(list(ordinary.parameters()))
    state = init(pure, make_optimizer)
    for seed, batch in enumerate(batches()):
        torch.manual_seed(seed)
        state, value = train_step(pure, make_optimizer, state, batch)

        def closure(batch: Points = batch) -> float:
            optimizer.zero_grad()
            loss = functional.cross_entropy(ordinary(batch.features), batch.labels)
            torch.autograd.backward(loss)
            return loss.item()

        torch.manual_seed(seed)
        assert value == optimizer.step(closure)
    for key, tensor in ordinary.state_dict().items():
        assert torch.equal({**state.parameters, **state.buffers}[key], tensor), key
    assert state.step == 5


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_that_comes_in_is_modified(name: str) -> None:
    model = classifier().eval()
    state = init(model, OPTIMIZERS[name])
    for batch in batches(2):
        before = digest_of(state), digest(model.state_dict(), batch.features.tolist())
        after, _ = train_step(model, OPTIMIZERS[name], state, batch)
        evaluate(model, state, [batch])
        assert (digest_of(state), digest(model.state_dict(), batch.features.tolist())) == before
        assert digest_of(after) != digest_of(state)
        assert not any(module.training for module in model.modules())
        state = after


class Partly(nn.Module):
    """Has a frozen layer and one that the loss does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 8).requires_grad_(False)
        self.unused = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.frozen(x))
        return logits


def test_frozen_and_unused_parameters_stay() -> None:
    model, make_optimizer = Partly(), OPTIMIZERS["adam"]
    before = init(model, make_optimizer)
    after, _ = train_step(model, make_optimizer, before, batches(1)[0])
    changed = {
        name
        for name, value in after.parameters.items()
        if not torch.equal(value, before.parameters[name])
    }
    assert changed == {"head.weight", "head.bias"}


def test_a_step_resumed_from_a_state_is_the_same_step() -> None:
    model, make_optimizer = classifier(), OPTIMIZERS["adam"]
    state = init(model, make_optimizer)
    first, second = batches(2)
    state, _ = train_step(model, make_optimizer, state, first)
    torch.manual_seed(3)
    once, _ = train_step(model, make_optimizer, state, second)
    torch.manual_seed(3)
    again, _ = train_step(model, make_optimizer, state, second)
    assert digest_of(once) == digest_of(again)


def test_evaluation_weighs_examples_not_batches() -> None:
    model = classifier().eval()
    state = init(model, OPTIMIZERS["sgd"])
    whole = batches(1)[0]
    ragged = [Points(whole.features[a:b], whole.labels[a:b]) for a, b in [(0, 5), (5, 7)]]
    together = evaluate(model, state, [whole])
    parts = evaluate(model, state, ragged)
    logits = model(whole.features)
    assert together.loss == pytest.approx(functional.cross_entropy(logits, whole.labels).item())
    assert together.accuracy == (logits.argmax(1) == whole.labels).sum().item() / 7
    assert parts.loss == pytest.approx(together.loss)
    assert (parts.accuracy, parts.examples) == (together.accuracy, 7)


def test_evaluation_needs_examples() -> None:
    model = classifier()
    with pytest.raises(ValueError, match="no examples to evaluate"):
        evaluate(model, init(model, OPTIMIZERS["sgd"]), [])


def test_a_model_takes_over_a_state() -> None:
    model, make_optimizer = classifier(), OPTIMIZERS["adam"]
    state, _ = train_step(model, make_optimizer, init(model, make_optimizer), batches(1)[0])
    install(model, state)
    for key, tensor in model.state_dict().items():
        assert torch.equal({**state.parameters, **state.buffers}[key], tensor)


def test_a_state_of_another_model_is_refused_and_nothing_is_taken() -> None:
    model = nn.Linear(6, 3)
    before = model.weight.clone()
    with pytest.raises(
        ValueError, match=r"'weight' is \(1, 6\) in the state and \(3, 6\) in Linear"
    ):
        install(model, init(nn.Linear(6, 1), OPTIMIZERS["sgd"]))
    with pytest.raises(ValueError, match="'weight' is missing in the state"):
        install(model, init(classifier(), OPTIMIZERS["sgd"]))
    assert torch.equal(model.weight, before)
