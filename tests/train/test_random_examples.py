"""Random augmentation does not depend on workers, processes and resuming."""

import contextlib
import functools
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo._seeding import kept_normal, seeded_batch
from shapezoo.data import InMemory, TensorBatch, as_dataset, seeded_example
from shapezoo.train import (
    Checkpoint,
    EpochDone,
    Event,
    Processes,
    State,
    fit,
    init,
    load_checkpoint,
    save_checkpoint,
)

Fingerprint = Callable[..., str]
MAKE_OPTIMIZER = functools.partial(torch.optim.SGD, lr=0.1)
COUNT = 11


def drawn() -> Tensor:
    """A number from each of the generators."""
    return torch.tensor([float(torch.rand(())), random.random(), np.random.rand()])


@dataclass(frozen=True)
class Examples:
    """Random examples that contain their index and the process that selected them."""

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.cat([drawn(), torch.tensor([float(index)])]), index % 2


class OwnSelect:
    """A dataset that seeds its examples itself."""

    def __len__(self) -> int:
        return COUNT

    def select(self, indices: Tensor) -> TensorBatch:
        rows = []
        for index in indices.tolist():
            with seeded_example(index):
                rows.append(Examples()[index][0])
        return TensorBatch((torch.stack(rows),), indices % 2)


class Batchwise:
    """A dataset that draws for a batch as a whole."""

    def __len__(self) -> int:
        return COUNT

    def select(self, indices: Tensor) -> TensorBatch:
        noise = torch.rand(len(indices), 3) + random.random() + np.random.rand()
        return TensorBatch((torch.cat([noise, indices[:, None].float()], dim=1),), indices % 2)


DATASETS: dict[str, Any] = {
    "adapted": as_dataset(Examples()),
    "own": OwnSelect(),
    "batchwise": Batchwise(),
}


class Recorder(nn.Module):
    """A classifier that remembers its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(4, 2)
        self.drop = nn.Dropout(0.3)
        self.seen: list[list[float]] = []

    def forward(self, rows: Tensor) -> Tensor:
        self.seen.extend(rows.tolist())
        logits: Tensor = self.head(self.drop(rows))
        return logits


def trained(
    train: Any, *, start: Checkpoint | None = None, test: Any = None, **options: Any
) -> tuple[State, list[list[float]], list[Event]]:
    """The state, the examples that the model saw, and what was reported."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model, events = Recorder(), list[Event]()
    numbers = {"epochs": 2, "batch_size": 4, "seed": 5} | options
    state = fit(
        model,
        MAKE_OPTIMIZER,
        start or init(model, MAKE_OPTIMIZER),
        train,
        test or as_dataset(torch.utils.data.TensorDataset(torch.ones(3, 4), torch.arange(3) % 2)),
        observers=[events.append],
        **numbers,
    )
    return state, model.seen, events


class Listed(Examples, torch.utils.data.Dataset[Any]):
    """The same as PyTorch has it."""


def subset() -> Any:
    """The same examples, by other indices of the dataset below."""
    below = torch.utils.data.ConcatDataset[Any]([Listed(), Listed()])
    return as_dataset(torch.utils.data.Subset(below, range(4, 4 + COUNT)))


DATASETS["subset"] = subset()


@pytest.mark.parametrize("name", DATASETS)
def test_a_resume_in_the_middle_of_an_epoch_ends_in_the_same_bits(
    name: str, tmp_path: Path, fingerprint: Fingerprint
) -> None:
    saved: list[Checkpoint] = []
    whole, _, reported = trained(DATASETS[name], save=saved.append, save_every=1)
    assert [checkpoint.state.step for checkpoint in saved] == [1, 2, 3, 4, 5, 6]
    for checkpoint in saved:
        save_checkpoint(checkpoint, tmp_path / "checkpoint")
        loaded, _ = load_checkpoint(tmp_path / "checkpoint")
        drawn()  # a program that resumes has drawn other numbers
        state, _, events = trained(DATASETS[name], start=loaded)
        assert fingerprint(state) == fingerprint(whole)
        assert events == reported[len(reported) - len(events) :]


