"""The loop is a loop over `train_step`, which can be stopped and resumed anywhere."""

import functools
import io
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from torch import Tensor, nn
from torch.utils import data

from shapezoo import train
from shapezoo.data import ImageBatch, ImageDataset
from shapezoo.models import LeNet
from shapezoo.train import (
    Best,
    Checkpoint,
    CosineDecay,
    EpochDone,
    Event,
    Metrics,
    Progress,
    State,
    StepDone,
    choose_optimizer,
    evaluate,
    fit,
    init,
    iterations,
    load_checkpoint,
    save_checkpoint,
    train_step,
)
from shapezoo.train.loop.fit import _generator

Fingerprint = Callable[..., str]

MAKE_OPTIMIZER = functools.partial(torch.optim.SGD, lr=0.1)


def dataset(count: int) -> ImageDataset:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(256, (count, 1, 28, 28), generator=generator, dtype=torch.uint8)
    return ImageDataset(images, torch.arange(count) % 2, ("even", "odd"))


def trained(*, seed: int = 0, epochs: int = 2, batch_size: int = 4) -> tuple[State, list[Event]]:
    torch.manual_seed(0)
    model = LeNet(num_classes=2)
    events: list[Event] = []
    state = fit(
        model,
        MAKE_OPTIMIZER,
        init(model, MAKE_OPTIMIZER),
        dataset(10),
        dataset(6),
        epochs=epochs,
        batch_size=batch_size,
        seed=seed,
        observers=[events.append],
    )
    return state, events


def test_every_step_and_epoch_is_reported() -> None:
    state, events = trained()
    places = [(e.epoch, e.step, e.steps) for e in events if isinstance(e, StepDone)]
    assert places == [(1, 1, 3), (1, 2, 3), (1, 3, 3), (2, 1, 3), (2, 2, 3), (2, 3, 3)]
    assert [i for i, event in enumerate(events) if isinstance(event, EpochDone)] == [3, 7]
    assert state.step == 6


def test_the_loss_of_an_epoch_weighs_examples_not_batches() -> None:
    _, events = trained(epochs=1)
    losses = [event.loss for event in events]
    assert losses[3] == pytest.approx((4 * losses[0] + 4 * losses[1] + 2 * losses[2]) / 10)


def test_the_seed_decides_the_outcome() -> None:
    first, again, other = trained()[0], trained()[0], trained(seed=1)[0]
    name = "classifier.weight"
    assert torch.equal(first.parameters[name], again.parameters[name])
    assert not torch.equal(first.parameters[name], other.parameters[name])


class Elsewhere(ImageDataset):
    """A dataset that raises unless a worker process selects its examples."""

    def select(self, indices: Tensor) -> ImageBatch:
        assert data.get_worker_info()
        return super().select(indices)


@pytest.mark.slow
def test_worker_processes_pick_the_same_examples() -> None:
    torch.manual_seed(0)
    model = LeNet(num_classes=2)
    here, test = dataset(10), dataset(6)
    elsewhere = Elsewhere(here.images, here.labels, here.classes)
    options: dict[str, Any] = {"epochs": 2, "batch_size": 4, "accumulate": 2}
    start = init(model, MAKE_OPTIMIZER)
    alone = fit(model, MAKE_OPTIMIZER, start, here, test, **options)
    before = torch.get_rng_state()
    helped = fit(model, MAKE_OPTIMIZER, start, elsewhere, test, num_workers=2, **options)
    assert all(torch.equal(alone.parameters[n], helped.parameters[n]) for n in alone.parameters)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(AssertionError):
        fit(model, MAKE_OPTIMIZER, start, elsewhere, test, **options)


def test_there_must_be_examples() -> None:
    model = LeNet(num_classes=2)
    nothing = dataset(0)
    with pytest.raises(ValueError, match="train: there are no examples"):
        fit(
            model,
            MAKE_OPTIMIZER,
            init(model, MAKE_OPTIMIZER),
            nothing,
            nothing,
            epochs=1,
            batch_size=1,
        )


@pytest.mark.parametrize("batch_size", [0, -3])
def test_iterations_need_a_batch(batch_size: int) -> None:
    with pytest.raises(ValueError, match=f"batch_size must be at least 1, got {batch_size}"):
        iterations(10, batch_size)


@pytest.mark.parametrize("name", ["epochs", "batch_size", "accumulate", "patience", "save_every"])
def test_counts_below_one_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must be at least 1, got 0"):
        fitted(**dict[str, Any]({name: 0}))


