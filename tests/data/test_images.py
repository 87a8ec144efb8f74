import contextlib
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.damage import mutated

from shapezoo import ShapeError, model_info
from shapezoo._pictures import on_background
from shapezoo.data import ImageDataset, ImageError, read_digit, read_picture
from shapezoo.data.images import read_grey
from shapezoo.data.memory import split
from shapezoo.weights import preprocess


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


# Every mode of Pillow, filled with 128 of 255, as the formats store it.

HALF = 128
MODES: dict[str, Any] = {
    "1": 255,
    "L": HALF,
    "P": HALF,  # grey is the default palette
    "RGB": (HALF,) * 3,
    "RGBA": (HALF, HALF, HALF, 255),
    "RGBX": (HALF, HALF, HALF, 0),
    "RGBa": (HALF, HALF, HALF, 255),
    "LA": (HALF, 255),
    "La": (HALF, 255),
    "PA": (HALF, 255),
    "CMYK": (0, 0, 0, 255 - HALF),
    "YCbCr": (HALF, 128, 128),
    "HSV": (0, 0, HALF),
    "LAB": (137, 128, 128),
    "I": HALF * 257,
    "I;16": HALF * 257,
    "I;16L": HALF * 257,
    "I;16B": HALF * 257,
    "I;16N": HALF * 257,
    "F": HALF / 255,
}


def test_no_mode_is_forgotten() -> None:
    assert {*Image.MODES} | {"I;16L", "I;16N"} == MODES.keys()


def in_mode(mode: str, value: Any) -> Image.Image:
    picture = Image.new(mode, (8, 6), value)
    if "P" in mode and mode != "CMYK":
        picture.putpalette([level for level in range(256) for _ in range(3)])
    return picture


@pytest.mark.parametrize("mode", sorted(MODES))
def test_a_grey_of_any_mode_stays_this_grey(mode: str) -> None:
    expected = 255 if mode == "1" else HALF
    picture = in_mode(mode, MODES[mode])
    for wanted in ("L", "RGB"):
        pixels = np.array(on_background(picture, wanted))
        assert pixels.shape == ((6, 8) if wanted == "L" else (6, 8, 3))
        tolerance = 1 if mode == "LAB" else 0  # whose steps are others
        assert np.abs(pixels.astype(int) - expected).max() <= tolerance
    weights = model_info("googlenet").weights[0]
    for channels in (1, 3):
        images = preprocess(picture, weights, channels=channels)
        assert (images * 0.5 + 0.5 - expected / 255).abs().max() <= 1.01 * tolerance / 255 + 1e-6


def test_modes_and_values_without_a_known_range_are_refused() -> None:
    for value in (-0.5, 65_536.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="floats must have values from 0 to 65535, got"):
            on_background(in_mode("F", value), "L")
    with pytest.raises(ValueError, match=r"mode 'I' is read as 16 .* at most 200 are black"):
        on_background(in_mode("I", 200), "L")
    for value in (-1, 65_536):
        with pytest.raises(ValueError, match=f"mode 'I' must .* 0 to 65535, got {value} to"):
            on_background(in_mode("I", value), "L")


FORMATS = [
    ("L", "png"), ("LA", "png"), ("P", "png"), ("RGB", "png"), ("RGBA", "png"), ("I;16", "png"),
    ("1", "png"), ("L", "jpg"), ("RGB", "jpg"), ("CMYK", "jpg"), ("YCbCr", "jpg"), ("P", "gif"),
    ("I;16", "tif"), ("I;16B", "tif"), ("I", "tif"), ("F", "tif"), ("CMYK", "tif"), ("LAB", "tif"),
    ("L", "bmp"), ("I;16", "pgm"), ("RGB", "webp"),
]  # fmt: skip


@pytest.mark.parametrize(("mode", "extension"), FORMATS)
def test_a_grey_of_any_mode_is_read_from_a_file(mode: str, extension: str, tmp_path: Path) -> None:
    file = tmp_path / f"grey.{extension}"
    in_mode(mode, MODES[mode]).resize((80, 60), Image.Resampling.NEAREST).save(file)
    expected = 255 if mode == "1" else HALF
    for channels in (1, 3):
        image = read_picture(file, height=5, width=5, channels=channels)
        assert (image * 255 - expected).abs().max() <= 1.01
    assert (read_grey(file).int() - expected).abs().max() <= 1


