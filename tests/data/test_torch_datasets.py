"""Adapted datasets return the batches that PyTorch's DataLoader returns."""

import copy
import functools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    Subset,
    TensorDataset,
    default_collate,
)

from shapezoo.data import ImageBatch, TensorBatch, TensorRows, as_dataset, digits, loader
from shapezoo.data.memory import split
from shapezoo.train import fit, init

MAKE_OPTIMIZER = functools.partial(torch.optim.SGD, lr=0.1)


def tensors(count: int = 7) -> TensorDataset:
    features = torch.randn(count, 3, generator=torch.Generator().manual_seed(1))
    return TensorDataset(
        features, torch.arange(count, dtype=torch.float64), torch.arange(count) % 2
    )


def pairs(count: int = 7) -> list[tuple[Tensor, int]]:
    return [
        (features, int(label)) for features, _, label in zip(*tensors(count).tensors, strict=True)
    ]


class Dicts(Dataset[dict[str, Any]]):
    """Examples in the format of Hugging Face."""

    def __init__(self, *keys: str) -> None:
        self.keys = keys

    def __len__(self) -> int:
        return 7

    def __getitem__(self, index: int) -> dict[str, Any]:
        *inputs, target = self.keys
        return {key: torch.full((3,), float(index)) for key in inputs} | {target: index % 2}


DATASETS: dict[str, Any] = {
    "TensorDataset": tensors(),
    "list": pairs(),
    "Subset": Subset(tensors(), [3, 1, 5]),
    "ConcatDataset": ConcatDataset([tensors(2), tensors(3)]),
    "floats": [(0.5, 1.5, index) for index in range(4)],
}


@pytest.mark.parametrize("name", DATASETS)
def test_batches_are_those_of_a_data_loader(name: str) -> None:
    dataset = as_dataset(DATASETS[name])
    assert len(dataset) == len(DATASETS[name])
    expected = DataLoader(DATASETS[name], batch_size=2)
    for batches in (loader(dataset, 2), loader(dataset, 2, num_workers=1)):
        assert len(batches) == len(expected)
        for batch, (*inputs, targets) in zip(batches, expected, strict=True):
            torch.testing.assert_close(batch.inputs, tuple(inputs), rtol=0, atol=0)
            assert torch.equal(batch.targets, targets)


@given(indices=st.lists(st.integers(0, 6)))
def test_tensors_indexed_as_a_whole_are_those_picked_one_by_one(indices: list[int]) -> None:
    chosen = torch.tensor(indices, dtype=torch.int64)
    whole = as_dataset(tensors()).select(chosen)
    single = as_dataset(Subset(tensors(), range(7))).select(chosen)
    torch.testing.assert_close(whole.inputs, single.inputs, rtol=0, atol=0)
    assert torch.equal(whole.targets, single.targets)
    assert whole.targets.shape == (len(indices),)


def test_tensors_are_a_dataset_in_memory() -> None:
    dataset = as_dataset(tensors())
    assert isinstance(dataset, TensorRows)
    train, test = split(dataset, test_size=2)
    assert (len(train), test.targets.tolist()) == (5, [1, 0])


class Augmented(TensorDataset):
    """Adds to its tensors, so these must not be indexed instead of it."""

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        features, *others = self.tensors[0][index], *(rest[index] for rest in self.tensors[1:])
        return (features + 1, *others)


def test_subclasses_and_other_collate_functions_are_asked_for_each_example() -> None:
    first = torch.tensor([0])
    plain = as_dataset(tensors()).select(first).inputs[0]
    augmented = as_dataset(Augmented(*tensors().tensors)).select(first).inputs[0]
    assert torch.equal(augmented, plain + 1)
    swapped = as_dataset(tensors(), collate=lambda rows: default_collate(rows)[::-1])
    assert torch.equal(swapped.select(first).targets, plain)


def test_a_collate_function_may_return_a_batch_of_its_own() -> None:
    def collate(examples: list[tuple[Tensor, int]]) -> ImageBatch:
        images = torch.stack([features for features, _ in examples])
        return ImageBatch(images[:, None, None], torch.tensor([label for _, label in examples]))

    dataset = as_dataset(pairs(), collate=collate)
    assert isinstance(dataset.select(torch.tensor([1, 0])), ImageBatch)
    empty = dataset.select(torch.arange(0))
    assert (empty.inputs[0].shape, empty.targets.shape) == ((0, 1, 1, 3), (0,))


