"""Writing the metrics of a training for TensorBoard."""

import os
from functools import partial

from shapezoo.train.loop.training_records import EpochDone, Event, StepDone


class TensorBoard:
    """An observer of `fit` that writes the metrics of each step and epoch for TensorBoard.

    It writes ``loss/step`` at each step, and ``loss/train``, ``loss/test`` and ``accuracy/test``
    after each epoch; the x axis is the number of steps taken. If a training is resumed with the
    same folder, its values replace those of the same and later steps.

    ``tensorboard --logdir FOLDER`` shows them.

    Args:
        folder: The folder for the event files; it is created if it does not exist.

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

    def __exit__(self, *exception: object) -> None:
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
        if self._writer is None:  # opened here, as the first event has the step to purge from
            self._writer = self._open(purge_step=self._step)
        self._writer.add_scalar(tag, value, self._step)


def require_tensorboard() -> None:
    """Raise ImportError unless TensorBoard is installed."""
    try:
        import torch.utils.tensorboard  # noqa: F401  # an extra
    except ImportError as error:
        raise ImportError(
            "this needs TensorBoard, which is not installed; "
            "use pip install 'shapezoo[tensorboard]'"
        ) from error
