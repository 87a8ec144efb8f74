"""What jaxtyping with beartype makes of a call, and what shapezoo makes of it."""

import functools
from collections.abc import Callable
from typing import Any

import pytest
from beartype import beartype
from jaxtyping import AnnotationError, TypeCheckError, jaxtyped

from shapezoo import ContractError, checked

Library = Callable[[Any], Any]

with_jaxtyping: Library = jaxtyped(typechecker=beartype)

both_libraries = pytest.mark.parametrize(
    "library",
    [pytest.param(with_jaxtyping, id="jaxtyping"), pytest.param(checked, id="shapezoo")],
)


def outcome(library: Library, function: Any, arguments: tuple[Any, ...]) -> str:
    """The outcome of a call: accepted, refused, cannot be computed, or not even defined."""
    try:
        decorated = _decorated(library, function)
    except ContractError:
        return "definition is refused"
    try:
        decorated(*arguments)
    except TypeCheckError:
        return "refused"
    except (AnnotationError, ContractError):
        return "cannot be computed"
    return "accepted"


@functools.cache
def _decorated(library: Library, function: Any) -> Any:
    return library(function)
