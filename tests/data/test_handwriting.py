from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFont
from sklearn.datasets import load_digits

from shapezoo.data import ImageError, digits, read_digit


def by_hand(image: np.ndarray) -> np.ndarray:
    """Bilinear enlargement from 8 to 28 pixels, pixel centres on pixel centres."""
    centres = (np.arange(28) + 0.5) * 8 / 28 - 0.5
    rows = np.stack([np.interp(centres, np.arange(8), row) for row in image])
    return np.stack([np.interp(centres, np.arange(8), column) for column in rows.T]).T


def test_the_digits_are_scikit_learns_enlarged() -> None:
    ours, theirs = digits(split_by="writer"), load_digits()
    labels = torch.cat([ours.train.labels, ours.test.labels])
    images = torch.cat([ours.train.images, ours.test.images])
    assert torch.equal(labels, torch.from_numpy(theirs.target))
    for index in range(0, 1797, 100):
        expected = by_hand(theirs.images[index]) / 16 * 255
        assert np.abs(images[index, 0].numpy() - expected).max() <= 0.51


@pytest.mark.parametrize("split_by", ["example", "writer"])
def test_a_fifth_is_set_aside_and_nothing_is_lost(split_by: str) -> None:
    parts = digits(split_by=split_by)  # type: ignore[arg-type]  # one of the two
    assert (len(parts.train), len(parts.test)) == (1438, 359)
    assert parts.train.images.shape[1:] == (1, 28, 28)
    assert parts.train.images.max() == 255
    together = torch.cat([parts.train.images, parts.test.images]).flatten(1).float().sum(1)
    every = torch.cat(
        [digits(split_by="writer").train.images, digits(split_by="writer").test.images]
    )
    assert torch.equal(together.sort().values, every.flatten(1).float().sum(1).sort().values)


def test_the_seed_draws_the_test_set() -> None:
    assert torch.equal(digits(seed=1).test.labels, digits(seed=1).test.labels)
    assert not torch.equal(digits(seed=1).test.labels, digits(seed=2).test.labels)
    assert torch.equal(
        digits(split_by="writer", seed=1).test.labels, digits(split_by="writer", seed=2).test.labels
    )


def drawing(path: Path, *, ink: int, paper: int, offset: tuple[int, int] = (40, 30)) -> Path:
    picture = Image.new("L", (160, 200), paper)
    pen = ImageDraw.Draw(picture)
    pen.text(offset, "3", fill=ink, font=ImageFont.load_default(110))
    picture.save(path)
    return path


def test_ink_may_be_dark_or_light_and_anywhere(tmp_path: Path) -> None:
    dark = read_digit(drawing(tmp_path / "dark.png", ink=0, paper=255))
    light = read_digit(drawing(tmp_path / "light.png", ink=255, paper=0))
    moved = read_digit(drawing(tmp_path / "moved.png", ink=0, paper=255, offset=(60, 50)))
    assert dark.shape == (1, 1, 28, 28)
    assert dark.min() >= 0
    assert 0.5 < dark.max() <= 1
    torch.testing.assert_close(dark, light, atol=0.02, rtol=0)
    torch.testing.assert_close(dark, moved)


def test_the_digit_fills_the_height_and_stands_in_the_middle(tmp_path: Path) -> None:
    image = read_digit(drawing(tmp_path / "digit.png", ink=0, paper=255))[0, 0]
    rows, columns = image.amax(1), image.amax(0)
    assert rows[0] > 0.2
    assert rows[-1] > 0.2
    left, right = (columns > 0.2).nonzero()[[0, -1], 0].tolist()
    assert abs(left - (27 - right)) <= 4


def test_colour_and_transparency_are_understood(tmp_path: Path) -> None:
    plain = read_digit(drawing(tmp_path / "plain.png", ink=0, paper=255))
    ink = 255 - np.array(Image.open(tmp_path / "plain.png"))
    clear = np.zeros((*ink.shape, 4), dtype=np.uint8)
    clear[..., 3] = ink
    Image.fromarray(clear).save(tmp_path / "clear.png")
    torch.testing.assert_close(read_digit(tmp_path / "clear.png"), plain, atol=0.01, rtol=0)


def test_pictures_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no picture at"):
        read_digit(tmp_path / "nowhere.png")
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"text\.png' cannot be read as a picture"):
        read_digit(tmp_path / "text.png")
    whole = drawing(tmp_path / "whole.png", ink=0, paper=255).read_bytes()
    (tmp_path / "half.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match="cannot be read as a picture"):
        read_digit(tmp_path / "half.png")
    with pytest.raises(ImageError, match="cannot be read as a picture"):
        read_digit("nul\0.png")
    drawing(tmp_path / "blank.png", ink=255, paper=255)
    with pytest.raises(ImageError, match=r"blank\.png': it shows no digit"):
        read_digit(tmp_path / "blank.png")


def test_a_rotation_in_the_files_own_words_is_followed(tmp_path: Path) -> None:
    upright = read_digit(drawing(tmp_path / "upright.png", ink=0, paper=255))
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: to be shown turned clockwise
    turned = Image.open(tmp_path / "upright.png").transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.png", exif=exif)
    torch.testing.assert_close(read_digit(tmp_path / "turned.png"), upright)


@pytest.mark.parametrize("size", [(2, 90_000), (6_000, 40), (1, 2)])
def test_any_proportions_are_read_in_little_memory(size: tuple[int, int], tmp_path: Path) -> None:
    picture = Image.new("L", size, 255)
    picture.paste(0, (0, 0, size[0], size[1] // 2))
    picture.save(tmp_path / "odd.png")
    assert read_digit(tmp_path / "odd.png").shape == (1, 1, 28, 28)


def test_an_unknown_split_is_refused() -> None:
    with pytest.raises(ValueError, match="split_by must be 'example' or 'writer', got 'year'"):
        digits(split_by="year")  # type: ignore[arg-type]  # the fault under test
