"""Switch checks off, permanently (at import) or temporarily."""

import contextlib
import os
import threading
from collections.abc import Iterator

from torch.compiler import is_dynamo_compiling

CHECKS = os.environ.get("SHAPEZOO_CHECKS") or "on"
if CHECKS not in ("on", "off"):
    raise ValueError(f"environment variable SHAPEZOO_CHECKS must be on or off, got {CHECKS!r}")

off = False
"""Whether `unchecked` is active."""

_depth = 0
_lock = threading.Lock()


@contextlib.contextmanager
def unchecked() -> Iterator[None]:
    """Switch all checks off inside a ``with`` block, in every thread.

    To leave forwards unwrapped from the start, set the environment variable
    ``SHAPEZOO_CHECKS=off`` before shapezoo is imported.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import checked, unchecked
        >>> from jaxtyping import Float
        >>> @checked
        ... def double(x: Float[torch.Tensor, "batch 3"]) -> Float[torch.Tensor, "batch 3"]:
        ...     return 2 * x
        >>> with unchecked():
        ...     double(torch.ones(2, 5)).shape
        torch.Size([2, 5])

        ```
    """
    _change(1)
    try:
        yield
    finally:
        _change(-1)


def _change(step: int) -> None:
    global off, _depth
    # Dynamo cannot trace a lock, and a trace runs in one thread
    with contextlib.nullcontext() if is_dynamo_compiling() else _lock:
        _depth += step
        off = _depth > 0
