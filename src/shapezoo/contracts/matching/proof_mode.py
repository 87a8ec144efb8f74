"""Whether contracts are checked on symbolic sizes, to prove them for all sizes."""

import contextlib
import contextvars
from collections.abc import Iterator

import torch

_proving = contextvars.ContextVar("_proving", default=False)


def is_proving() -> bool:
    """Whether a proof is running; then a check that cannot be decided does not pass."""
    return _proving.get()


@contextlib.contextmanager
def while_proving() -> Iterator[None]:
    """Mark a ``with`` block in which a model runs on symbolic sizes."""
    token = _proving.set(True)
    try:
        yield
    finally:
        _proving.reset(token)


def hint_of(size: torch.SymInt) -> int:
    """Return the concrete value behind a symbol without adding a guard, unlike ``int(size)``."""
    hint = size.node.hint  # private; torch has had several public names for it
    assert isinstance(hint, int)  # an unbacked symbol has none
    return hint
