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
        evaluated: What the examples that are evaluated after each epoch are called: "held-out", for
            example, if they are not the test examples.
    """

    def __init__(self, epochs: int, console: "Console", *, evaluated: str = "test") -> None:
        from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
        self._epochs = epochs
        self._evaluated = evaluated
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
                    description=f"{self._numbered(epoch)}  loss {_shown(loss)}",
                    completed=(epoch - 1) * steps + step,
                    total=self._epochs * steps,
                )
            case EpochDone(epoch, loss, test):
                line = f"{self._numbered(epoch)}  loss {_shown(loss)}"
                line += f"  {self._evaluated} loss {_shown(test.loss)}"
                if test.accuracy is not None:
                    line += f"  {self._evaluated} accuracy {test.accuracy:.2%}"
                self._bar.console.print(line, highlight=False)

    def _numbered(self, epoch: int) -> str:
        """Return the number of an epoch, as wide as that of the last one."""
        return f"epoch {epoch:{len(str(self._epochs))}}/{self._epochs}"


def _shown(loss: float) -> str:
    """Return a loss with four decimals, or with fewer digits if it is large."""
    if abs(loss) < 1000:
        return f"{loss:.4f}"
    return f"{loss:.2f}" if abs(loss) < 1e6 else f"{loss:.4g}"
