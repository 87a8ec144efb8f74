"""Compatibility with `torch.jit`, which records what a call does, or compiles its source."""

import contextlib
from collections.abc import Iterator
from typing import NoReturn

import torch

from shapezoo.contracts.language.errors import ContractError

# private: PyTorch has no public way to pause a trace; torch's type stubs lack this function
_set_tracing_state = getattr(torch._C, "_set_tracing_state")  # noqa: B009
_NOTHING = contextlib.nullcontext()


def paused() -> contextlib.AbstractContextManager[None]:
    """Keep `torch.jit.trace` from recording the sizes that are read inside a ``with`` block."""
    return _paused() if torch._C._get_tracing_state() else _NOTHING


@contextlib.contextmanager
def _paused() -> Iterator[None]:
    state = torch._C._get_tracing_state()
    _set_tracing_state(None)
    try:
        yield
    finally:
        _set_tracing_state(state)


def refuse_script(*_: object) -> NoReturn:
    """Reject `torch.jit.script`, and say what to use instead.

    Raises:
        ContractError: Always.
    """
    raise ContractError(
        "torch.jit.script cannot read shape annotations, and PyTorch has deprecated it; use "
        "torch.compile, torch.export.export, or torch.jit.trace"
    )
