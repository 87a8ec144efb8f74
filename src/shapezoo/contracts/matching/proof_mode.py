"""Whether contracts are being proved for all sizes, by checks on symbolic sizes."""

import contextlib
import contextvars
from collections.abc import Iterator

import torch

_proving = contextvars.ContextVar("_proving", default=False)


def is_proving() -> bool:
    """Whether a proof is running; a check that cannot be decided fails then."""
    return _proving.get()


@contextlib.contextmanager
def while_proving() -> Iterator[None]:
    """Run a ``with`` block as part of a proof, on symbolic sizes."""
    token = _proving.set(True)
    try:
        yield
    finally:
        _proving.reset(token)


def hint_of(size: torch.SymInt) -> int:
    """Return the concrete value behind a symbol without adding a guard, unlike ``int(size)``."""
    # private: torch has had several public names for it
    hint = size.node.hint
    assert isinstance(hint, int)  # an unbacked symbol has none
    return hint