def test_16_bits_keep_all_their_greys(tmp_path: Path) -> None:
    """The middle of the range was read as 0.997 once: Pillow clips."""
    values = np.arange(65_536, dtype=np.uint16).reshape(256, 256)
    Image.fromarray(values).save(tmp_path / "ramp.png")
    image = read_picture(tmp_path / "ramp.png", height=256, width=256, channels=1)
    true = torch.from_numpy(values.astype(np.float32) / 65_535)
    assert (image[0, 0] - true).abs().max() <= 0.5 / 255 + 1e-6


def test_a_digit_of_16_bits_is_read_as_of_8(tmp_path: Path) -> None:
    digit = np.full((100, 80), 40, dtype=np.uint8)
    digit[20:80, 35:45] = 200
    Image.fromarray(digit).save(tmp_path / "8.png")
    Image.fromarray(digit.astype(np.uint16) * 257).save(tmp_path / "16.png")
    assert torch.equal(read_digit(tmp_path / "16.png"), read_digit(tmp_path / "8.png"))


SEVEN = np.zeros((200, 200), dtype=np.uint8)
"""A seven in white on black."""
SEVEN[30:50, 60:140] = 255
SEVEN[50:170, 110:130] = 255


@pytest.fixture
def seven(tmp_path: Path) -> Any:
    """What is read from a seven in black on white."""
    Image.fromarray(255 - SEVEN).save(tmp_path / "seven.png")
    return read_digit(tmp_path / "seven.png")


@pytest.mark.parametrize("ink", [0, 100, 240, 255])
@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_ink_of_any_colour_on_a_transparent_ground_is_read(
    mode: str, ink: int, seven: Any, tmp_path: Path
) -> None:
    """White ink was "no digit" once, because transparent parts became white too."""
    alpha = Image.fromarray(SEVEN)
    channels = [Image.new("L", alpha.size, ink) for _ in mode[:-1]]
    Image.merge(mode, [*channels, alpha]).save(tmp_path / "ink.png")
    assert torch.equal(read_digit(tmp_path / "ink.png"), seven)


