"""A training can only be resumed with the data, batch size and seed that it began with."""

import dataclasses
import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo.data import TensorBatch, as_dataset, breast_cancer, digits, names, text, weather
from shapezoo.train import (
    Checkpoint,
    ExampleOrder,
    State,
    StateError,
    fit,
    init,
    load_checkpoint,
    save_checkpoint,
)
from shapezoo.train.loop.example_order import _sampled_indices, examples_digest

Fingerprint = Callable[..., str]
MAKE_OPTIMIZER = functools.partial(torch.optim.SGD, lr=0.1)


@dataclass(frozen=True)
class Rows:
    """A dataset in memory."""

    features: Tensor
    labels: Tensor
    note: Any = None

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> TensorBatch:
        return TensorBatch((self.features[indices],), self.labels[indices])


class Files:
    """A dataset that is not in memory, and counts what is read."""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows
        self.read: list[int] = []

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, indices: Tensor) -> TensorBatch:
        self.read += indices.tolist()
        return self.rows.select(indices)


def rows(count: int = 10) -> Rows:
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(1))
    return Rows(features, torch.arange(count) % 2)


def changed(data: Rows, index: int) -> Rows:
    features = data.features.clone()
    features[index, 0] += 1
    return replace(data, features=features)


def trained(train: Any, start: Checkpoint | State | None = None, **options: Any) -> State:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    settings = {"epochs": 2, "batch_size": 4, "seed": 7} | options
    return fit(
        model, MAKE_OPTIMIZER, start or init(model, MAKE_OPTIMIZER), train, rows(4), **settings
    )


def stopped(train: Any) -> Checkpoint:
    """In the middle of the first epoch."""
    saved: list[Checkpoint] = []
    trained(train, save=saved.append, stop=lambda: True)
    return saved[-1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 5}, "batch_size: .* had batch_size=4, got 5; pass batch_size=4"),
        ({"seed": 8}, "seed: .* had seed=7, got 8; pass seed=7"),
        ({"train": rows(11)}, "train: .* had 10 examples, got 11"),
        ({"train": changed(rows(), 9)}, "train: .* had examples with the digest .*, got"),
    ],
)
@pytest.mark.parametrize("make", [lambda data: data, Files], ids=["memory", "files"])
def test_another_order_is_refused(
    options: dict[str, Any], message: str, make: Callable[[Rows], Any], tmp_path: Path
) -> None:
    save_checkpoint(stopped(make(rows())), tmp_path / "checkpoint")
    checkpoint, _ = load_checkpoint(tmp_path / "checkpoint")
    train = make(options.get("train", rows()))
    others = {name: value for name, value in options.items() if name != "train"}
    with pytest.raises(StateError, match=message) as error:
        trained(train, checkpoint, **others)
    assert "dataclasses.replace(checkpoint.state, step=0)" in str(error.value)
    advised = dataclasses.replace(checkpoint.state, step=0)
    assert trained(train, advised, **others).step == 2 * (2 if others == {"batch_size": 5} else 3)


def test_the_same_order_goes_on(fingerprint: Fingerprint) -> None:
    checkpoint = stopped(rows())
    assert checkpoint.order == ExampleOrder(10, examples_digest(rows()), 4, 7)
    whole = trained(rows())
    assert fingerprint(trained(rows(), checkpoint)) == fingerprint(whole)
    assert trained(rows(), checkpoint, epochs=3).step == 9


@pytest.mark.parametrize("forget", [lambda c: c.state, lambda c: replace(c, order=None)])
def test_an_unknown_order_is_not_compared(
    forget: Callable[[Checkpoint], State | Checkpoint], fingerprint: Fingerprint
) -> None:
    checkpoint = stopped(rows())
    saved: list[Checkpoint] = []
    state = trained(rows(), forget(checkpoint), save=saved.append)
    assert fingerprint(state) == fingerprint(trained(rows()))
    assert saved[-1].order == checkpoint.order  # known from now on


def test_nothing_is_read_for_a_training_that_saves_nothing() -> None:
    data = Files(rows())
    trained(data, epochs=1)
    assert sorted(data.read) == list(range(10))


