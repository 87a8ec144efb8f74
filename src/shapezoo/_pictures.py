"""Pictures of Pillow as 8-bit ones on white, whatever their mode.

Pillow's own conversion clips 16 bits to 8, so that nearly everything becomes white, and has no
conversion for premultiplied grey. Modes whose range of values is not known are refused.
"""

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

_MOST = 65535
"""The value of white in 16 bits."""

_BETWEEN = {
    "La": "LA",  # grey multiplied by its alpha converts to nothing else
    "LAB": "RGB",  # has no alpha, but a conversion to RGBA takes the unused fourth byte for it
}
"""Modes that are converted to another one first."""


def as_bytes(picture: "Image") -> "Image":
    """Return a picture with at most 8 bits per channel, unchanged if it has no more.

    Grey pictures of 16 bits are scaled. Pillow also uses its 32-bit mode ``"I"`` for those, in all
    its readers of PNG and PGM files, so its values are taken as 16 bits too.

    Raises:
        ValueError: The picture has floats, whose range is not known, or more than 16 bits.
    """
    from PIL import Image  # only who reads pictures waits for it

    if picture.mode == "F":
        raise ValueError(
            "mode 'F' (32-bit floats) does not say which value is white; scale the picture to 0 "
            "to 255 and convert it with picture.convert('L')"
        )
    if picture.mode != "I" and not picture.mode.startswith("I;16"):
        return picture
    values = np.asarray(picture).astype(np.int64)
    if values.size and (values.min() < 0 or values.max() > _MOST):
        raise ValueError(
            f"mode {picture.mode!r} must have values from 0 to {_MOST}, got {values.min()} to "
            f"{values.max()}; scale the picture to 0 to 255 and convert it with "
            f"picture.convert('L')"
        )
    if picture.mode == "I" and 0 < values.max(initial=0) <= 255:  # 8 bits, more likely than black
        raise ValueError(
            f"mode 'I' is read as 16 bits, in which values of at most {values.max()} are black; "
            "for values from 0 to 255 pass picture.convert('L')"
        )
    scaled = (values * 255 + _MOST // 2) // _MOST
    return Image.fromarray(scaled.astype(np.uint8))


def on_white(picture: "Image", mode: Literal["L", "RGB"]) -> "Image":
    """Return a picture as bytes of grey or colour, with what is transparent on white.

    Args:
        picture: A picture of any mode.
        mode: ``"L"`` for grey, ``"RGB"`` for colour.

    Raises:
        ValueError: There is no conversion from the mode of the picture.
    """
    from PIL import Image

    picture = as_bytes(picture)
    if picture.mode in _BETWEEN:
        picture = picture.convert(_BETWEEN[picture.mode])
    coloured = picture.convert("RGBA")
    white = Image.new("RGBA", coloured.size, "white")
    return Image.alpha_composite(white, coloured).convert(mode)


def is_grey(picture: "Image") -> bool:
    """Whether a picture has no colours, by its mode."""
    return picture.mode[0] in "1LI" and picture.mode != "LAB"
