"""Showing how training gets on in TensorBoard."""

import os
from functools import partial
from types import TracebackType

from shapezoo.train.loop.loop import EpochDone, Event, StepDone


class TensorBoard:
    """An observer of `fit` that writes the figures of each step and epoch for TensorBoard.

    Over the number of steps taken, it writes ``loss/step`` at each step, and ``loss/train``,
    ``loss/test`` and ``accuracy/test`` after each epoch. A training that is resumed in the same
    folder goes on from its first step; what had been written from there on is dropped.

    ``tensorboard --logdir FOLDER`` shows them.

    Args:
        folder: Where to write the event files; it is made where it is missing.

    Raises:
        ImportError: TensorBoard is not installed.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        require_tensorboard()
        from torch.utils.tensorboard import SummaryWriter

        self._open = partial(SummaryWriter, os.fspath(folder))
        self._writer: SummaryWriter | None = None
        self._step = 0

    def __enter__(self) -> "TensorBoard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._writer:
            self._writer.close()

    def __call__(self, event: Event) -> None:
        """Write an event."""
        match event:
            case StepDone():
                self._step = (event.epoch - 1) * event.steps + event.step
                self._write("loss/step", event.loss)
            case EpochDone():
                self._write("loss/train", event.loss)
                self._write("loss/test", event.test.loss)
                if event.test.accuracy is not None:
                    self._write("accuracy/test", event.test.accuracy)

    def _write(self, tag: str, value: float) -> None:
        if self._writer is None:  # only the first event tells where a training is resumed
            self._writer = self._open(purge_step=self._step)
        self._writer.add_scalar(tag, value, self._step)


def require_tensorboard() -> None:
    """Refuse to go on without TensorBoard.

    Raises:
        ImportError: It is not installed.
    """
    try:
        import torch.utils.tensorboard  # noqa: F401  # an extra
    except ImportError as error:
        raise ImportError(
            "this needs TensorBoard, which is not installed; "
            "use pip install 'shapezoo[tensorboard]'"
        ) from error
