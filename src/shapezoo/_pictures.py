"""Convert pictures of any mode of Pillow to 8 bits on a white background.

Pillow's own conversion clips 16 bits to 8, so that nearly everything becomes white, and it does not
convert grey that is premultiplied with alpha. Modes whose range of values is unknown are refused.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST = 65535
"""The value of white in 16 bits."""

_FIX = "scale the picture to 0 to 255 and convert it with picture.convert('L')"

_INTERMEDIATE = {
    "La": "LA",  # the only conversion of premultiplied grey
    "LAB": "RGB",  # it has no alpha, but a conversion to RGBA uses its unused fourth byte as alpha
}
"""Modes that are converted to another one first."""


def as_bytes(picture: "Image") -> "Image":
    """Return a picture with at most 8 bits per channel, unchanged if it has no more.

    Grey pictures of 16 bits are scaled. Pillow also uses its 32-bit mode ``"I"`` for those, in all
    its readers of PNG and PGM files, so its values are taken as 16 bits too.

    Raises:
        ValueError: The picture has floats, whose range is unknown, or more than 16 bits.
    """
    from PIL import Image  # its import takes time that only readers of pictures should spend

    if picture.mode == "F":
        raise ValueError(f"mode 'F' (32-bit floats) does not say which value is white; {_FIX}")
    if picture.mode != "I" and not picture.mode.startswith("I;16"):
        return picture
    values = np.asarray(picture).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > _MOST):
        raise ValueError(
            f"mode {picture.mode!r} must have values from 0 to {_MOST}, got {values.min()} to "
            f"{values.max()}; {_FIX}"
        )
    # Such values are more likely 8 bits than a black picture.
    if picture.mode == "I" and 0 < values.max(initial=0) <= 255:
        raise ValueError(
            f"mode 'I' is read as 16 bits, in which values of at most {values.max()} are black; "
            "for values from 0 to 255 pass picture.convert('L')"
        )
    scaled = (values * 255 + _MOST // 2) // _MOST
    return Image.fromarray(scaled.astype(np.uint8))


def on_white(picture: "Image", mode: Literal["L", "RGB"]) -> "Image":
    """Return a picture with 8 bits per channel, in grey or colour, on a white background.

    Args:
        picture: A picture of any mode.
        mode: ``"L"`` for grey, ``"RGB"`` for colour.

    Raises:
        ValueError: There is no conversion from the mode of the picture.
    """
    from PIL import Image

    picture = as_bytes(picture)
    if picture.mode in _INTERMEDIATE:
        picture = picture.convert(_INTERMEDIATE[picture.mode])
    coloured = picture.convert("RGBA")
    white = Image.new("RGBA", coloured.size, "white")
    return Image.alpha_composite(white, coloured).convert(mode)


def is_grey(picture: "Image") -> bool:
    """Whether the mode of a picture has no colours."""
    return picture.mode[0] in "1LI" and picture.mode != "LAB"
