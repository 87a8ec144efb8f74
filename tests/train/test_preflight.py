"""Errors come before the first step, and frozen layers stay frozen."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import ShapeError
from shapezoo.data import ImageDataset, TensorBatch
from shapezoo.models import resnet_micro
from shapezoo.train import (
    Checkpoint,
    EpochDone,
    Event,
    NonFiniteLossError,
    State,
    choose_optimizer,
    evaluate,
    fit,
    init,
    train_step,
)
from shapezoo.train.loop.preflight import better_batch_size, has_single_example

ADAM = choose_optimizer("adam", lr=0.01)


def images(count: int) -> ImageDataset:
    generator = torch.Generator().manual_seed(count)
    return ImageDataset(
        torch.randint(256, (count, 1, 3, 2), generator=generator, dtype=torch.uint8),
        torch.randint(2, (count,), generator=generator),
        ("a", "b"),
    )


def normalised() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(6, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)
    )


def fitted(model: nn.Module, train: Any, test: Any, **settings: Any) -> State:
    start = init(model, ADAM)
    return fit(model, ADAM, start, train, test, **({"epochs": 1, "batch_size": 4} | settings))


class Untouched:
    """A dataset that must not be read before an error is raised."""

    def __len__(self) -> int:
        return 9

    def select(self, indices: Tensor) -> Any:
        raise AssertionError("a step was begun")


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"clip_norm": -1}, ValueError, "clip_norm must be positive and finite, got -1"),
        ({"clip_norm": 0.0}, ValueError, r"clip_norm must be positive and finite, got 0\.0"),
        ({"clip_norm": math.nan}, ValueError, "clip_norm must be positive and finite, got nan"),
        ({"clip_norm": math.inf}, ValueError, "clip_norm must be positive and finite, got inf"),
        ({"epochs": 1.5}, TypeError, r"epochs must be a whole number, got 1\.5"),
        ({"epochs": True}, TypeError, "epochs must be a whole number, got True"),
        ({"batch_size": 2.0}, TypeError, r"batch_size must be a whole number, got 2\.0"),
        ({"accumulate": "2"}, TypeError, "accumulate must be a whole number, got '2'"),
        ({"save_every": 0}, ValueError, "save_every must be at least 1, got 0"),
        ({"patience": -3}, ValueError, "patience must be at least 1, got -3"),
        ({"autocast": torch.float16}, ValueError, "autocast must be torch.bfloat16 or None"),
        ({"on_nan": "skip"}, ValueError, "on_nan must be 'continue' or 'stop', got 'skip'"),
        ({"num_workers": -1}, ValueError, "num_workers must be at least 0, got -1"),
        ({"seed": 0.5}, TypeError, r"seed must be a whole number, got 0\.5"),
        ({"seed": 2**70}, ValueError, r"seed must be below 2\*\*63"),
        ({"seed": None}, TypeError, "seed must be a whole number, got None"),
        ({"epochs": None}, TypeError, "epochs must be a whole number, got None"),
        ({"batch_size": None}, TypeError, "batch_size must be a whole number, got None"),
        ({"clip_norm": "1"}, ValueError, "clip_norm must be positive and finite, got '1'"),
        ({"loss": nn.CrossEntropyLoss}, TypeError, r"pass CrossEntropyLoss\(\)"),
        ({"schedule": 0.5}, TypeError, r"schedule must be a function, got 0\.5"),
        ({"observers": print}, TypeError, "observers must be a list of functions"),
        ({"observers": [3]}, TypeError, r"observers\[0\] must be a function, got 3"),
        ({"save": "ck.pt"}, TypeError, "save must be a function, got 'ck.pt'"),
        ({"stop": True}, TypeError, "stop must be a function, got True"),
        ({"correct": 1}, TypeError, "correct must be a function, got 1"),
    ],
)
def test_settings_out_of_range_are_refused(
    settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        fitted(normalised(), Untouched(), Untouched(), **settings)


@pytest.mark.parametrize(
    ("start", "advice"),
    [
        ((Checkpoint(init(normalised(), ADAM)), ""), r"pass checkpoint, _ = load_checkpoint"),
        ("checkpoint", r"pass load_checkpoint\(path\)\[0\]"),
        (None, r"got a NoneType; pass init\(model, make_optimizer\)"),
        ({}, r"got a dict; pass init\(model, make_optimizer\)"),
    ],
)
def test_a_wrong_start_raises_with_advice(start: Any, advice: str) -> None:
    with pytest.raises(TypeError, match=f"start must be a State or a Checkpoint.*{advice}"):
        fit(normalised(), ADAM, start, Untouched(), Untouched(), epochs=1, batch_size=4)


def groups_of_the_model(model: nn.Sequential) -> Any:
    return lambda parameters: torch.optim.SGD([{"params": model[4].parameters()}], lr=0.1)


def test_an_optimizer_for_other_parameters_is_refused() -> None:
    """It would train the parameters of the model, which are not used."""
    model = normalised()
    state = init(model, ADAM)
    for make_optimizer in (
        groups_of_the_model(model),
        lambda parameters: torch.optim.SGD(model.parameters(), lr=0.1),
    ):
        for call in (
            lambda make=make_optimizer: init(model, make),
            lambda make=make_optimizer: train_step(
                model, make, state, images(8).select(torch.arange(8))
            ),
        ):
            with pytest.raises(
                ValueError, match=r"make_optimizer: .* other than those passed to it"
            ):
                call()


def test_parameters_come_in_the_order_of_their_names() -> None:
    model = normalised()
    names = [name for name, _ in model.named_parameters()]

    def head_only(parameters: list[nn.Parameter]) -> torch.optim.Optimizer:
        named = dict(zip(names, parameters, strict=True))
        return torch.optim.SGD([p for name, p in named.items() if name.startswith("4.")], lr=0.1)

    before = init(model, head_only)
    after, _ = train_step(model, head_only, before, images(8).select(torch.arange(8)))
    changed = [n for n in names if not torch.equal(before.parameters[n], after.parameters[n])]
    assert changed == ["4.weight", "4.bias"]


@pytest.mark.parametrize(
    ("make_optimizer", "message"),
    [
        (torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1), "got SGD; pass functools.partial"),
        ("adam", "must be a function that builds an optimizer, got str"),
        (lambda parameters: parameters, "must return an optimizer, got a list"),
    ],
)
def test_what_builds_no_optimizer_is_refused(make_optimizer: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"make_optimizer .*{message}"):
        init(normalised(), make_optimizer)


class Unsteady(nn.Module):
    """Writes to a parameter in forward, initialises another from data once, and has BatchNorm."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.table = nn.Embedding(9, 4, max_norm=0.5)
        self.norm = nn.BatchNorm1d(2)
        self.scale = nn.Parameter(torch.ones(4))
        self.head = nn.Linear(4, 2)
        self.is_new = True

    def forward(self, images: Tensor) -> Tensor:
        rows = self.table(images.flatten(1)[:, :2].mul(8).long())
        if self.is_new and self.training:
            with torch.no_grad():
                self.scale.copy_(1 / (rows.std((0, 1)) + 1e-6))
            self.is_new = False
        logits: Tensor = self.head((self.norm(rows) * self.scale).mean(1))
        return logits


