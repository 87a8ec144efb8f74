"""Objects that are not datasets or batches raise errors whose advice works when it is run."""

import functools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.data import (
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    random_split,
)

from shapezoo.data import (
    ImageDataset,
    TensorBatch,
    TensorRows,
    as_dataset,
    digits,
    loader,
)
from shapezoo.train import evaluate, fit, init, train_step

MAKE_OPTIMIZER = functools.partial(torch.optim.SGD, lr=0.1)
FEATURES = torch.randn(7, 3, generator=torch.Generator().manual_seed(1))
LABELS = torch.arange(7) % 2


def tensors() -> TensorDataset:
    return TensorDataset(FEATURES, LABELS)


class Stream(IterableDataset[tuple[Tensor, int]]):
    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        return iter([(row, int(label)) for row, label in zip(FEATURES, LABELS, strict=True)])


class Lazy:
    """A dataset with `select` that is not in memory."""

    def __len__(self) -> int:
        return 7

    def select(self, indices: Tensor) -> TensorBatch:
        return TensorBatch((FEATURES[indices],), LABELS[indices])


def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(3, 2)


def advice(error: BaseException) -> str:
    """Return the code that an error tells the user to write."""
    found = re.search(
        r"(?:; pass|such as|pass a list:|write) (.*?)(?: from | if |, and |, or |$)", str(error)
    )
    assert found, error
    return found[1]


# what was passed, and what the error must say of it; all of it can be mended by running the advice
DATASETS: dict[str, tuple[Callable[[], Any], str]] = {
    "pair": (lambda: (FEATURES, LABELS), r"a tuple of \(Tensor, Tensor\);"),
    "list": (lambda: [FEATURES, LABELS], r"a list of \(Tensor, Tensor\);"),
    "columns": (lambda: {"x": FEATURES, "y": LABELS}, "a dict;"),
    "arrays": (lambda: (FEATURES.numpy(), LABELS.numpy()), r"a tuple of \(ndarray, ndarray\);"),
    "mixed": (lambda: (FEATURES.numpy(), LABELS), r"a tuple of \(ndarray, Tensor\);"),
    "inputs": (lambda: FEATURES, "a Tensor;"),
    "array": (lambda: FEATURES.numpy(), "a NumPy array;"),
    "example": (lambda: (FEATURES[0], 1), "which is a single example;"),
    "tensor example": (lambda: tensors()[0], "which is a single example;"),
    "iterator": (lambda: iter(list(Stream())), "list_iterator"),
    "set": (lambda: {(1.0, 0)}, "set"),
    "stream": (Stream, "a Stream, which has no indices"),
    "loader": (lambda: DataLoader(tensors(), 3), "a DataLoader, whose batch size, order"),
    "loader of a stream": (
        lambda: DataLoader(Stream()),
        "a DataLoader of an IterableDataset, which",
    ),
    "parts": (lambda: random_split(tensors(), [5, 2]), "a list of 2 datasets; use"),
}


@pytest.mark.parametrize("name", DATASETS)
def test_the_advice_for_a_dataset_works(name: str) -> None:
    make, message = DATASETS[name]
    names = {"torch": torch, "as_dataset": as_dataset, "labels": LABELS}
    with pytest.raises(TypeError, match=f"^dataset: expected a dataset.*{message}") as error:
        as_dataset(make())
    adapted = eval(advice(error.value), names, {"dataset": make()})
    assert isinstance(adapted.select(torch.tensor([0])).targets, Tensor)

    module, good = model(), as_dataset(tensors())
    run = functools.partial(fit, module, MAKE_OPTIMIZER, init(module, MAKE_OPTIMIZER))
    with pytest.raises(TypeError, match=f"^train: expected a dataset.*{message}") as error:
        run(make(), good, epochs=1, batch_size=3)
    adapted = eval(advice(error.value), names, {"train": make()})
    assert isinstance(adapted.select(torch.tensor([0])).targets, Tensor)
    with pytest.raises(TypeError, match=r"^test: expected a dataset"):
        run(good, make(), epochs=1, batch_size=3)
    with pytest.raises(TypeError, match=r"^dataset: expected a dataset"):
        loader(make(), 3)


@pytest.mark.parametrize("make", [tensors, lambda: list(Stream()), lambda: Subset(tensors(), [1])])
def test_fit_recommends_as_dataset_for_what_it_can_adapt(make: Callable[[], Any]) -> None:
    module, good = model(), as_dataset(tensors())
    state = init(module, MAKE_OPTIMIZER)
    with pytest.raises(TypeError, match=r"^train: expected a dataset with __len__ and select") as e:
        fit(module, MAKE_OPTIMIZER, state, make(), good, epochs=1, batch_size=3)
    assert advice(e.value) == "as_dataset(train)"
    assert len(as_dataset(make())) == len(make())


