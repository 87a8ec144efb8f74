"""A step equals ordinary training in place, and modifies nothing."""

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils import parametrizations
from torch.optim.lr_scheduler import LambdaLR

from shapezoo import train
from shapezoo.data import ImageBatch, ImageDataset
from shapezoo.train import (
    Batch,
    CosineDecay,
    MakeOptimizer,
    NonFiniteLossError,
    State,
    StateError,
    choose_optimizer,
    evaluate,
    fit,
    init,
    install,
    train_step,
)

OPTIMIZERS: dict[str, MakeOptimizer] = {
    **{name: choose_optimizer(name, lr=0.01) for name in train.OPTIMIZERS},
    "asgd": choose_optimizer("asgd", lr=0.1, lambd=0.1, t0=2),  # averages within a few steps
    "sgd": choose_optimizer("sgd", lr=0.01, momentum=0.5),
    "lbfgs": choose_optimizer("lbfgs", lr=0.1, max_iter=4),
}
ADAM = OPTIMIZERS["adam"]
Fingerprint = Callable[..., str]


def classifier() -> nn.Module:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(6, 8),
        nn.BatchNorm1d(8),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(8, 3),
    )


def smooth() -> nn.Module:
    """Has nothing that normalises over a batch, and nothing random."""
    torch.manual_seed(1)
    return nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 3)).double()


def batches(count: int = 6, dtype: torch.dtype = torch.float32) -> list[ImageBatch]:
    generator = torch.Generator().manual_seed(2)
    return [
        ImageBatch(
            torch.randn(7, 1, 3, 2, generator=generator).to(dtype),
            torch.randint(3, (7,), generator=generator),
        )
        for _ in range(count)
    ]


def cut(batch: ImageBatch, *sizes: int) -> list[Batch]:
    images, labels = (torch.split(t, list(sizes)) for t in (batch.images, batch.labels))
    return [ImageBatch(*part) for part in zip(images, labels, strict=True)]


def ordinary(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    data: Sequence[ImageBatch],
    *,
    schedule: Callable[[int], float] | None = None,
    clip_norm: float | None = None,
    autocast: torch.dtype | None = None,
) -> Iterator[float]:
    """An ordinary training loop in PyTorch."""
    torch.manual_seed(3)
    optimizer = make_optimizer(list(model.parameters()))
    scheduler = LambdaLR(optimizer, schedule or (lambda step: 1.0))
    model.train()
    for batch in data:

        def closure(batch: ImageBatch = batch) -> float:
            optimizer.zero_grad()
            with torch.autocast("cpu", autocast, enabled=autocast is not None):
                loss = functional.cross_entropy(model(batch.images), batch.labels)
            torch.autograd.backward(loss)
            if clip_norm:
                nn.utils.clip_grad_norm_(model.parameters(), clip_norm)
            return loss.item()

        value: float = optimizer.step(closure)
        scheduler.step()
        yield value


def run(
    model: nn.Module,
    make_optimizer: MakeOptimizer,
    data: Sequence[Batch | list[Batch]],
    **settings: Any,
) -> tuple[State, list[float]]:
    state, values = init(model, make_optimizer, seed=3), []
    for batch in data:
        state, value = train_step(model, make_optimizer, state, batch, **settings)
        values.append(value)
    return state, values


class Recurrent(nn.Module):
    """Keeps its weights in a list too."""

    def __init__(self, kind: Callable[..., nn.RNNBase]) -> None:
        super().__init__()
        self.rnn = kind(2, 4, num_layers=2, dropout=0.2, batch_first=True)
        self.head = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        outputs, _ = self.rnn(x.flatten(0, 1))
        logits: Tensor = self.head(outputs[:, -1])
        return logits


