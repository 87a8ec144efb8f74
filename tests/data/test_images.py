from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shapezoo import ShapeError
from shapezoo.data import ImageDataset, ImageError, read_picture
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


def test_a_picture_of_the_right_size_is_read_as_it_is(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(256, size=(20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "colour.png")
    image = read_picture(tmp_path / "colour.png", height=20, width=30, channels=3)
    assert image.is_contiguous()
    assert torch.equal(image[0], torch.from_numpy(pixels).movedim(-1, 0) / 255)
    grey = read_picture(tmp_path / "colour.png", height=20, width=30, channels=1)
    luminance = (image * torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)).sum(1, keepdim=True)
    torch.testing.assert_close(grey, luminance, atol=1 / 255, rtol=0)


@pytest.mark.parametrize("size", [(300, 100), (100, 300), (3_000, 1_000), (40, 50)])
def test_the_middle_of_a_picture_is_scaled(size: tuple[int, int], tmp_path: Path) -> None:
    width, height = size
    picture = Image.new("RGB", size, "blue")
    square = min(size)
    left, top = (width - square) // 2, (height - square) // 2
    picture.paste("red", (left, top, left + square, top + square))
    picture.save(tmp_path / "picture.png")
    image = read_picture(tmp_path / "picture.png", height=16, width=16, channels=3)
    assert image.shape == (1, 3, 16, 16)
    red = torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1)
    torch.testing.assert_close(image[0, :, 2:-2, 2:-2], red.expand(3, 12, 12), atol=0.02, rtol=0)


@pytest.mark.parametrize("size", [(2, 90_000), (6_000, 40), (1, 2)])
def test_any_proportions_become_the_size_that_is_asked_for(
    size: tuple[int, int], tmp_path: Path
) -> None:
    Image.new("L", size, 51).save(tmp_path / "odd.png")
    image = read_picture(tmp_path / "odd.png", height=9, width=7, channels=1)
    torch.testing.assert_close(image, torch.full((1, 1, 9, 7), 0.2))


def test_transparent_parts_are_white(tmp_path: Path) -> None:
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    for channels in (1, 3):
        image = read_picture(tmp_path / "clear.png", height=2, width=2, channels=channels)
        assert torch.equal(image, torch.ones(1, channels, 2, 2))


def test_pictures_and_sizes_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no picture at"):
        read_picture(tmp_path / "nowhere.png", height=2, width=2, channels=3)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.png' cannot be read as a picture"):
        read_picture(tmp_path / "text.png", height=2, width=2, channels=3)
    for height, width, channels in ((0, 2, 3), (2, -1, 3), (2, 2, 2)):
        with pytest.raises(ValueError, match=f"got {channels}, {height} and {width}"):
            read_picture(tmp_path / "text.png", height=height, width=width, channels=channels)