@pytest.mark.slow
@pytest.mark.parametrize("name", DATASETS)
def test_workers_change_nothing(name: str, fingerprint: Fingerprint) -> None:
    saved: list[Checkpoint] = []
    whole, _, _ = trained(DATASETS[name], save=saved.append, save_every=1)
    for num_workers in (1, 2):
        state, _, _ = trained(DATASETS[name], num_workers=num_workers)
        assert fingerprint(state) == fingerprint(whole)
        resumed, _, _ = trained(DATASETS[name], start=saved[1], num_workers=num_workers)
        assert fingerprint(resumed) == fingerprint(whole)


@pytest.mark.parametrize("name", ["adapted", "own"])
@pytest.mark.parametrize("accumulate", [2, 3, 7])
def test_parts_change_no_example(name: str, accumulate: int) -> None:
    _, expected, _ = trained(DATASETS[name])
    _, seen, _ = trained(DATASETS[name], accumulate=accumulate)
    assert seen == expected


@pytest.mark.parametrize("name", ["adapted", "own"])
@pytest.mark.parametrize("size", [2, 3])
def test_processes_change_no_example(name: str, size: int) -> None:
    _, expected, _ = trained(DATASETS[name])
    seen = list[list[float]]()
    for rank in range(size):  # one after the other, each as if the others had the same share
        processes = Processes(rank, size, lambda tensor: tensor * size)
        seen += trained(DATASETS[name], processes=processes, accumulate=rank + 1)[1]
    ones = [1.0] * 4  # the test set
    assert sorted(row for row in seen if row != ones) == sorted(
        row for row in expected if row != ones
    )


def test_a_process_without_a_share_selects_nothing() -> None:
    for rank in range(5):  # the last batch has three examples
        processes = Processes(rank, 5, lambda tensor: tensor + 1)  # the others have something
        own = OwnSelect()  # cannot make an empty batch
        assert trained(own, test=own, processes=processes)[0].step == 6


def test_every_epoch_and_example_draws_other_numbers() -> None:
    for dataset in DATASETS.values():
        _, seen, _ = trained(dataset, epochs=3)
        rows = [row for row in seen if row != [1.0] * 4]
        for column in range(3):
            assert len({row[column] for row in rows}) == len(rows) == 3 * COUNT
    _, other, _ = trained(DATASETS["own"], seed=6)
    _, first, _ = trained(DATASETS["own"], seed=5)
    assert not {row[0] for row in first} & {row[0] for row in other} - {1.0}


def test_parts_and_processes_draw_other_numbers_for_a_batch() -> None:
    seen = list[list[float]]()
    for rank in range(2):
        processes = Processes(rank, 2, lambda tensor: tensor * 2)
        seen += trained(Batchwise(), processes=processes, accumulate=2, epochs=1)[1]
    rows = [row for row in seen if row != [1.0] * 4]
    assert len({row[0] for row in rows}) == len(rows) == COUNT


@pytest.mark.parametrize("name", DATASETS)
def test_random_test_examples_are_the_same_in_each_measure(name: str) -> None:
    still = as_dataset(torch.utils.data.TensorDataset(torch.ones(4, 4), torch.tensor([0] * 4)))
    _, seen, events = trained(still, test=DATASETS[name], epochs=3, batch_size=4)
    rows = [row for row in seen if row != [1.0] * 4]
    assert len(rows) == 3 * COUNT  # the rehearsal leaves the model as it was
    assert rows[:COUNT] == rows[COUNT : 2 * COUNT] == rows[2 * COUNT :]
    assert sum(isinstance(event, EpochDone) for event in events) == 3


def state_of_generators() -> Any:
    return torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())


@pytest.mark.parametrize("name", DATASETS)
@pytest.mark.parametrize("fails", [False, True])
def test_generators_are_left_as_they_were(name: str, fails: bool) -> None:
    def stop() -> bool:
        if fails:
            raise ArithmeticError
        return False

    np.random.seed(0)
    np.random.randn()  # has drawn one more
    before = state_of_generators()
    with pytest.raises(ArithmeticError) if fails else contextlib.nullcontext():
        trained(DATASETS[name], test=DATASETS[name], stop=stop)
    assert state_of_generators() == before