OPTIMIZERS = {
    **{name: choose_optimizer(name, lr=0.05) for name in train.OPTIMIZERS},
    "lbfgs": choose_optimizer("lbfgs", lr=0.1, max_iter=3),
}


def small_model() -> nn.Module:
    """Has buffers and dropout."""
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Flatten(), nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 2)
    )


def small_dataset(count: int) -> ImageDataset:
    generator = torch.Generator().manual_seed(count)
    images = torch.randint(256, (count, 1, 2, 3), generator=generator, dtype=torch.uint8)
    return ImageDataset(images, torch.arange(count) % 2, ("even", "odd"))


TRAIN, TEST = small_dataset(14), small_dataset(7)


def fitted(
    start: State | Checkpoint | None = None,
    *,
    optimizer: str = "adam",
    epochs: int = 3,
    batch_size: int = 5,
    **settings: Any,
) -> State:
    """The state after three steps an epoch."""
    model, make_optimizer = small_model(), OPTIMIZERS[optimizer]
    start = start or init(model, make_optimizer, seed=3)
    return fit(
        model, make_optimizer, start, TRAIN, TEST, epochs=epochs, batch_size=batch_size, **settings
    )


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_training_is_a_loop_of_steps_bit_for_bit(name: str, fingerprint: Fingerprint) -> None:
    settings: dict[str, Any] = {"clip_norm": 1.0, "schedule": CosineDecay(9)}
    events: list[Event] = []
    reached = fitted(optimizer=name, seed=7, accumulate=2, observers=[events.append], **settings)

    model, make_optimizer = small_model(), OPTIMIZERS[name]
    state, expected = init(model, make_optimizer, seed=3), list[Event]()
    for epoch in (1, 2, 3):
        total = 0.0
        order = torch.randperm(14, generator=_generator(7, epoch))
        for step, indices in enumerate(torch.split(order, 5), start=1):
            parts = [TRAIN.select(part) for part in indices.tensor_split(2)]
            state, loss = train_step(model, make_optimizer, state, list(parts), **settings)
            total += loss * len(indices)
            expected.append(StepDone(epoch, step, 3, loss))
        tests = [TEST.select(torch.arange(5)), TEST.select(torch.arange(5, 7))]
        expected.append(EpochDone(epoch, total / 14, evaluate(model, state, tests)))
    assert events == expected
    assert fingerprint(reached) == fingerprint(state)


@pytest.mark.parametrize("patience", [None, 2])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_resumed_training_ends_in_the_same_bits(
    name: str, patience: int | None, tmp_path: Path, fingerprint: Fingerprint
) -> None:
    events: list[Event] = []
    saved: list[tuple[int, Checkpoint, str]] = []

    def save(checkpoint: Checkpoint) -> None:
        saved.append((len(events), checkpoint, fingerprint(checkpoint)))

    whole = fitted(
        optimizer=name, patience=patience, observers=[events.append], save=save, save_every=1
    )
    assert [checkpoint.state.step for _, checkpoint, _ in saved] == list(range(1, 10))
    for before, checkpoint, made in saved:
        assert fingerprint(checkpoint) == made  # later steps leave it alone
        save_checkpoint(checkpoint, tmp_path / "checkpoint")
        loaded, _ = load_checkpoint(tmp_path / "checkpoint")
        assert fingerprint(loaded) == made
        for start in (checkpoint, loaded):
            rest: list[Event] = []
            state = fitted(start, optimizer=name, patience=patience, observers=[rest.append])
            assert fingerprint(state) == fingerprint(whole)
            # what is saved at the end of an epoch is saved after its report
            assert rest == events[before:]
            assert fingerprint(start) == made


@pytest.mark.parametrize("lost", ["parameters", "buffers", "optimizer", "random", "step"])
def test_a_checkpoint_that_lacks_something_ends_elsewhere(
    lost: str, fingerprint: Fingerprint
) -> None:
    saved: list[Checkpoint] = []
    whole = fitted(save=saved.append)
    at_first = init(small_model(), OPTIMIZERS["adam"], seed=3)
    state = replace(saved[0].state, **{lost: getattr(at_first, lost)})
    assert fingerprint(fitted(state)) != fingerprint(whole)