class Tied(nn.Module):
    """One parameter and one buffer stand in two places each."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 3)
        self.second.weight = self.first.weight
        self.norms = nn.ModuleList([nn.BatchNorm1d(6), nn.BatchNorm1d(6)])
        self.norms[1].running_mean = self.norms[0].running_mean

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(
            self.norms[1](self.second(self.norms[0](self.first(x.flatten(1))).relu()))
        )
        return logits


class Odd(nn.Module):
    """Has parametrized weights, lists of parameters, and buffers of every sort."""

    count: Tensor
    mean: Tensor
    last: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.normed = parametrizations.weight_norm(nn.Linear(6, 8))
        self.bounded = parametrizations.spectral_norm(nn.Linear(8, 3))
        self.listed = nn.ParameterList([torch.ones(3), torch.ones(3)])
        self.named = nn.ParameterDict({"x": torch.zeros(3)})
        self.register_buffer("count", torch.zeros((), dtype=torch.int64))
        self.register_buffer("mean", torch.zeros(3), persistent=False)
        self.register_buffer("last", torch.zeros(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bounded(self.normed(x.flatten(1)).relu())
        y = y * self.listed[0] * self.listed[1] + self.named["x"] + self.last / self.count.clamp(1)
        self.count += 1
        self.mean.lerp_(y.detach().mean(0), 0.1)
        self.last = y.detach().mean(0)  # another tensor
        logits: Tensor = y + self.mean
        return logits


class Transposed(nn.Module):
    """Has a parameter whose columns lie in a row; products differ in the last bit."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(67, 6).t())
        self.head = nn.Linear(67, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head((x.flatten(1) @ self.weight).relu())
        return logits


def weights_decay(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    """Biases are in a group of their own, without decay."""
    groups: list[dict[str, Any]] = [
        {"params": [p for p in parameters if p.ndim > 1]},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.01)


def trainable_only(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
    return torch.optim.Adam([p for p in parameters if p.requires_grad], lr=0.01)


class Partly(nn.Module):
    """Has a frozen layer, a frozen table of integers, and a layer that the loss does not use."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.Linear(6, 8).requires_grad_(False)
        self.table = nn.Parameter(torch.arange(3), requires_grad=False)
        self.unused = nn.Linear(6, 8)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.frozen(x.flatten(1)))[:, self.table]
        return logits


class FrozenNorm(nn.Module):
    """A batch normalisation that is never in training mode once somebody has set a mode."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.head = nn.BatchNorm1d(6), nn.Linear(6, 3)

    def train(self, mode: bool = True) -> "FrozenNorm":
        super().train(mode)
        self.norm.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.norm(x.flatten(1)))
        return logits


class Restless(nn.Module):
    """Changes a parameter, a buffer and the generator even in evaluation mode."""

    calls: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(5, 3, max_norm=0.1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        rows: Tensor = self.table(x.long().flatten(1)[:, 0].abs() % 5)
        return functional.dropout(rows, training=True)


CASES: dict[str, tuple[Callable[[], nn.Module], MakeOptimizer, dict[str, Any]]] = {
    **{name: (classifier, make_optimizer, {}) for name, make_optimizer in OPTIMIZERS.items()},
    "strong-wolfe": (
        classifier,
        choose_optimizer("lbfgs", line_search_fn="strong_wolfe", history_size=2),
        {},
    ),
    "groups": (classifier, weights_decay, {}),
    "only-trainable": (Partly, trainable_only, {}),
    "clip": (classifier, ADAM, {"clip_norm": 0.1}),
    "clip-lbfgs": (classifier, OPTIMIZERS["lbfgs"], {"clip_norm": 0.1}),
    "schedule": (classifier, weights_decay, {"schedule": CosineDecay(4)}),
    "autocast": (classifier, ADAM, {"autocast": torch.bfloat16}),
    "lstm": (functools.partial(Recurrent, nn.LSTM), ADAM, {}),
    "gru": (functools.partial(Recurrent, nn.GRU), ADAM, {}),
    "rnn": (functools.partial(Recurrent, nn.RNN), ADAM, {}),
    "tied": (Tied, ADAM, {}),
    "odd": (Odd, ADAM, {}),
    "frozen-norm": (FrozenNorm, ADAM, {}),
    "transposed": (Transposed, ADAM, {}),
    "restless": (Restless, ADAM, {}),
}


def pair(make_model: Callable[[], nn.Module]) -> tuple[nn.Module, nn.Module]:
    models = []
    for _ in range(2):
        torch.manual_seed(1)
        models.append(make_model())
    return models[0], models[1]


def held(model: nn.Module) -> dict[str, Tensor]:
    return dict([*model.named_parameters(), *model.named_buffers()])


@pytest.mark.parametrize("name", CASES)
def test_steps_equal_ordinary_training_bit_for_bit(name: str, fingerprint: Fingerprint) -> None:
    make_model, make_optimizer, settings = CASES[name]
    pure, in_place = pair(make_model)
    expected = list(ordinary(in_place, make_optimizer, batches(), **settings))
    state, values = run(pure, make_optimizer, batches(), **settings)
    assert values == expected
    reached = {**state.parameters, **state.buffers}
    assert fingerprint(reached) == fingerprint(held(in_place))
    assert state.step == len(expected)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_what_an_optimizer_keeps_has_its_own_dtype(
    name: str, dtype: torch.dtype, fingerprint: Fingerprint
) -> None:
    pure, in_place = (model.to(dtype) for model in pair(classifier))
    expected = list(ordinary(in_place, OPTIMIZERS[name], batches(dtype=dtype)))
    state, values = run(pure, OPTIMIZERS[name], batches(dtype=dtype))
    assert values == expected
    assert fingerprint({**state.parameters, **state.buffers}) == fingerprint(held(in_place))


@pytest.mark.parametrize("name", ["clip", "schedule", "autocast", "groups"])
def test_settings_make_a_difference(name: str, fingerprint: Fingerprint) -> None:
    make_model, make_optimizer, settings = CASES[name]
    plain = weights_decay if name == "schedule" else ADAM
    state, _ = run(make_model(), make_optimizer, batches(), **settings)
    without, _ = run(make_model(), plain, batches())
    assert fingerprint(state.parameters) != fingerprint(without.parameters)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_same_step_twice_is_the_same(name: str, fingerprint: Fingerprint) -> None:
    model, make_optimizer = classifier(), OPTIMIZERS[name]
    start, _ = run(model, make_optimizer, batches(2))
    torch.manual_seed(4)
    once = train_step(model, make_optimizer, start, batches(1)[0])
    torch.manual_seed(5)
    again = train_step(model, make_optimizer, start, batches(1)[0])
    assert fingerprint(once) == fingerprint(again)
    assert fingerprint(once[0].random) != fingerprint(start.random)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_nothing_that_comes_in_is_modified(name: str, fingerprint: Fingerprint) -> None:
    model, make_optimizer = classifier().eval(), OPTIMIZERS[name]
    state = init(model, make_optimizer)

    def all_there_is(batch: ImageBatch) -> str:
        return fingerprint(state, held(model), batch, torch.get_rng_state())

    def fails(outputs: Tensor, targets: Tensor) -> Tensor:
        functional.cross_entropy(outputs, targets).backward()  # type: ignore[no-untyped-call]
        raise ArithmeticError

    for batch in batches(3):
        before = all_there_is(batch)
        after, _ = train_step(model, make_optimizer, state, batch)
        evaluate(model, state, [batch])
        with pytest.raises(ArithmeticError):
            train_step(model, make_optimizer, state, batch, loss=fails)
        with pytest.raises(ArithmeticError):
            train_step(model, make_optimizer, after, [batch, batch], loss=fails)
        assert all_there_is(batch) == before
        assert fingerprint(after) != fingerprint(state)
        state = after


def test_frozen_and_unused_parameters_stay() -> None:
    model = Partly()
    before = init(model, ADAM)
    after, _ = train_step(model, ADAM, before, batches(1)[0])
    changed = {
        name
        for name, value in after.parameters.items()
        if not torch.equal(value, before.parameters[name])
    }
    assert changed == {"head.weight", "head.bias"}


@pytest.mark.parametrize("in_training", [True, False])
def test_the_mode_of_the_model_does_not_matter(in_training: bool, fingerprint: Fingerprint) -> None:
    untouched, switched = pair(FrozenNorm)
    switched.train(in_training)
    assert fingerprint(run(untouched, ADAM, batches())) == fingerprint(
        run(switched, ADAM, batches())
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("sizes", [(3, 4), (1, 0, 5, 1), (7,)])
def test_gradients_add_up_to_those_of_the_whole_batch(name: str, sizes: tuple[int, ...]) -> None:
    data = 5 * batches(1, torch.float64)
    clip_norm = None if name == "lbfgs" else 0.5  # whose steps assume that no gradient is scaled
    whole, values = run(smooth(), OPTIMIZERS[name], data, clip_norm=clip_norm)
    cuts = [cut(batch, *sizes) for batch in data]
    parts, sums = run(smooth(), OPTIMIZERS[name], cuts, clip_norm=clip_norm)
    assert sums == pytest.approx(values, rel=1e-12)
    for key, value in whole.parameters.items():
        torch.testing.assert_close(parts.parameters[key], value, rtol=1e-12, atol=1e-12)


def test_a_mean_of_means_would_be_another_gradient() -> None:
    [batch] = batches(1, torch.float64)
    small, large = cut(batch, 1, 6)
    whole, _ = run(smooth(), OPTIMIZERS["sgd"], [batch])
    # each part with the same weight, as if the small one had as many examples
    means, _ = run(smooth(), OPTIMIZERS["sgd"], [[small] * 6 + [large]])
    name = "3.weight"
    assert not torch.allclose(whole.parameters[name], means.parameters[name], rtol=1e-6)


@pytest.mark.parametrize("batch", [[], cut(batches(1)[0], 0, 7)[0]], ids=["none", "empty"])
def test_a_step_needs_examples(batch: Batch | list[Batch]) -> None:
    with pytest.raises(ValueError, match="batch: there are no examples"):
        run(classifier(), ADAM, [batch])


@pytest.mark.parametrize("batch", [(torch.zeros(2, 6), torch.zeros(2)), {"x": torch.zeros(2, 6)}])
def test_what_is_not_a_batch_is_refused_with_advice(batch: Any) -> None:
    model = classifier()
    state = init(model, ADAM)
    for call in (
        lambda: train_step(model, ADAM, state, batch),
        lambda: train_step(model, ADAM, state, [batch]),
        lambda: evaluate(model, state, [batch]),
    ):
        with pytest.raises(TypeError, match=r"expected a batch .* TensorBatch\(.*as_dataset"):
            call()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_the_state_of_another_optimizer_is_refused(name: str) -> None:
    model = classifier()
    state = init(model, OPTIMIZERS[name])
    for other in OPTIMIZERS.keys() - {name}:
        with pytest.raises(ValueError, match=r"has .*, and the optimizer .* had .*install"):
            train_step(model, OPTIMIZERS[other], state, batches(1)[0])


class Later(torch.optim.Adam):
    """Adam in a release with one more option."""

    def __init__(self, params: Any, *, later: bool | None = False, **options: Any) -> None:
        super().__init__(params, **options)
        self.defaults["later"] = later
        for group in self.param_groups:
            group["later"] = later


def test_an_option_of_a_later_release_may_be_off(fingerprint: Fingerprint) -> None:
    model, batch = classifier(), batches(1)[0]
    adam, later = (functools.partial(kind, lr=0.01) for kind in (torch.optim.Adam, Later))
    state, _ = train_step(model, adam, init(model, adam), batch)
    expected, _ = train_step(model, adam, state, batch)
    reached, _ = train_step(model, later, state, batch)
    assert fingerprint(reached.parameters) == fingerprint(expected.parameters)
    assert reached.optimizer["param_groups"][0]["later"] is False
    with pytest.raises(StateError, match=r"Later has later=True, and .* had no later;"):
        train_step(model, functools.partial(later, later=True), state, batch)


@pytest.mark.parametrize(
    "optimizer",
    [{}, {"state": {}}, {"state": 1, "param_groups": []}, {"state": {}, "param_groups": [{}]}],
)
def test_what_is_not_the_state_of_an_optimizer_is_refused(optimizer: dict[str, Any]) -> None:
    model = classifier()
    state = replace(init(model, ADAM), optimizer=optimizer)
    with pytest.raises(StateError, match="not the state_dict of an optimizer"):
        train_step(model, ADAM, state, batches(1)[0])


class Counting(torch.optim.SGD):
    """Counts its steps in its groups, as some optimizers do, which they also list as a default."""

    def __init__(self, params: Any, *, lr: float) -> None:
        super().__init__(params, lr=lr)
        self.defaults["steps"] = 0
        for group in self.param_groups:
            group["steps"] = 0

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["steps"] = group.get("steps", 0) + 1
        return super().step(closure)


def test_counters_in_the_groups_of_an_optimizer_are_kept() -> None:
    model, make_optimizer = classifier(), functools.partial(Counting, lr=0.1)
    state, _ = run(model, make_optimizer, batches(3))
    assert state.optimizer["param_groups"][0]["steps"] == 3


def test_an_optimizer_sees_the_attributes_of_parameters() -> None:
    model = classifier()
    vars(model.get_parameter("1.weight"))["_no_decay"] = True

    def by_attribute(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        spared = [p for p in parameters if "_no_decay" in vars(p)]
        others = [p for p in parameters if "_no_decay" not in vars(p)]
        assert len(spared) == 1
        groups: list[dict[str, Any]] = [{"params": others}, {"params": spared, "weight_decay": 0.0}]
        return torch.optim.AdamW(groups)

    assert run(model, by_attribute, batches(2))[0].step == 2


class Caching(nn.Module):
    """Creates a buffer in its first forward, as is common for causal masks."""

    mask: Tensor | None

    def __init__(self, *, is_registered: bool) -> None:
        super().__init__()
        self.head = nn.Linear(6, 3)
        if is_registered:
            self.register_buffer("mask", None)

    def forward(self, x: Tensor) -> Tensor:
        if getattr(self, "mask", None) is None:
            self.register_buffer("mask", torch.ones(6))
        assert self.mask is not None
        logits: Tensor = self.head(x.flatten(1) * self.mask)
        return logits


@pytest.mark.parametrize("is_registered", [True, False])
def test_a_buffer_created_by_forward_is_not_in_the_state(is_registered: bool) -> None:
    model = Caching(is_registered=is_registered)
    state, _ = run(model, ADAM, batches(3))
    assert state.buffers == {}
    assert vars(model)["_buffers"] == ({"mask": None} if is_registered else {})
    evaluate(model, state, batches(2))
    data = ImageDataset(torch.ones(5, 1, 3, 2, dtype=torch.uint8), torch.arange(5) % 3, ("a",) * 3)
    trained = fit(model, ADAM, state, data, data, epochs=3, batch_size=2)
    assert trained.buffers == {}
    assert vars(model)["_buffers"] == ({"mask": None} if is_registered else {})


def test_gradients_that_are_not_finite_can_stop_a_training() -> None:
    """The loss is finite: a square root has an infinite derivative at 0."""
    layer = nn.Linear(6, 3, bias=False)
    nn.init.zeros_(layer.weight)
    model = nn.Sequential(nn.Flatten(), layer)

    def rooted(outputs: Tensor, targets: Tensor) -> Tensor:
        return outputs.abs().sqrt().mean()

    state, batch = init(model, ADAM), batches(1)[0]
    with pytest.raises(NonFiniteLossError, match="the norm of the gradients of step 1 is nan"):
        train_step(model, ADAM, state, batch, loss=rooted, on_nan="stop")


def test_what_a_refusal_advises_works() -> None:
    """Another learning rate, with what the model has learned so far."""
    model, batch = classifier(), batches(1)[0]
    state, _ = train_step(model, ADAM, init(model, ADAM), batch)
    slower = choose_optimizer("adam", lr=0.001)
    with pytest.raises(StateError, match=r"had lr=0\.01; .*install\(model, state\), then fit from"):
        train_step(model, slower, state, batch)
    install(model, state)
    reached, _ = train_step(model, slower, init(model, slower), batch)
    assert reached.optimizer["param_groups"][0]["lr"] == 0.001
    for name, value in reached.parameters.items():
        torch.testing.assert_close(value, state.parameters[name], rtol=0, atol=0.0011)


def test_other_parameter_groups_are_refused() -> None:
    model = classifier()
    with pytest.raises(ValueError, match=r"AdamW has 2 parameter groups, and .* had 1;"):
        train_step(model, weights_decay, init(model, OPTIMIZERS["adamw"]), batches(1)[0])


def test_evaluation_weighs_examples_not_batches() -> None:
    model = classifier().eval()
    state = init(model, ADAM)
    [whole] = batches(1)
    together = evaluate(model, state, [whole])
    parts = evaluate(model, state, cut(whole, 5, 0, 2))
    logits = model(whole.images)
    assert together.loss == pytest.approx(functional.cross_entropy(logits, whole.labels).item())
    assert together.accuracy == (logits.argmax(1) == whole.labels).sum().item() / 7
    assert parts.loss == pytest.approx(together.loss)
    assert (parts.accuracy, parts.examples) == (together.accuracy, 7)


def test_evaluation_needs_examples() -> None:
    model = classifier()
    with pytest.raises(ValueError, match="no examples to evaluate"):
        evaluate(model, init(model, ADAM), [])


def test_an_evaluation_modifies_nothing_and_repeats(fingerprint: Fingerprint) -> None:
    model, data = Restless(), batches(2)
    state = init(model, ADAM)

    def all_there_is() -> str:
        return fingerprint(state, held(model), data, torch.get_rng_state())

    before = all_there_is()
    first = evaluate(model, state, data)
    assert all_there_is() == before
    assert evaluate(model, state, data) == first
    model(data[0].images)
    assert all_there_is() != before  # by itself it changes all


@pytest.fixture
def _fresh_compiler() -> Iterator[None]:
    torch.compiler.reset()
    yield
    torch.compiler.reset()


@pytest.mark.usefixtures("_fresh_compiler")
@pytest.mark.parametrize(
    "backend", ["eager", "aot_eager", pytest.param("inductor", marks=pytest.mark.slow)]
)
def test_a_compiled_model_trains_compiled_to_the_same(backend: str) -> None:
    seen = 0

    def counting(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Any:
        nonlocal seen
        seen += 1
        return torch._dynamo.lookup_backend(backend)(graph, inputs)

    plain, compiled = (model.double() for model in pair(Tied))  # inductor has its own dropout
    compiled.compile(backend=counting)
    assert init(compiled, ADAM).parameters.keys() == init(plain, ADAM).parameters.keys()
    data = batches(dtype=torch.float64)
    expected, _ = run(plain, ADAM, data)
    state, _ = run(compiled, ADAM, data)
    for name, value in {**expected.parameters, **expected.buffers}.items():
        reached = {**state.parameters, **state.buffers}[name]
        torch.testing.assert_close(reached, value, rtol=1e-6, atol=1e-8)
    measured = evaluate(compiled, state, data)
    assert measured.loss == pytest.approx(evaluate(plain, state, data).loss)
    assert seen == 2  # once to train, once to evaluate: other parameters are no reason