def test_what_observers_draw_is_not_undone() -> None:
    np.random.seed(0)
    values = [np.random.rand() for _ in range(20)]
    np.random.seed(0)
    found = list[float]()
    trained(OwnSelect(), save=lambda checkpoint: found.append(np.random.rand()), save_every=1)
    assert found == values[: len(found)]
    assert np.random.rand() == values[len(found)]


def test_a_stored_normal_number_is_kept() -> None:
    np.random.seed(0)
    values = [np.random.randn() for _ in range(4)]
    np.random.seed(0)
    first = np.random.randn()
    with kept_normal(), seeded_batch((1,), 2):
        np.random.randn()
    assert [first, np.random.randn(), np.random.randn(), np.random.randn()] == values


@given(key=st.tuples(st.integers(), st.text(max_size=3), st.integers(-3, 10**30)))
def test_any_seed_will_do(key: tuple[int | str, ...]) -> None:
    with seeded_batch(key):
        first = drawn()
    with seeded_batch(key):
        assert torch.equal(drawn(), first)
    with seeded_batch((*key, 0)):
        assert not torch.equal(drawn(), first)


def test_seeds_nest() -> None:
    with seeded_batch((1,), 1):
        drawn()
        expected = drawn()
        with seeded_example(3):
            example = drawn()
    with seeded_batch((1,), 1):
        drawn()
        with seeded_example(3):
            assert torch.equal(drawn(), example)
            with seeded_example(4):
                assert not torch.equal(drawn(), example)
        assert torch.equal(drawn(), expected)


def test_outside_of_a_training_nothing_is_seeded() -> None:
    torch.manual_seed(0)
    expected = [float(torch.rand(())) for _ in range(2)]
    torch.manual_seed(0)
    found = list[float]()
    for _ in range(2):
        with seeded_example(3):
            found.append(float(torch.rand(())))
    assert found == expected


class Noisy(InMemory[TensorBatch]):
    """Overrides a `select` that is marked as drawing nothing."""

    def __len__(self) -> int:
        return COUNT

    def select(self, indices: Tensor) -> TensorBatch:
        return Batchwise().select(indices)

    def subset(self, indices: Tensor) -> "Noisy":
        return self


def test_datasets_in_memory_may_draw_too(fingerprint: Fingerprint) -> None:
    state, _, _ = trained(Noisy())
    drawn()
    again, _, _ = trained(Noisy())
    assert fingerprint(state) == fingerprint(again)


@pytest.fixture
def pictures() -> Any:
    """Three PIL images of torchvision, with transforms of each kind that draws."""
    from torchvision.datasets import FakeData
    from torchvision.transforms import v2

    def jitter(image: Any) -> Any:
        """Draws from Python's generator and NumPy's."""
        shifted = np.asarray(image).astype(float) + np.random.normal() * 20 + random.random() * 20
        return torch.from_numpy(shifted).permute(2, 0, 1).float()

    transform = v2.Compose(
        [v2.RandomResizedCrop(8), v2.RandomHorizontalFlip(), v2.ColorJitter(0.5), jitter]
    )
    return FakeData(7, (3, 12, 12), num_classes=2, transform=transform)


def test_transforms_of_torchvision_are_seeded(pictures: Any, fingerprint: Fingerprint) -> None:
    saved: list[Checkpoint] = []
    data = as_dataset(pictures)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, 2))

    def run(start: State | Checkpoint, **options: Any) -> State:
        settings: dict[str, Any] = {"epochs": 2, "batch_size": 3}
        return fit(model, MAKE_OPTIMIZER, start, data, data, **settings, **options)

    whole = run(init(model, MAKE_OPTIMIZER), save=saved.append, save_every=1)
    for checkpoint in saved:
        drawn()
        assert fingerprint(run(checkpoint)) == fingerprint(whole)
