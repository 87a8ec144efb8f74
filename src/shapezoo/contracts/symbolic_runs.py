"""How contracts behave while a model is run on symbols of sizes, to prove its contract."""

import contextlib
import contextvars
from collections.abc import Iterator

import torch

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