# what no code mends, because only the user knows what to pass
HOPELESS: dict[str, tuple[Callable[[], Any], str]] = {
    "nothing": (lambda: None, "None; pass a dataset of shapezoo.data, or as_dataset"),
    "string": (lambda: "data/", r"'data/'; .* as_dataset\(torchvision\.datasets\.ImageFolder\("),
    "path": (lambda: Path("data"), "'data'; pass a dataset that reads the files"),
    "bytes": (lambda: b"data", "b'data'; pass a dataset that reads the files"),
    "class": (lambda: TensorDataset, "the class TensorDataset; pass an instance"),
    "class with select": (lambda: ImageDataset, "the class ImageDataset; pass an instance"),
    "splits": (lambda: {"train": [1], "test": [2]}, "'train', 'test'; pass one of its values"),
    "split": (digits, r"a Split of 2 datasets; use one of them, such as (dataset|train)\[0\]"),
    "batches": (
        lambda: loader(as_dataset(tensors()), 3),
        "whose items are batches already; pass the dataset that it was made from",
    ),
    "concatenated": (
        lambda: Subset(ConcatDataset([tensors(), Subset(as_dataset(tensors()), [1])]), [1]),  # type: ignore[arg-type]
        r"with a TensorRows in it, .*combine .*as_dataset\(ConcatDataset\(\[first, second\]\)\)",
    ),
}


@pytest.mark.parametrize("name", HOPELESS)
def test_what_cannot_be_a_dataset_is_named(name: str) -> None:
    make, message = HOPELESS[name]
    module, good = model(), as_dataset(tensors())
    with pytest.raises(TypeError, match=f"^dataset: expected a dataset, got .*{message}"):
        as_dataset(make())
    with pytest.raises(TypeError, match=f"^train: expected a dataset, got .*{message}"):
        fit(
            module,
            MAKE_OPTIMIZER,
            init(module, MAKE_OPTIMIZER),
            make(),
            good,
            epochs=1,
            batch_size=3,
        )


def test_a_state_in_place_of_a_dataset_is_not_for_as_dataset() -> None:
    module, good = model(), as_dataset(tensors())
    state = init(module, MAKE_OPTIMIZER)
    with pytest.raises(TypeError, match=r"^test: .* got a State; pass a dataset of shapezoo\.data"):
        fit(module, MAKE_OPTIMIZER, state, good, state, epochs=1, batch_size=3)  # type: ignore[arg-type]


def test_rows_of_a_tensor_may_be_examples_of_another_collate_function() -> None:
    def reconstruct(rows: list[Tensor]) -> tuple[Tensor, Tensor]:
        return torch.stack(rows), torch.stack(rows)

    for rows in (FEATURES, list(FEATURES), tuple(FEATURES)):
        batch = as_dataset(rows, collate=reconstruct).select(torch.tensor([2]))
        assert torch.equal(batch.targets, FEATURES[2:3])


@pytest.mark.parametrize("make", [lambda: as_dataset(tensors()), Lazy, lambda: list(Stream())])
def test_a_dataset_may_be_split_before_and_after(make: Callable[[], Any]) -> None:
    generators = [torch.Generator().manual_seed(0) for _ in range(2)]
    parts = random_split(make(), [5, 2], generators[0])
    expected = random_split(tensors(), [5, 2], generators[1])
    for part, other in zip(parts, expected, strict=True):
        for nested in (part, Subset(part, range(len(part)))):
            batch = as_dataset(nested).select(torch.tensor([1, 0]))
            reference = as_dataset(other).select(torch.tensor([1, 0]))
            assert torch.equal(batch.inputs[0], reference.inputs[0])
            assert torch.equal(batch.targets, reference.targets)
            assert len(as_dataset(nested)) == len(other)


def test_a_subset_keeps_its_class_and_trains_as_one_that_was_split_before() -> None:
    after, _ = random_split(as_dataset(tensors()), [5, 2], torch.Generator().manual_seed(0))  # type: ignore[arg-type, var-annotated]
    before, test = random_split(tensors(), [5, 2], torch.Generator().manual_seed(0))
    assert isinstance(as_dataset(after), TensorRows)
    assert isinstance(as_dataset(Subset(digits().test, [3, 4])), ImageDataset)  # type: ignore[arg-type]
    module = model()
    start = init(module, MAKE_OPTIMIZER)
    states = [
        fit(
            module,
            MAKE_OPTIMIZER,
            start,
            as_dataset(part),
            as_dataset(test),
            epochs=2,
            batch_size=2,
        )
        for part in (after, before)
    ]
    for name, value in states[0].parameters.items():
        assert torch.equal(value, states[1].parameters[name])