def test_data_that_never_are_the_same_twice_are_not_compared() -> None:
    generator = torch.Generator().manual_seed(0)

    class Unseeded(Files):
        def select(self, indices: Tensor) -> TensorBatch:
            batch = super().select(indices)
            noise = torch.rand(batch.inputs[0].shape, generator=generator)
            return replace(batch, inputs=(batch.inputs[0] + noise,))

    assert trained(Unseeded(rows()), stopped(Unseeded(rows()))).step == 6


def test_data_augmented_by_the_seeded_generators_are_the_same() -> None:
    class Noisy(Files):
        def select(self, indices: Tensor) -> TensorBatch:
            batch = super().select(indices)
            return replace(batch, inputs=(batch.inputs[0] + torch.rand(len(indices), 3),))

    first = examples_digest(Noisy(rows()))
    torch.rand(5)
    assert examples_digest(Noisy(rows())) == first
    assert examples_digest(Noisy(changed(rows(), 3))) != first


@dataclass(frozen=True)
class Folder:
    """A dataset of files, whose fields do not hold the examples."""

    path: str
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def select(self, indices: Tensor) -> TensorBatch:
        features = torch.load(self.path)
        return TensorBatch((features[indices],), self.labels[indices])


def test_files_that_changed_are_noticed(tmp_path: Path) -> None:
    data = Folder(str(tmp_path / "features"), rows().labels)
    torch.save(rows().features, data.path)
    before = examples_digest(data)
    torch.save(changed(rows(), 4).features, data.path)
    assert examples_digest(data) != before


@pytest.mark.parametrize("index", range(10))
def test_every_example_in_memory_counts(index: int) -> None:
    assert examples_digest(changed(rows(), index)) != examples_digest(rows())


def test_every_bit_in_memory_counts() -> None:
    """However many examples there are: 1000 are more than the sample of others."""
    large = rows(1000)
    found = {examples_digest(changed(large, index)) for index in range(0, 1000, 97)}
    assert len(found | {examples_digest(large)}) == 12
    adapted = as_dataset(torch.utils.data.TensorDataset(large.features, large.labels))
    other = changed(large, 1)
    again = as_dataset(torch.utils.data.TensorDataset(other.features, other.labels))
    assert examples_digest(adapted) != examples_digest(again)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.zeros(2, 3), torch.zeros(3, 2)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (("ab", "c"), ("a", "bc")),
        (("ab",), "ab"),
        ((1, (2, 3)), ((1, 2), 3)),
        (1, "1"),
        (None, "None"),
        (True, 1),
    ],
)
def test_digests_tell_values_apart(one: Any, other: Any) -> None:
    digests = {examples_digest(replace(rows(), note=note)) for note in (one, other)}
    assert len(digests) == 2


@pytest.mark.parametrize(
    "note",
    [
        torch.eye(2).to_sparse(),
        torch.ones(1, device="meta"),
        len,
        [torch.ones(1), len],
    ],
)
@pytest.mark.filterwarnings("ignore:(?s).*Sparse:UserWarning")
def test_what_is_not_plain_data_is_sampled(note: Any) -> None:
    """Only the examples count, not the other attributes of the dataset."""
    assert examples_digest(replace(rows(), note=note)) == examples_digest(Files(rows()))


def test_layout_and_gradients_make_no_difference() -> None:
    data = rows()
    other = replace(
        data, features=data.features.T.contiguous().T.requires_grad_(), labels=data.labels.clone()
    )
    assert examples_digest(data) == examples_digest(other)


@given(st.integers(0, 3000))
def test_samples_are_evenly_spaced_from_the_first_to_the_last(count: int) -> None:
    indices = _sampled_indices(count)
    assert len(indices) == min(count, 256)
    assert indices == sorted(set(indices))
    if count:
        assert (indices[0], indices[-1]) == (0, count - 1 if count > 1 else 0)
        gaps = [b - a for a, b in itertools.pairwise(indices)]
        assert max(gaps, default=0) - min(gaps, default=0) <= 1


def test_at_most_256_examples_are_read() -> None:
    data = Files(rows(2000))
    examples_digest(data)
    assert data.read == _sampled_indices(2000)


@pytest.mark.parametrize("load", [digits, names, text, weather, breast_cancer])
def test_the_datasets_of_the_package_are_read_as_a_whole(load: Callable[[], Any]) -> None:
    data = load().test
    digest = examples_digest(data)
    assert examples_digest(data.subset(torch.arange(len(data)))) == digest
    assert examples_digest(data.subset(torch.arange(len(data)).flip(0))) != digest
