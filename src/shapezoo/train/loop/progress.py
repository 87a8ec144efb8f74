"""A progress bar for training."""

from typing import TYPE_CHECKING

from shapezoo.train.loop.training_records import EpochDone, Event, StepDone

if TYPE_CHECKING:
    from rich.console import Console


class Progress:
    """An observer of `fit` that shows a progress bar with the loss, and a line for each epoch.

    If the output is not a terminal, only the lines are written.

    Args:
        epochs: The number of epochs.
        console: The console to write to.
    """

    def __init__(self, epochs: int, console: "Console") -> None:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        self._epochs = epochs
        self._bar = Bar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("", total=None)

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case StepDone(epoch, step, steps, loss) if not self._bar.disable:
                self._bar.update(
                    self._task,
                    description=f"epoch {epoch}/{self._epochs}  loss {loss:.4f}",
                    completed=(epoch - 1) * steps + step,
                    total=self._epochs * steps,
                )
            case EpochDone(epoch, loss, test):
                line = f"epoch {epoch}/{self._epochs}  loss {loss:.4f}  test loss {test.loss:.4f}"
                if test.accuracy is not None:
                    line += f"  test accuracy {test.accuracy:.2%}"
                self._bar.console.print(line, highlight=False)