def test_a_part_may_be_empty() -> None:
    for dataset in (as_dataset(tensors()), Lazy()):
        whole, empty = map(as_dataset, random_split(dataset, [7, 0]))  # type: ignore[arg-type]
        assert (len(whole), len(empty)) == (7, 0)
        assert empty.select(torch.arange(0)).inputs[0].shape == (0, 3)
    nothing = Subset(as_dataset(tensors()), [])  # type: ignore[arg-type, var-annotated]
    with pytest.raises(TypeError, match="with a TensorRows in it"):
        as_dataset(ConcatDataset([as_dataset(nothing)]))  # type: ignore[list-item]


def test_a_subset_of_batches_takes_no_collate_function() -> None:
    with pytest.raises(TypeError, match="collate: TensorRows, of which this is a Subset, makes"):
        as_dataset(Subset(as_dataset(tensors()), [1]), collate=lambda rows: rows)  # type: ignore[arg-type]


class Pictures(Dataset[Any]):
    """Like torchvision's datasets, of pictures unless there is a transform."""

    def __init__(self, transform: Callable[[Any], Any] | None = None) -> None:
        self.transform = transform

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = pytest.importorskip("PIL.Image").new("RGB", (4, 5))
        return self.transform(image) if self.transform else image, index


def test_the_transform_that_an_error_shows_works() -> None:
    v2 = pytest.importorskip("torchvision.transforms.v2")
    with pytest.raises(TypeError, match=r"got a PIL image at example\[0\]; .*transform=") as error:
        as_dataset(Pictures()).select(torch.tensor([0]))
    shown = re.search(r"transform=(.*\]\)),", str(error.value))
    assert shown
    transform = eval(shown[1], {"v2": v2, "torch": torch})
    images = as_dataset(Pictures(transform)).select(torch.tensor([0, 1])).inputs[0]
    assert (images.shape, images.dtype) == ((2, 3, 5, 4), torch.float32)


@pytest.mark.parametrize(
    ("example", "message"),
    [
        ((torch.ones(2), None), r"got None at example\[1\]; convert it in the dataset"),
        (({"a": [1.0, object()]}, 1), r"got an object of object at example\[0\]\['a'\]\[1\]"),
        ({"image": Pictures()[0][0], "label": 1}, r"got a PIL image at example\['image'\]"),
        ((TensorBatch((FEATURES,), LABELS),), r"got an object of TensorBatch at example\[0\]"),
    ],
)
def test_examples_that_cannot_be_collated_are_named(example: Any, message: str) -> None:
    with pytest.raises(TypeError, match=f"^dataset: expected examples of tensors.*{message}"):
        as_dataset([example]).select(torch.tensor([0]))


@pytest.mark.parametrize(
    "examples",
    [
        [(torch.ones(2), 0), (torch.ones(3), 1)],
        [(torch.ones(2), 0), (torch.ones(2),)],
        [({"a": 1.0}, 0), ({"b": 1.0}, 1)],
    ],
)
def test_examples_of_different_shapes_are_refused_with_advice(examples: Any) -> None:
    dataset = as_dataset(examples)
    with pytest.raises(ValueError, match=r"^dataset: the examples .* cannot be stacked: .*Resize"):
        dataset.select(torch.tensor([0, 1]))


def test_errors_of_another_collate_function_are_its_own() -> None:
    def fail(examples: list[Any]) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        as_dataset(list(Stream()), collate=fail).select(torch.tensor([0]))