@pytest.mark.parametrize("stop_after", range(1, 10))
def test_a_training_can_be_stopped_after_any_step(
    stop_after: int, fingerprint: Fingerprint
) -> None:
    saved: list[Checkpoint] = []
    asked = itertools.count(1)
    state = fitted(save=saved.append, stop=lambda: next(asked) >= stop_after)
    assert state.step == stop_after
    assert fingerprint(saved[-1].state) == fingerprint(state)
    assert [c.state.step for c in saved] == [*range(3, stop_after, 3), stop_after]
    assert fingerprint(fitted(saved[-1])) == fingerprint(fitted())


def test_every_so_many_steps_a_checkpoint_is_saved() -> None:
    saved: list[int] = []
    fitted(save=lambda checkpoint: saved.append(checkpoint.state.step), save_every=2)
    assert saved == [2, 3, 4, 6, 8, 9]


@pytest.mark.parametrize("patience", [None, 1])
def test_a_finished_training_takes_no_step(patience: int | None, fingerprint: Fingerprint) -> None:
    saved: list[Checkpoint] = []
    whole = fitted(save=saved.append, patience=patience)
    events: list[Event] = []
    again = fitted(saved[-1], patience=patience, observers=[events.append], save=saved.append)
    assert fingerprint(again) == fingerprint(whole)
    assert events == []


def test_training_modifies_nothing_that_comes_in(fingerprint: Fingerprint) -> None:
    model = small_model()
    state = init(model, OPTIMIZERS["adam"])

    def all_there_is() -> str:
        return fingerprint(state, model.state_dict(), TRAIN, TEST, torch.get_rng_state())

    def fails(event: Event) -> None:
        raise ArithmeticError

    before, parts = all_there_is(), list(model.parameters())
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 5}
    fit(model, OPTIMIZERS["adam"], state, TRAIN, TEST, **settings)
    with pytest.raises(ArithmeticError):
        fit(model, OPTIMIZERS["adam"], state, TRAIN, TEST, observers=[fails], **settings)
    assert all_there_is() == before
    assert all(a is b for a, b in zip(model.parameters(), parts, strict=True))


class Scripted:
    """A training whose losses on the test set are given, one for each epoch."""

    def __init__(self, *losses: float) -> None:
        self.losses = losses

    def fit(self, start: Checkpoint | None = None, **settings: Any) -> tuple[State, list[Event]]:
        done = start.state.step // 3 if start else 0
        rest = self.losses[done:]
        scripted = iter([0.0, 0.0, *(loss for loss in rest for _ in range(2))])  # two batches

        def loss(outputs: Tensor, targets: Tensor) -> Tensor | tuple[Tensor, int]:
            if torch.is_grad_enabled():
                return train.cross_entropy(outputs, targets)
            return torch.tensor(next(scripted) * len(targets)), len(targets)

        events: list[Event] = []
        state = fitted(
            start,
            epochs=len(self.losses),
            loss=loss,
            correct=None,
            observers=[events.append],
            **settings,
        )
        return state, [event for event in events if isinstance(event, EpochDone)]


NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("losses", "epochs", "best"),
    [
        ([3.0, 2.0, 2.5, 2.0, 1.0, 0.0], 4, 2),  # as low is not lower
        ([3.0, 2.0, 2.5, 1.0, 1.5, 1.5], 6, 4),
        ([NAN, 2.0, 3.0, NAN, 1.0], 4, 2),
        ([2.0, NAN, NAN, 1.0], 3, 1),
        ([NAN, NAN, NAN, NAN], 3, 1),
        ([INF, INF, INF, 1.0], 3, 1),
        ([NAN, INF, NAN, INF, 1.0], 4, 2),
        ([1.0, 2.0], 2, 1),
    ],
)
def test_patience_ends_a_training_and_gives_the_best(
    losses: list[float], epochs: int, best: int, fingerprint: Fingerprint
) -> None:
    saved: list[Checkpoint] = []
    state, done = Scripted(*losses).fit(patience=2, save=saved.append, save_every=1)
    assert [event.epoch for event in done] == list(range(1, epochs + 1))
    assert state.step == 3 * best
    assert fingerprint(state) == fingerprint(fitted(epochs=best))
    for checkpoint in saved:
        resumed, _ = Scripted(*losses).fit(checkpoint, patience=2)
        assert fingerprint(resumed) == fingerprint(state)


def test_patience_can_begin_and_end_in_the_middle(fingerprint: Fingerprint) -> None:
    saved: list[Checkpoint] = []
    last, _ = Scripted(1.0, 2.0, 3.0).fit(save=saved.append)
    assert last.step == 9
    assert saved[0].best is None
    late, _ = Scripted(1.0, 2.0, 3.0).fit(saved[0], patience=5)
    assert late.step == 6
    Scripted(1.0, 2.0, 3.0).fit(patience=5, save=saved.append)
    assert isinstance(saved[-1].best, Best)
    without, _ = Scripted(1.0, 2.0, 3.0).fit(saved[-2], patience=None)
    assert fingerprint(without) == fingerprint(last)