@pytest.mark.parametrize(
    ("keys", "order"),
    [
        (("image", "label"), ["image", "label"]),
        (("tokens", "mask", "outcome"), ["tokens", "mask", "outcome"]),
    ],
)
def test_the_collate_function_that_an_error_shows_works(
    keys: tuple[str, ...], order: list[str]
) -> None:
    with pytest.raises(TypeError, match=f"a dict with the keys {', '.join(map(repr, keys))}") as e:
        as_dataset(Dicts(*keys)).select(torch.tensor([0]))
    shown = "\n".join(line[4:] for line in str(e.value).splitlines()[1:])
    namespace: dict[str, Any] = {"as_dataset": as_dataset, "dataset": Dicts(*keys)}
    exec(f"{shown.replace('as_dataset(', 'result = as_dataset(')}", namespace)
    batch = namespace["result"].select(torch.tensor([2, 4]))
    assert [tensor[:, 0].tolist() for tensor in batch.inputs] == [[2, 4]] * (len(order) - 1)
    assert batch.targets.tolist() == [0, 0]


def test_the_target_of_a_dict_need_not_come_last() -> None:
    with pytest.raises(TypeError, match=r"return batch\['image'\], batch\['label'\]"):
        as_dataset([{"label": 1, "image": torch.ones(2)}]).select(torch.tensor([0]))


class NoLength(Dataset[int]):
    def __getitem__(self, index: int) -> int:
        return index


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (NoLength, "NoLength has no __len__; add __len__"),
        (lambda: digits().test, "ImageDataset has no __getitem__; it has select already"),
    ],
)
def test_what_cannot_be_adapted_is_refused(make: Callable[[], Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        as_dataset(make())


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        ([torch.ones(2)], "got a Tensor"),
        ([(torch.ones(2),)], r"got \(Tensor\)"),
        ([(torch.ones(2), "cat")], r"got \(Tensor, tuple\)|got \(Tensor, list\)"),
        ([((torch.ones(2), torch.ones(2)), 1)], r"got \(list, Tensor\)"),
        (TensorDataset(torch.ones(1, 2)), r"got \(Tensor\)"),
    ],
)
def test_batches_without_inputs_or_targets_are_refused(examples: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message) as error:
        as_dataset(examples).select(torch.tensor([0]))
    assert "collate: expected it to return tensors (*inputs, targets)" in str(error.value)
    assert "as_dataset(..., collate=...)" in str(error.value)


def test_without_examples_there_is_no_empty_batch() -> None:
    with pytest.raises(ValueError, match="dataset: it is empty"):
        as_dataset([]).select(torch.arange(0))


def test_a_batch_goes_where_it_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = TensorBatch((torch.ones(2, 3), torch.zeros(2)), torch.tensor([0, 1]))
    moved = batch.to(torch.device("meta"))
    assert all(tensor.is_meta for tensor in (*moved.inputs, moved.targets))
    for other in (pickle.loads(pickle.dumps(batch)), copy.deepcopy(batch)):
        torch.testing.assert_close(other.inputs, batch.inputs)
        assert torch.equal(other.targets, batch.targets)
    # page-locked memory needs an accelerator
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: tensor + 1)
    pinned = torch.utils.data._utils.pin_memory.pin_memory(batch)  # type: ignore[no-untyped-call]
    assert isinstance(pinned, TensorBatch)
    assert pinned.targets.tolist() == [1, 2]
    assert [tensor.mean().item() for tensor in pinned.inputs] == [2, 1]


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


@pytest.mark.parametrize("options", [{}, {"accumulate": 5}, {"num_workers": 1}])
def test_a_training_takes_it(options: dict[str, Any]) -> None:
    dataset = as_dataset(pairs())
    module = model()
    start = init(module, MAKE_OPTIMIZER)
    settings: dict[str, Any] = {"epochs": 2, "batch_size": 3} | options
    state = fit(module, MAKE_OPTIMIZER, start, dataset, dataset, **settings)
    features, _, labels = tensors().tensors
    expected = fit(
        module,
        MAKE_OPTIMIZER,
        start,
        as_dataset(TensorDataset(features, labels)),
        dataset,
        **settings,
    )
    assert state.step == 6
    for name, value in expected.parameters.items():
        assert torch.equal(state.parameters[name], value)


class HuggingFace(Dicts):
    """A class whose `select` has another meaning."""

    def select(self, indices: Tensor) -> "HuggingFace":
        return self


def test_a_select_that_returns_no_batch_is_refused() -> None:
    module, good = model(), as_dataset(pairs())
    with pytest.raises(TypeError, match=r"HuggingFace\.select: expected a batch"):
        fit(
            module,
            MAKE_OPTIMIZER,
            init(module, MAKE_OPTIMIZER),
            HuggingFace("image", "label"),  # type: ignore[arg-type]
            good,
            epochs=1,
            batch_size=3,
        )
