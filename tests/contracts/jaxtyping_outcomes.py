"""The outcome of a call with jaxtyping and beartype, and its outcome with shapezoo."""

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
    """The outcome of a call: accepted, rejected, not computable, or an error at definition."""
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
