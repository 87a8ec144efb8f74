"""The interface that every dataset of the package has."""

import dataclasses
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from shapezoo.data import (
    InMemory,
    PaddedSequences,
    Split,
    breast_cancer,
    cifar10,
    diabetes,
    digits,
    fashion_mnist,
    mnist,
    names,
    text,
    weather,
)
from shapezoo.data.memory import split

MAKERS: dict[str, Callable[[Path], Split[Any]]] = {
    "breast_cancer": lambda _: breast_cancer(),
    "cifar10": cifar10,
    "diabetes": lambda _: diabetes(),
    "digits": lambda _: digits(),
    "fashion_mnist": fashion_mnist,
    "mnist": mnist,
    "names": lambda _: names(),
    "text": lambda _: text(),
    "weather": lambda _: weather(),
}


@pytest.mark.parametrize("test_size", [-1, 10_000])
def test_no_more_examples_are_set_aside_than_there_are(test_size: int) -> None:
    data = diabetes().train
    with pytest.raises(
        ValueError, match=f"test_size must be from 0 to {len(data)}, .* {test_size}"
    ):
        split(data, test_size=test_size)
    for allowed in (0, len(data)):
        assert len(split(data, test_size=allowed).test) == allowed


@pytest.fixture(params=MAKERS)
def dataset(request: pytest.FixtureRequest, batches: Path) -> InMemory[Any]:
    made: InMemory[Any] = MAKERS[request.param](batches.parent).test
    return made


def tensors(record: Any) -> list[Tensor]:
    """The tensors in the fields of a batch or a dataset."""
    values = [getattr(record, field.name) for field in dataclasses.fields(record)]
    nested = [tensors(v) if isinstance(v, PaddedSequences) else [v] for v in values]
    return [value for group in nested for value in group if isinstance(value, Tensor)]


def examples(batch: Any) -> list[tuple[bytes, ...]]:
    """The examples of a batch, without their padding."""
    columns = []
    for field in dataclasses.fields(batch):
        axis = int("'seq batch" in str(field.type))  # before the batch stands the sequence
        rows = getattr(batch, field.name).movedim(axis, 0)
        columns.append([row.numpy().tobytes().rstrip(b"\0") for row in rows])
    return list(zip(*columns, strict=True))


def test_batches_hold_every_example_once(dataset: InMemory[Any]) -> None:
    whole = examples(dataset.select(torch.arange(len(dataset))))
    assert len(whole) == len(dataset) > 0
    batches = list(dataset.batches(4))
    assert [example for batch in batches for example in examples(batch)] == whole
    shuffled = list(dataset.batches(4, torch.Generator().manual_seed(0)))
    together = [example for batch in shuffled for example in examples(batch)]
    assert together != whole
    assert Counter(together) == Counter(whole)
    assert {type(batch) for batch in shuffled} == {type(batches[0])}


def test_a_selection_is_made_of_its_examples_in_their_order(dataset: InMemory[Any]) -> None:
    whole = examples(dataset.select(torch.arange(len(dataset))))
    order = torch.randperm(len(dataset))
    expected = [whole[index] for index in order]
    assert examples(dataset.select(order)) == expected
    subset = dataset.subset(order)
    assert type(subset) is type(dataset)
    assert examples(subset.select(torch.arange(len(subset)))) == expected
    again = torch.tensor([1, 0, 1])
    assert examples(dataset.select(again)) == [whole[1], whole[0], whole[1]]


def test_no_indices_are_an_empty_batch(dataset: InMemory[Any]) -> None:
    nothing = torch.tensor([], dtype=torch.int64)
    batch = dataset.select(nothing)
    assert examples(batch) == []
    assert type(batch) is type(next(dataset.batches(1)))
    subset = dataset.subset(nothing)
    assert len(subset) == 0
    assert list(subset.batches(3)) == []
    assert examples(subset.select(nothing)) == []


def test_nothing_is_modified(dataset: InMemory[Any]) -> None:
    before = [tensor.clone() for tensor in tensors(dataset)]
    state = torch.get_rng_state()
    for batch in dataset.subset(torch.arange(3)).batches(2):
        for tensor in tensors(batch):
            tensor.zero_()
    assert len(before) >= 2
    for tensor, copy in zip(tensors(dataset), before, strict=True):
        assert torch.equal(tensor, copy)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_batch_has_what_a_step_of_training_takes(dataset: InMemory[Any]) -> None:
    batch = dataset.select(torch.tensor([0, 1]))
    moved = batch.to(torch.device("meta"))
    assert batch.targets is tensors(batch)[-1]
    assert batch.inputs[0] is tensors(batch)[0]
    assert moved.targets.is_meta
    assert moved.inputs[0].is_meta
