"""How contracts behave while a model is run on symbols of sizes, to prove its contract."""

import contextlib
import contextvars
import functools
from collections.abc import Callable, Iterator
from typing import ParamSpec

import torch

P = ParamSpec("P")

_proving = contextvars.ContextVar("_proving", default=False)


def is_proving() -> bool:
    """Whether a model is run on symbols here: what cannot be decided does not pass then."""
    return _proving.get()


@contextlib.contextmanager
def while_proving() -> Iterator[None]:
    """Run a model on symbols inside a ``with`` block."""
    token = _proving.set(True)
    try:
        yield
    finally:
        _proving.reset(token)


def hint_of(size: torch.SymInt) -> int:
    """The number that decides for a symbol; asking for it is no guard, as ``int(size)`` is."""
    hint = size.node.hint  # private; torch has had several public names for it
    assert isinstance(hint, int)  # a size that only the data decide has none
    return hint


def of_values(function: Callable[P, None]) -> Callable[P, None]:
    """Mark a function that only refuses values: it is left out where there are none.

    Args:
        function: A function that returns nothing. What it does must not depend on shapes.
    """

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
        if not is_proving():
            function(*args, **kwargs)

    return wrapper