@pytest.mark.parametrize(
    ("inputs", "targets", "message"),
    [
        (FEATURES, LABELS, r"a tuple of tensors, got a Tensor; write TensorBatch\(\(images,\), l"),
        ([FEATURES], LABELS, r"a tuple of tensors, got list; write TensorBatch\(\(first, second"),
        ((FEATURES, [1]), LABELS, r"inputs\[1\] must be a Tensor, got list"),
        ((FEATURES,), LABELS.numpy(), r"targets must be a Tensor, got ndarray; torch\.as_tensor"),
    ],
)
def test_a_batch_of_something_else_is_refused(inputs: Any, targets: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        TensorBatch(inputs, targets)


def one_batch() -> TensorBatch:
    return TensorBatch((FEATURES,), LABELS)


BATCHES: dict[str, tuple[Callable[[], Any], str]] = {
    "dataset": (lambda: as_dataset(tensors()), r"a dataset; pass loader\(batches, batch_size\)"),
    "lazy dataset": (Lazy, r"a dataset; pass loader\(batches, batch_size\)"),
    "batch": (one_batch, r"a single batch; pass a list: \[batches\]"),
    "pair": (lambda: (FEATURES, LABELS), r"a tuple of \(Tensor, Tensor\); .*\[TensorBatch\("),
    "inputs": (lambda: FEATURES, r"a Tensor; .*\[TensorBatch\("),
    "dict": (lambda: {"x": FEATURES}, r"a dict; .*\[TensorBatch\("),
    "datasets": (lambda: random_split(tensors(), [5, 2]), r"loader\(as_dataset\(batches\[0\]\), b"),
    "split": (lambda: digits(), r"a Split of 2 datasets; pass loader\(batches\[0\], batch_size\)"),
    "nothing": (lambda: None, r"None; pass loader\(dataset, batch_size\)"),
    "class": (lambda: TensorBatch, "the class TensorBatch"),
}


@pytest.mark.parametrize("name", BATCHES)
def test_what_is_not_an_iterable_of_batches_is_refused(name: str) -> None:
    make, message = BATCHES[name]
    module = model()
    state = init(module, MAKE_OPTIMIZER)
    with pytest.raises(
        TypeError, match=f"^batches: expected an iterable of batches, got .*{message}"
    ):
        evaluate(module, state, make())


class Indexed:
    """Batches that are found by their index alone, over which a loop can go."""

    def __getitem__(self, index: int) -> TensorBatch:
        if index >= 2:
            raise IndexError
        return TensorBatch((FEATURES[index::2],), LABELS[index::2])


class IterableRows(Lazy):
    """A dataset that also yields its batches."""

    def __iter__(self) -> Iterator[TensorBatch]:
        return iter([one_batch()])


@dataclass(frozen=True)
class Everything(TensorBatch):
    """A batch that is a dataset too."""

    def __len__(self) -> int:
        return len(self.targets)

    def select(self, indices: Tensor) -> TensorBatch:
        return TensorBatch((self.inputs[0][indices],), self.targets[indices])


def test_every_iterable_of_batches_is_accepted() -> None:
    module = model()
    state = init(module, MAKE_OPTIMIZER)
    expected = evaluate(module, state, [one_batch()])
    made: list[Any] = [
        (one_batch(),),
        [Everything((FEATURES,), LABELS)],
        iter([one_batch()]),
        IterableRows(),
        loader(as_dataset(tensors()), 7),
        Indexed(),
    ]
    for batches in made:
        assert evaluate(module, state, batches).loss == pytest.approx(expected.loss)


BATCH: dict[str, tuple[Callable[[], Any], str]] = {
    "dataset": (lambda: as_dataset(tensors()), r"a dataset; iterate over loader\(batch, batch_si"),
    "loader": (lambda: DataLoader(tensors(), 3), "a DataLoader; iterate over batch and pass one"),
    "list": (lambda: [FEATURES, LABELS], r"a list of \(Tensor, Tensor\); write TensorBatch\("),
    "pair": (lambda: (FEATURES, LABELS), r"a tuple of \(Tensor, Tensor\); write TensorBatch\("),
    "three": (
        lambda: next(iter(DataLoader(TensorDataset(FEATURES, FEATURES, LABELS), 3))),
        r"a list of \(Tensor, Tensor, Tensor\); write TensorBatch\(\(input_1, input_2\), targets\)",
    ),
    "class": (lambda: TensorBatch, "the class TensorBatch"),
}


@pytest.mark.parametrize("name", BATCH)
def test_what_is_not_a_batch_is_refused(name: str) -> None:
    make, message = BATCH[name]
    module = model()
    state = init(module, MAKE_OPTIMIZER)
    with pytest.raises(TypeError, match=f"^batch: expected a batch.*, got {message}"):
        train_step(module, MAKE_OPTIMIZER, state, make())
    with pytest.raises(TypeError, match=r"^batch: expected a batch"):
        train_step(module, MAKE_OPTIMIZER, state, [make()])


def test_the_batch_that_an_error_shows_works() -> None:
    module = model()
    state = init(module, MAKE_OPTIMIZER)
    images, labels = pair = next(iter(DataLoader(tensors(), 7)))
    with pytest.raises(TypeError) as error:
        train_step(module, MAKE_OPTIMIZER, state, pair)
    batch = eval(
        advice(error.value), {"TensorBatch": TensorBatch}, {"images": images, "labels": labels}
    )
    reached, _ = train_step(module, MAKE_OPTIMIZER, state, batch)
    expected, _ = train_step(module, MAKE_OPTIMIZER, state, one_batch())
    for name, value in expected.parameters.items():
        assert torch.equal(reached.parameters[name], value)
