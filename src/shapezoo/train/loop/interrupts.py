"""Ending a training in good order when the user or the system asks for it."""

import signal
import threading
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption:
    """Whether somebody wants to stop: a `stop` for `fit` that listens to Ctrl-C and to SIGTERM.

    In its ``with`` block the first such signal is only remembered. A second one acts as it would
    have without the block. Outside the main thread there are no signals, and nothing stops.

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
            self._handlers = {number: signal.signal(number, self._remember) for number in _SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._restore()

    def __call__(self) -> bool:
        """Whether to stop."""
        return self._requested

    def _remember(self, number: int, frame: FrameType | None) -> None:
        self._requested = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
