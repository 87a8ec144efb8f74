import contextlib
import math
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from shapezoo.train import EpochDone, Metrics, StepDone, TensorBoard

Curves = dict[str, list[tuple[int, float]]]


def written(folder: Path) -> Curves:
    """Return what TensorBoard shows: for each tag, the steps and values."""
    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(scalar.step, scalar.value) for scalar in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def train(folder: Path, epochs: range, loss: float = 1.0, accuracy: float | None = None) -> None:
    """Report epochs of two steps; the loss of the test is twice that of the training."""
    with TensorBoard(folder) as observer:
        for epoch in epochs:
            observer(StepDone(epoch, 1, 2, loss))
            observer(StepDone(epoch, 2, 2, loss / 2))
            observer(EpochDone(epoch, loss, Metrics(2 * loss, accuracy, examples=4)))


def test_the_figures_of_steps_and_epochs_are_written(tmp_path: Path) -> None:
    train(tmp_path / "new" / "folder", range(1, 3), accuracy=0.75)
    assert written(tmp_path / "new" / "folder") == {
        "loss/step": [(1, 1.0), (2, 0.5), (3, 1.0), (4, 0.5)],
        "loss/train": [(2, 1.0), (4, 1.0)],
        "loss/test": [(2, 2.0), (4, 2.0)],
        "accuracy/test": [(2, 0.75), (4, 0.75)],
    }


def test_a_regression_has_no_accuracy(tmp_path: Path) -> None:
    train(tmp_path, range(1, 2))
    assert set(written(tmp_path)) == {"loss/step", "loss/train", "loss/test"}


def test_a_resumed_training_goes_on_where_it_stood(tmp_path: Path) -> None:
    train(tmp_path, range(1, 4))
    train(tmp_path, range(2, 5), loss=4.0)  # the last checkpoint was that of epoch 1
    assert written(tmp_path)["loss/train"] == [(2, 1.0), (4, 4.0), (6, 4.0), (8, 4.0)]
    assert [step for step, _ in written(tmp_path)["loss/step"]] == list(range(1, 9))


def test_a_training_that_does_not_begin_changes_nothing(tmp_path: Path) -> None:
    train(tmp_path, range(1, 3))
    before = written(tmp_path)
    train(tmp_path, range(3, 3))
    assert written(tmp_path) == before


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_training_that_diverges_is_written(loss: float, tmp_path: Path) -> None:
    train(tmp_path, range(1, 2), loss=loss)
    [(step, value)] = written(tmp_path)["loss/train"]
    assert (step, str(value)) == (2, str(loss))  # nan is not equal to itself


def test_what_was_written_stays_when_a_training_fails(tmp_path: Path) -> None:
    with contextlib.suppress(KeyboardInterrupt), TensorBoard(tmp_path) as observer:
        observer(StepDone(1, 1, 2, 0.5))
        raise KeyboardInterrupt
    assert written(tmp_path) == {"loss/step": [(1, 0.5)]}


def test_without_tensorboard_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(ImportError, match=r"use pip install 'shapezoo\[tensorboard\]'"):
        TensorBoard(tmp_path)
