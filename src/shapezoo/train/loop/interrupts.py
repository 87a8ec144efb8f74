"""Stopping a training cleanly on Ctrl-C or SIGTERM."""

import signal
import threading
from types import FrameType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """A `stop` function for `fit` that returns True after Ctrl-C or SIGTERM.

    In its ``with`` block, the first such signal is only recorded, so that the step can be completed
    and saved. A second one acts as it would without the block. Python delivers signals to the main
    thread only; in other threads, nothing is recorded.

    Example:
        ```pycon
        >>> from shapezoo.train import Interruption
        >>> with Interruption() as stop:
        ...     stop()
        False

        ```
    """

    def __init__(self) -> None:
        self._requested = False
        self._handlers: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._handlers = {number: signal.signal(number, self._record) for number in _SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        self._restore()

    def __call__(self) -> bool:
        """Return whether a signal has arrived."""
        return self._requested

    def _record(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