@pytest.mark.parametrize("extension", ["png", "gif"])
def test_white_ink_in_a_palette_with_a_transparent_colour_is_read(
    extension: str, seven: Any, tmp_path: Path
) -> None:
    picture = Image.fromarray(SEVEN // 255)
    picture.putpalette([255, 255, 255] * 2)
    picture.save(tmp_path / f"ink.{extension}", transparency=0)
    assert torch.equal(read_digit(tmp_path / f"ink.{extension}"), seven)


def test_a_picture_that_is_white_everywhere_is_no_digit(tmp_path: Path) -> None:
    for name, value in (("clear", 0), ("opaque", 255)):
        Image.new("LA", (9, 9), (255, value)).save(tmp_path / f"{name}.png")
        with pytest.raises(ImageError, match=rf"{name}\.png': it shows no digit"):
            read_digit(tmp_path / f"{name}.png")


@pytest.mark.parametrize("white", [1.0, 255.0, 65_535.0])
def test_a_digit_of_floats_is_read_by_its_range_of_values(
    white: float, seven: Any, tmp_path: Path
) -> None:
    values = (255 - SEVEN).astype(np.float32) / 255 * np.float32(white)
    Image.fromarray(values).save(tmp_path / "floats.tif")
    assert torch.equal(read_digit(tmp_path / "floats.tif"), seven)


@pytest.mark.parametrize(
    ("pixels", "extension"),
    [
        (255 - SEVEN, "png"),
        (255 - SEVEN, "jpg"),
        ((255 - SEVEN).astype(np.uint16) * 257, "png"),
        ((255 - SEVEN).astype(np.float32), "tif"),
    ],
)
def test_a_picture_that_a_camera_marks_as_turned_is_turned_back(
    pixels: Any, extension: str, seven: Any, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees clockwise
    Image.fromarray(np.rot90(pixels)).save(tmp_path / f"turned.{extension}", exif=exif)
    torch.testing.assert_close(
        read_digit(tmp_path / f"turned.{extension}"), seven, atol=0.05, rtol=0
    )


def test_thin_lines_of_a_large_scan_are_reduced_like_those_of_a_grey_picture(
    tmp_path: Path,
) -> None:
    """Pillow reduces pictures of 1 bit or with a palette by leaving out pixels."""
    lines = np.full((2048, 2048), 255, dtype=np.uint8)
    lines[::64, :] = 0
    grey = Image.fromarray(lines)
    for name, picture in (("L", grey), ("1", grey.convert("1")), ("P", grey.convert("P"))):
        picture.save(tmp_path / f"{name}.png")
    expected = read_grey(tmp_path / "L.png").int()
    assert 0 < expected.min() < 255
    for name in ("1", "P"):
        assert (read_grey(tmp_path / f"{name}.png").int() - expected).abs().max() <= 1


def test_a_cut_out_can_be_put_on_black(tmp_path: Path) -> None:
    Image.new("LA", (4, 4), (200, 0)).save(tmp_path / "clear.png")
    image = read_picture(tmp_path / "clear.png", height=2, width=2, channels=1, background="black")
    assert torch.equal(image, torch.zeros(1, 1, 2, 2))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"%PDF-1.7\n", "it is in PDF format; convert it to PNG"),
        (b'<?xml version="1.0"?>\n<svg/>', "it is in SVG format; convert it to PNG"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "it is in HEIC format; convert it to PNG"),
        (b"a seven", "it is not in a format that Pillow reads, such as PNG, JPEG"),
    ],
)
def test_a_file_that_is_no_picture_is_named_for_what_it_is(
    content: bytes, reason: str, tmp_path: Path
) -> None:
    (tmp_path / "odd.png").write_bytes(content)
    with pytest.raises(ImageError, match=rf"odd\.png' cannot be read as a picture: {reason}"):
        read_digit(tmp_path / "odd.png")


def test_a_picture_of_many_pixels_is_read_up_to_a_limit_and_without_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (10, 15)).save(tmp_path / "large.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 75)
    assert read_grey(tmp_path / "large.png").shape == (15, 10)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 74)
    with pytest.raises(ImageError, match=r"large\.png' .*: it has more than 148 pixels; reduce it"):
        read_grey(tmp_path / "large.png")


def encoded(extension: str, mode: str = "RGB") -> bytes:
    content = io.BytesIO()
    pixels = np.random.default_rng(0).integers(256, size=(9, 11, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(content, extension)
    return content.getvalue()


WHOLE = [
    *(encoded(extension) for extension in ("PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM", "TGA")),
    *(encoded("GIF", "P"), encoded("PNG", "P"), encoded("ICO"), encoded("PCX"), encoded("DDS")),
]


@settings(max_examples=400)
@given(data=st.data())
def test_damaged_pictures_raise_one_error(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Forged files make Pillow raise SyntaxError, struct.error, TypeError and more."""
    content = data.draw(st.one_of(st.binary(max_size=60), mutated(st.sampled_from(WHOLE))))
    file = tmp_path_factory.getbasetemp() / "damaged"
    file.write_bytes(content)
    with contextlib.suppress(ImageError):
        assert read_picture(file, height=3, width=3, channels=3).shape == (1, 3, 3, 3)


@pytest.mark.parametrize("error", [SyntaxError, IndexError, TypeError, MemoryError, EOFError])
def test_whatever_pillow_raises_is_an_image_error(
    error: type[Exception], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error("odd")

    (tmp_path / "odd.png").touch()
    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(ImageError, match=r"odd\.png' cannot be read as a picture: odd"):
        read_picture(tmp_path / "odd.png", height=2, width=2, channels=3)


def test_folders_and_pipes_are_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(ImageError, match=r"cannot be read as a picture: .*(not a|Is a dir)"):
            read_picture(path, height=2, width=2, channels=3)
