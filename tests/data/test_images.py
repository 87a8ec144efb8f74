import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shapezoo import ShapeError
from shapezoo.data import ImageDataset
from shapezoo.data.memory import split


def numbered(count: int) -> ImageDataset:
    """A dataset whose pixels tell the index of their example."""
    images = torch.arange(count, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 2, 2)
    return ImageDataset(images, torch.arange(count), tuple(map(str, range(count))))


@given(count=st.integers(0, 40), batch_size=st.integers(1, 50), shuffle=st.booleans())
def test_an_epoch_sees_every_example_once(count: int, batch_size: int, shuffle: bool) -> None:
    generator = torch.Generator().manual_seed(0) if shuffle else None
    batches = list(numbered(count).batches(batch_size, generator))
    labels = [label for batch in batches for label in batch.labels.tolist()]
    assert sorted(labels) == list(range(count))
    assert len(batches) == -(-count // batch_size)
    for batch in batches:
        assert torch.equal((batch.images[:, 0, 0, 0] * 255).round().long(), batch.labels)
        assert batch.inputs == (batch.images,)
        assert batch.targets is batch.labels


def test_ten_thousand_samples_in_batches_of_a_thousand_are_ten_iterations() -> None:
    dataset = ImageDataset(
        torch.zeros(10_000, 1, 1, 1, dtype=torch.uint8), torch.zeros(10_000).long(), ("0",)
    )
    assert len(list(dataset.batches(1_000))) == 10


def test_the_generator_decides_the_order() -> None:
    def order(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [int(label) for b in numbered(20).batches(7, generator) for label in b.labels]

    assert order(1) == order(1)
    assert order(1) != order(2)


def test_a_batch_size_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        numbered(3).batches(0)


def test_wrong_images_and_labels_are_refused_at_once() -> None:
    images = torch.zeros(4, 1, 2, 2)
    with pytest.raises(ShapeError, match="argument 'images'"):
        ImageDataset(images, torch.zeros(4).long(), ("0",))
    with pytest.raises(ShapeError, match="expected batch = 4, got 9"):
        ImageDataset(images.byte(), torch.zeros(9).long(), ("0",))


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_without_a_class_are_refused(label: int) -> None:
    with pytest.raises(ValueError, match=rf"labels\[1\] must be from 0 to 1, got {label}"):
        ImageDataset(torch.zeros(2, 1, 2, 2).byte(), torch.tensor([0, label]), ("a", "b"))


@given(count=st.integers(1, 30), share=st.floats(0, 1), shuffle=st.booleans())
def test_a_split_parts_the_examples(count: int, share: float, shuffle: bool) -> None:
    test_size = int(share * count)
    generator = torch.Generator().manual_seed(0) if shuffle else None
    train, test = split(numbered(count), test_size=test_size, generator=generator)
    assert len(test) == test_size
    assert sorted([*train.labels.tolist(), *test.labels.tolist()]) == list(range(count))
    if not shuffle:
        assert test.labels.tolist() == list(range(count - test_size, count))