def test_a_rehearsal_changes_nothing() -> None:
    """With nine examples in batches of four there is a last batch of one, which is tried first."""
    data, losses, expected = images(9), list[float](), list[float]()

    def observe(event: Event) -> None:
        if not isinstance(event, EpochDone):
            losses.append(event.loss)

    fitted(Unsteady(), data, images(5), epochs=2, observers=[observe])
    model = Unsteady()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for seed in torch.randint(2**32, (2,), generator=torch.Generator().manual_seed(0)):
        order = torch.randperm(9, generator=torch.Generator().manual_seed(int(seed)))
        model.train()
        for indices in torch.split(order, 4):
            batch = data.select(indices)
            optimizer.zero_grad()
            loss = functional.cross_entropy(model(batch.images), batch.labels)
            torch.autograd.backward(loss)
            optimizer.step()
            expected.append(loss.item())
    assert losses == expected


def test_a_rehearsal_uses_real_batches() -> None:
    class Fixed(nn.Module):
        """Takes batches of four only, as what was exported does."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(6, 2)

        def forward(self, images: Tensor) -> Tensor:
            logits: Tensor = self.layer(images.view(4, 6))
            return logits

    def hardest(scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels, reduction="none").topk(8).values.mean()

    assert fitted(Fixed(), images(8), images(8)).step == 2
    linear = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    settings: dict[str, Any] = {"batch_size": 9, "loss": hardest, "correct": None}
    assert fitted(linear, images(9), images(9), **settings).step == 1


class Pixels:
    """Nine pictures with a label for each pixel."""

    def __len__(self) -> int:
        return 9

    def select(self, indices: Tensor) -> TensorBatch:
        generator = torch.Generator().manual_seed(0)
        pictures = torch.randn(9, 1, 4, 4, generator=generator)
        labels = torch.randint(3, (9, 4, 4), generator=generator)
        labels[:, 0] = 255
        return TensorBatch((pictures[indices],), labels[indices])


def of_pixels(scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    is_counted = labels != 255
    return ((scores.argmax(1) == labels) & is_counted).sum(), is_counted.sum()


def test_what_cannot_be_measured_fails_before_the_first_step() -> None:
    model = nn.Conv2d(1, 3, 1)
    per_pixel = nn.CrossEntropyLoss(ignore_index=255)

    def hidden(scores: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(scores, labels, ignore_index=255).sqrt()

    steps: list[Event] = []
    settings: dict[str, Any] = {"observers": [steps.append]}
    with pytest.raises(ShapeError) as default:
        fitted(model, Pixels(), Pixels(), loss=per_pixel, **settings)
    assert "pass correct=None, or a function that returns" in default.value.__notes__[0]
    with pytest.raises(ShapeError) as default:
        fitted(model, Pixels(), Pixels(), correct=of_pixels)
    assert "pass loss=nn.CrossEntropyLoss()" in default.value.__notes__[0]
    with pytest.raises(ValueError, match="not a mean over all targets"):
        fitted(model, Pixels(), Pixels(), loss=hidden, correct=of_pixels, **settings)
    with pytest.raises(IndexError) as outside:
        fitted(model, Pixels(), Pixels(), loss=nn.CrossEntropyLoss(), correct=None, **settings)
    assert "labels from 0 to 255" in outside.value.__notes__[0]
    assert steps == []
    reached = fitted(model, Pixels(), Pixels(), loss=per_pixel, correct=of_pixels, **settings)
    assert reached.step == 3
    last = steps[-1]
    assert isinstance(last, EpochDone)
    assert last.test.examples == 9 * 12


def test_counts_may_be_those_of_numpy() -> None:
    state = fitted(
        normalised(),
        images(8),
        images(2),
        epochs=np.int64(2),
        batch_size=np.int32(4),
        seed=np.int64(3),
    )
    assert state.step == 4


def test_there_must_be_examples_to_measure_on() -> None:
    with pytest.raises(ValueError, match="test: there are no examples"):
        fitted(normalised(), Untouched(), images(0))


def test_there_must_be_something_to_train() -> None:
    model = normalised().requires_grad_(False)
    with pytest.raises(ValueError, match=r"nothing to train.*requires_grad_\(True\)"):
        fitted(model, Untouched(), Untouched())
    model[4].requires_grad_(True)
    assert fitted(model, images(8), images(2)).step == 2


def test_a_schedule_must_return_a_number() -> None:
    with pytest.raises(ValueError, match="schedule: the factor of step 1 is nan"):
        fitted(normalised(), images(8), images(2), schedule=lambda step: math.nan if step else 1)


@pytest.mark.parametrize("lr", [math.nan, math.inf, -math.inf])
def test_a_learning_rate_must_be_finite(lr: float) -> None:
    make_optimizer, batch = choose_optimizer("adam", lr=lr), images(8).select(torch.arange(8))
    with pytest.raises(ValueError, match=r"[Ll]earning rate"):
        train_step(normalised(), make_optimizer, init(normalised(), make_optimizer), batch)


@pytest.mark.parametrize(
    ("settings", "count", "better"),
    [({}, 9, 3), ({"accumulate": 2, "batch_size": 6}, 9, 5), ({"batch_size": 1}, 3, 3)],
)
def test_a_batch_of_one_is_refused_under_batch_norm(
    settings: dict[str, int], count: int, better: int
) -> None:
    model = normalised()
    with pytest.raises(ValueError, match=r"a single example.*; use batch_size=") as refusal:
        fitted(model, images(count), images(2), **settings)
    advice = {**settings, "batch_size": better}
    assert f"use batch_size={better}" in str(refusal.value)
    fitted(model, images(count), images(2), **advice)
    model[2].eval()  # then it takes one example too
    fitted(model, images(count), images(2), **settings)


def test_a_limit_of_a_contract_is_refused_alike() -> None:
    """The maps of the last stage have one pixel; the contract knows the limit."""
    data = ImageDataset(torch.zeros(5, 3, 32, 32, dtype=torch.uint8), torch.zeros(5).long(), ("a",))
    with pytest.raises(ValueError, match=r"a single example.*; use batch_size="):
        fitted(resnet_micro(num_classes=1), data, data)


def test_maps_of_several_pixels_may_come_one_by_one() -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 2), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(4, 2))
    assert fitted(model, images(9), images(2)).step == 3


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 4), st.integers(1, 4))
def test_single_examples_are_foreseen(
    count: int, batch_size: int, parts: int, processes: int
) -> None:
    def has_one(size: int) -> bool:
        return any(
            len(part) == 1
            for batch in torch.split(torch.arange(count), size)
            for rank in range(processes)
            for part in batch[rank::processes].tensor_split(parts)
        )

    division = {"parts": parts, "processes": processes}
    assert has_single_example(count, batch_size, **division) == has_one(batch_size)
    better = better_batch_size(count, batch_size, **division)
    if better is None:
        assert all(map(has_one, range(1, count + 1)))
    else:
        assert not has_one(better)


class BadRow:
    """Nine examples, one of which is NaN."""

    def __init__(self, value: float) -> None:
        self._value = value

    def __len__(self) -> int:
        return 9

    def select(self, indices: Tensor) -> Any:
        batch = images(9).select(indices)
        batch.images[indices == 4] = self._value
        return batch


@pytest.mark.parametrize("value", [math.nan, math.inf])
@pytest.mark.parametrize("accumulate", [1, 2])
def test_a_loss_that_is_not_finite_can_stop_a_training(value: float, accumulate: int) -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    saved: list[State] = []
    settings: dict[str, Any] = {
        "batch_size": 3,
        "accumulate": accumulate,
        "save": lambda checkpoint: saved.append(checkpoint.state),
        "save_every": 1,
    }
    with pytest.raises(NonFiniteLossError, match=r"the loss of step \d is nan.*was not taken"):
        fitted(model, BadRow(value), images(2), on_nan="stop", **settings)
    assert all(value.isfinite().all() for state in saved for value in state.parameters.values())
    reached = fitted(model, BadRow(value), images(2), **settings)
    assert any(value.isnan().any() for value in reached.parameters.values())


def test_no_step_is_taken_on_a_loss_that_is_not_finite() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    start = init(model, ADAM)
    batch = BadRow(math.nan).select(torch.arange(9))
    with pytest.raises(NonFiniteLossError, match="the loss of step 1 is nan"):
        train_step(model, ADAM, start, batch, on_nan="stop")


def buffers_after(model: nn.Sequential, steps: int = 2) -> dict[str, Tensor]:
    state = init(model, ADAM)
    for _ in range(steps):
        state, _ = train_step(model, ADAM, state, images(8).select(torch.arange(8)))
    return state.buffers


@pytest.mark.parametrize("wrap", [lambda model: model, nn.Sequential])
def test_modules_in_eval_mode_stay_in_it(wrap: Callable[..., nn.Sequential]) -> None:
    inner = normalised()
    model = wrap(inner)
    moved = buffers_after(model)
    before = dict(model.named_buffers())
    assert not any(torch.equal(moved[name], value) for name, value in before.items())
    inner[2].eval()
    kept = buffers_after(model)
    assert all(torch.equal(kept[name], value) for name, value in before.items())
    assert [module.training for module in inner] == [True, True, False, True, True]


def test_a_head_in_train_mode_leaves_the_rest_in_eval_mode() -> None:
    model = normalised().eval()
    model[4].train()
    before = dict(model.named_buffers())
    kept = buffers_after(model)
    assert all(torch.equal(kept[name], value) for name, value in before.items())
    fitted(model, images(9), images(2))  # a last batch of one is no harm then


def test_a_model_in_eval_mode_is_trained_as_a_whole() -> None:
    moved, also_moved = buffers_after(normalised()), buffers_after(normalised().eval())
    assert all(torch.equal(moved[name], also_moved[name]) for name in moved)


def test_an_evaluation_puts_all_modules_into_eval_mode() -> None:
    model = normalised()
    measured = []
    for frozen in (False, True):
        model[2].train(not frozen)
        measured.append(evaluate(model, init(model, ADAM), [images(8).select(torch.arange(8))]))
    assert measured[0] == measured[1]
