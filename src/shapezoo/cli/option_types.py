"""Types of options that several commands have."""

from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter, Token


def _int(type_: object, tokens: Sequence[Token]) -> int:
    """Parse an integer strictly: the default of cyclopts would round 2.7."""
    return int(tokens[0].value)


Int = Annotated[int, Parameter(converter=_int)]
Strings = Annotated[tuple[str, ...], Parameter(negative="", consume_multiple=True)]