@given(epoch=st.integers(1, 4), seed=st.integers(0, 2**63), count=st.integers(1, 9))
def test_an_epoch_sees_each_example_once(epoch: int, seed: int, count: int) -> None:
    seen: list[int] = []

    class Watched:
        def __len__(self) -> int:
            return count

        def select(self, indices: Tensor) -> ImageBatch:
            seen.extend(indices.tolist())
            return small_dataset(9).select(indices)

    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2))
    start = init(model, MAKE_OPTIMIZER)
    settings: dict[str, Any] = {"batch_size": 5, "seed": seed, "accumulate": 5}
    fit(model, MAKE_OPTIMIZER, start, Watched(), TEST, epochs=epoch, **settings)
    for first in range(0, len(seen), count):
        assert sorted(seen[first : first + count]) == list(range(count))
    assert len(seen) == epoch * count


def test_every_epoch_of_every_seed_has_an_order_of_its_own() -> None:
    orders = {
        tuple(torch.randperm(20, generator=_generator(seed, epoch)).tolist())
        for seed, epoch in itertools.product(range(10), range(1, 11))
    }
    assert len(orders) == 100


@pytest.mark.parametrize("settings", [{"batch_size": 99}, {"accumulate": 4}, {"accumulate": 50}])
def test_there_may_be_fewer_examples_than_asked_for(settings: dict[str, int]) -> None:
    # a part of one example would be too small for batch normalisation
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 2)).double()
    start = init(model, MAKE_OPTIMIZER)

    def run(**settings: Any) -> State:
        numbers = {"batch_size": 14, "epochs": 2} | settings
        return fit(model, MAKE_OPTIMIZER, start, Doubles(), Doubles(), **numbers)

    once, other = run(), run(**settings)
    assert other.step == 2
    weight = "1.weight"
    torch.testing.assert_close(
        other.parameters[weight], once.parameters[weight], rtol=1e-12, atol=1e-12
    )


class Doubles:
    """The training set in float64."""

    def __len__(self) -> int:
        return len(TRAIN)

    def select(self, indices: Tensor) -> ImageBatch:
        batch = TRAIN.select(indices)
        return ImageBatch(batch.images.double(), batch.labels)


def test_a_training_that_diverges_goes_on_to_its_end() -> None:
    events: list[Event] = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 2))
    make_optimizer = choose_optimizer("sgd", lr=1e30)
    start = init(model, make_optimizer)
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 5, "observers": [events.append]}
    state = fit(model, make_optimizer, start, TRAIN, TEST, **settings)
    assert state.step == 6
    assert isinstance(events[-1], EpochDone)
    assert math.isnan(events[-1].test.loss)


EVENTS: list[Event] = [
    StepDone(epoch=1, step=1, steps=2, loss=1.25),
    StepDone(epoch=1, step=2, steps=2, loss=0.75),
    EpochDone(epoch=1, loss=1.0, test=Metrics(loss=0.5, accuracy=0.96, examples=50)),
]


def shown(
    *, terminal: bool, epochs: int = 4, events: Sequence[Event] = EVENTS, **options: str
) -> str:
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=100)
    with Progress(epochs, console, **options) as progress:
        for event in events:
            progress(event)
    return output.getvalue()


def test_epochs_are_in_line_and_large_losses_are_short() -> None:
    events = [
        EpochDone(9, 123.456, Metrics(1234.56789, None, 50)),
        EpochDone(10, 1.5e35, Metrics(math.nan, 0.5, 50)),
    ]
    assert shown(terminal=False, epochs=10, events=events, evaluated="held-out") == (
        "epoch  9/10  loss 123.4560  held-out loss 1234.57\n"
        "epoch 10/10  loss 1.5e+35  held-out loss nan  held-out accuracy 50.00%\n"
    )


def test_a_file_gets_a_line_for_each_epoch() -> None:
    assert shown(terminal=False) == (
        "epoch 1/4  loss 1.0000  test loss 0.5000  test accuracy 96.00%\n"
    )


def test_a_terminal_gets_a_bar_with_the_loss() -> None:
    text = shown(terminal=True)
    assert "epoch 1/4  loss 0.7500" in text
    assert "━" in text
    assert "test accuracy 96.00%" in text
