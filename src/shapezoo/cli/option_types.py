"""Types of options that several commands have, and the parsing of their values."""

import re
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter, Token


class OptionError(ValueError):
    """The value of an option cannot be parsed, or options do not go together."""


def _int(type_: object, tokens: Sequence[Token]) -> int:
    """Parse an integer strictly: the default of cyclopts would round 2.7."""
    try:
        return int(tokens[0].value)
    except ValueError as error:
        raise ValueError(f"must be a whole number, got {tokens[0].value!r}") from error


def _count(type_: object, tokens: Sequence[Token]) -> int:
    """Parse a large number such as 25000000, 25_000_000, 25M or 1.5M."""
    text = tokens[0].value
    match = re.fullmatch(r"([\d_]{1,30}(?:\.\d+)?)([kmg]?)", text, re.IGNORECASE)
    if not match or not match[1].strip("_"):
        raise ValueError(f"must be a number such as 25000000 or 25M, got {text!r}")
    thousands = {"": 1, "k": 1e3, "m": 1e6, "g": 1e9}[match[2].lower()]
    return round(float(match[1].replace("_", "")) * thousands)


Int = Annotated[int, Parameter(converter=_int)]
Count = Annotated[int, Parameter(converter=_count)]
Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Strings = Annotated[
    tuple[str, ...], Parameter(negative="", consume_multiple=True, show_default=False)
]


def parse_shape(option: str, text: str, *, any_size: str = "") -> tuple[int | None, ...]:
    """Parse a shape such as ``1,3,224,224``.

    Args:
        option: The name of the option, for the error message.
        text: The shape.
        any_size: What stands for any size, which becomes None; by default nothing does.

    Raises:
        OptionError: The text is not a shape.
    """
    sizes = [size.strip() for size in re.split("[,x]", text)]
    numbers = [size for size in sizes if not any_size or size != any_size]
    # more than 18 digits do not fit into 64 bits
    if not all(size.isdecimal() and len(size) <= 18 for size in numbers):
        raise OptionError(f"{option} {text}: write a shape as in {option} 1,3,224,224")
    return tuple(None if size == any_size else int(size) for size in sizes)
