"""Memory that a training no longer needs is freed at once, without the garbage collector."""

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shapezoo.data import TensorBatch
from shapezoo.train import (
    Checkpoint,
    EpochDone,
    Event,
    State,
    StepDone,
    choose_optimizer,
    fit,
    init,
    save_checkpoint,
)
from shapezoo.train.steps.step import Training

ADAM = choose_optimizer("adam", lr=0.01)


class Rows:
    """Eight rows with labels."""

    def __len__(self) -> int:
        return 8

    def select(self, indices: Tensor) -> TensorBatch:
        rows = torch.arange(24.0).view(8, 3)
        return TensorBatch((rows[indices],), indices % 2)


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def fitted(model: nn.Module, start: list[State], **settings: Any) -> State:
    options: dict[str, Any] = {"epochs": 3, "batch_size": 4, "correct": None, **settings}
    observers, save = options.pop("observers", ()), options.pop("save", None)
    epochs, patience = options.pop("epochs"), options.pop("patience", None)
    return fit(  # unpacked keywords would keep the state alive
        model,
        ADAM,
        start.pop(),
        Rows(),
        Rows(),
        epochs=epochs,
        batch_size=4,
        observers=observers,
        save=save,
        patience=patience,
    )


def tensors_of(state: State) -> list[Tensor]:
    moments = [part for parts in state.optimizer["state"].values() for part in parts.values()]
    return [*state.parameters.values(), *moments]


class Watch:
    """Records which tensors of states that are no longer needed are still alive."""

    def __init__(self) -> None:
        self._references: list[weakref.ref[Tensor]] = []

    def add(self, state: State) -> None:
        self._references += map(weakref.ref, tensors_of(state))

    def alive(self) -> int:
        return sum(reference() is not None for reference in self._references)


FIRST_STATE = """
import gc
from torch import nn
from tests.train.test_memory import ADAM, Watch, fitted, init

model, watch = nn.Linear(3, 2), Watch()
start = [init(model, ADAM)]
watch.add(start[0])
alive = [watch.alive()]


def observe(event):
    gc.collect()  # the first optimizer imports much, and keeps the frames of its callers in circles
    alive.append(watch.alive())


fitted(model, start, observers=[observe])
print(sorted(set(alive)))
"""


@pytest.mark.slow
def test_the_first_state_is_freed_if_nobody_else_keeps_it() -> None:
    """In a process of its own: what runs before may keep frames of its callers for good."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_STATE],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert done.stdout == "[0, 2]\n"


def test_a_saved_state_is_freed_before_the_next_step(tmp_path: Path) -> None:
    model, watch, alive = nn.Linear(3, 2), Watch(), list[int]()

    def save(checkpoint: Checkpoint) -> None:
        save_checkpoint(checkpoint, tmp_path / "checkpoint")
        watch.add(checkpoint.state)
        assert watch.alive() == len(tensors_of(checkpoint.state))

    def observe(event: Event) -> None:
        if isinstance(event, StepDone):
            alive.append(watch.alive())

    fitted(model, [init(model, ADAM)], save=save, observers=[observe])
    assert len(alive) == 6
    assert set(alive) == {0}


def test_the_best_state_is_the_saved_one_and_there_is_only_one() -> None:
    model, watch, alive = nn.Linear(3, 2), Watch(), list[int]()

    def save(checkpoint: Checkpoint) -> None:
        if checkpoint.best and checkpoint.best.epoch == checkpoint.state.step // 2:
            assert checkpoint.best.state is checkpoint.state
            watch.add(checkpoint.state)
            alive.append(watch.alive())

    fitted(model, [init(model, ADAM)], save=save, patience=3, epochs=4)
    assert len(alive) > 1  # or no best state has followed another
    assert set(alive) == {alive[0]}


def test_gradients_are_freed_before_evaluating_and_saving(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Their memory is what the copies of an evaluation take."""
    held: list[int] = []
    trainings: list[Training] = []
    begin = Training.running

    def running(self: Training) -> Any:
        trainings.append(self)
        return begin(self)

    def count(*_: object) -> None:
        held.append(sum(p.grad is not None for p in trainings[0]._parameters.values()))

    monkeypatch.setattr(Training, "running", running)
    model = nn.Linear(3, 2)
    model.register_forward_hook(lambda module, *_: None if torch.is_grad_enabled() else count())
    fitted(model, [init(model, ADAM)], save=count, observers=[lambda event: None])
    assert len(held) == 2 + 3 * (2 + 1)  # the first two rehearse
    assert set(held) == {0}


def test_the_collector_is_not_needed_for_the_events() -> None:
    model, watch = nn.Linear(3, 2), Watch()
    events: list[Event] = []
    state = fitted(model, [init(model, ADAM)], observers=[events.append])
    watch.add(state)
    del state
    assert watch.alive() == 0
    assert any(isinstance(event, EpochDone) for event in events)
