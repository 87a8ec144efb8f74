"""Convert pictures of any mode of Pillow to 8 bits on a uniform background.

Pillow's own conversion clips 16 bits and floats to 8 bits, so that nearly everything becomes white
or black, and it does not convert grey that is premultiplied with alpha.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST = 65535
"""The value of white in 16 bits."""

_ORIENTATION = 0x0112
"""The EXIF tag of how to turn a picture."""

_FIX = "scale its values to 0 to 255, and convert it to 8 bits (mode 'L')"

_INTERMEDIATE = {
    "La": "LA",  # the only conversion of premultiplied grey
    "LAB": "RGB",  # it has no alpha, but a conversion to RGBA uses its unused fourth byte as alpha
}
"""Modes that are converted to another one first."""


def as_bytes(picture: "Image") -> "Image":
    """Return a picture with at most 8 bits per channel, unchanged if it has no more.

    Grey pictures of 16 bits are scaled. Pillow also uses its 32-bit mode ``"I"`` for those, in all
    its readers of PNG and PGM files, so its values are taken as 16 bits too. White is 1 in pictures
    of floats from 0 to 1, 255 if some are larger, 65,535 if some are larger than that.

    Raises:
        ValueError: A value is negative or above 65,535, or NaN.
    """
    from PIL import Image  # its import takes time that only readers of pictures should spend

    if picture.mode not in ("I", "F") and not picture.mode.startswith("I;16"):
        return picture
    values = np.asarray(picture).astype(np.float64)
    least, most = (values.min(), values.max()) if values.size else (0.0, 0.0)
    if not (least >= 0 and most <= _MOST):  # also if one is NaN
        what = "floats" if picture.mode == "F" else f"mode {picture.mode!r}"
        raise ValueError(
            f"{what} must have values from 0 to {_MOST}, got {least:g} to {most:g}; {_FIX}"
        )
    # Such values are more likely 8 bits than a black picture.
    if picture.mode == "I" and 0 < most <= 255:
        raise ValueError(
            f"mode 'I' is read as 16 bits, in which values of at most {most:g} are black; convert "
            "it to 8 bits (mode 'L') if they are from 0 to 255"
        )
    white = next(white for white in (1, 255, _MOST) if most <= white)
    if picture.mode != "F":
        white = _MOST
    result = Image.fromarray(np.floor(values * 255 / white + 0.5).astype(np.uint8))
    if turned := picture.getexif().get(_ORIENTATION):
        result.getexif()[_ORIENTATION] = turned
    return result


def on_background(
    picture: "Image", mode: Literal["L", "RGB"], colour: Literal["black", "white"] = "white"
) -> "Image":
    """Return a picture with 8 bits per channel, in grey or colour, on a background.

    Args:
        picture: A picture of any mode.
        mode: ``"L"`` for grey, ``"RGB"`` for colour.
        colour: The colour of its transparent parts.

    Raises:
        ValueError: The mode of the picture cannot be converted.
    """
    from PIL import Image

    coloured = with_alpha(picture)
    background = Image.new("RGBA", coloured.size, colour)
    return Image.alpha_composite(background, coloured).convert(mode)


def with_alpha(picture: "Image") -> "Image":
    """Return a picture of any mode in Pillow's mode ``"RGBA"``.

    Raises:
        ValueError: The mode of the picture cannot be converted.
    """
    picture = as_bytes(picture)
    if picture.mode in _INTERMEDIATE:
        picture = picture.convert(_INTERMEDIATE[picture.mode])
    return picture.convert("RGBA")


def is_grey(picture: "Image") -> bool:
    """Whether the mode of a picture has no colours."""
    return picture.mode[0] in "1LI" and picture.mode != "LAB"
