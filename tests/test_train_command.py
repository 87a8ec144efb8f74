"""What `shapezoo train` says after a training, and `shapezoo predict` about an odd example."""

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from shapezoo import recipes
from shapezoo.cli import commands
from shapezoo.data import digits
from shapezoo.recipes.advice import after_divergence, after_the_end, to_train, to_use
from shapezoo.recipes.runs import Run, RunConfig


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; returns its exit code, and what it prints and reports."""

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["shapezoo", *arguments])
        try:
            commands.main()
            code: Any = 0
        except SystemExit as stop:
            code = stop.code or 0
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return call


BRIEF = ("--epochs", "1", "--batch-size", "500")


def test_the_last_line_of_a_training_is_a_command_that_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    code, text, _ = command("train", "digits", *BRIEF, "--run", "my runs/first")
    assert code == 0
    last = text.splitlines()[-1]
    assert last == "to use it      shapezoo predict 'my runs/first' IMAGE.png"
    Image.fromarray(digits().test.images[0, 0].numpy()).save("IMAGE.png")
    code, text, error = command(*shlex.split(last)[4:])
    assert (code, error) == (0, "")
    assert len(text.splitlines()) == 3


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("names", "shapezoo predict run Papadopoulos"),
        ("text", "shapezoo predict run 'Alice was beginning to'"),
        ("weather", "from shapezoo.recipes import Run; model = Run.open('run').load_model()"),
    ],
)
def test_a_run_is_used_as_its_data_require(data: str, expected: str) -> None:
    assert to_use(Run(Path("run"), recipes.configure(data))) == expected


def test_a_run_that_has_ended_says_so_and_how_to_train_for_longer(
    tmp_path: Path, command: Any
) -> None:
    folder = str(tmp_path / "run")
    _, text, _ = command("train", "digits", *BRIEF, "--lr", "0.01", "--run", folder)
    assert "already ended" not in text
    code, again, _ = command("train", "--resume", folder)
    assert code == 0
    assert (
        "the run has already ended, after 1 of 1 epochs; to train for longer, start a new one:\n"
        "  shapezoo train lenet --epochs 2 --batch-size 500 --lr 0.01\n"
    ) in again
    assert again.splitlines()[-2:] == text.splitlines()[-2:]


def test_a_run_that_ended_early_can_be_more_patient(tmp_path: Path) -> None:
    run = Run.create(RunConfig("lenet", patience=2), tmp_path / "run")
    assert after_the_end(run).endswith(":\n  shapezoo train lenet --patience 4")


def test_a_training_that_diverged_exits_with_1_and_says_what_to_try(
    tmp_path: Path, command: Any
) -> None:
    code, text, error = command(
        "train", "digits", *BRIEF, "--lr", "1e30", "--run", str(tmp_path / "run")
    )
    assert code == 1
    assert error == (
        "shapezoo: the training diverged; try a smaller learning rate, such as 0.002:\n"
        "  shapezoo train lenet --epochs 1 --batch-size 500\n"
    )
    assert "shapezoo predict" not in text
    Image.fromarray(digits().test.images[0, 0].numpy()).save(tmp_path / "digit.png")
    code, text, error = command("predict", str(tmp_path / "run"), str(tmp_path / "digit.png"))
    assert (code, text) == (1, "")
    assert "the training diverged; try a smaller learning rate" in error


def test_the_learning_rate_to_try_is_always_smaller() -> None:
    for lr, expected in ((100.0, ""), (0.002, " --lr 0.0002"), (1e-5, " --lr 1e-06")):
        advice = after_divergence(RunConfig("lenet", lr=lr))
        assert advice.endswith(f"\n  shapezoo train lenet{expected}")


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (RunConfig("lenet"), "lenet"),
        (RunConfig("lenet", data="mnist", root="my data"), "lenet --data mnist --root 'my data'"),
        (RunConfig("gru", epochs=1, compile=True), "gru --data digits --epochs 1 --compile"),
        (recipes.configure("text"), "character_rnn"),
        (recipes.configure("names", patience=None, lr=0.5), "name_classifier --lr 0.5"),
    ],
)
def test_a_configuration_is_shown_as_the_command_for_it(config: RunConfig, expected: str) -> None:
    assert to_train(config) == f"shapezoo train {expected}"


def test_held_out_examples_are_called_so(tmp_path: Path, command: Any) -> None:
    _, text, _ = command(
        "train", "digits", *BRIEF, "--patience", "1", "--run", str(tmp_path / "run")
    )
    assert re.search(r"epoch 1/1  loss .*  held-out loss .*  held-out accuracy ", text)
    assert "weights        those after epoch 1, which has the lowest held-out loss" in text
    assert "test accuracy" in text


def test_a_prediction_that_means_little_is_noted(tmp_path: Path, command: Any) -> None:
    run = recipes.train(recipes.configure("digits", epochs=1), run=tmp_path / "run").run
    assert run
    noise = torch.randint(256, (60, 60), generator=torch.Generator().manual_seed(0))
    Image.fromarray(noise.to(torch.uint8).numpy()).save(tmp_path / "noise.png")
    code, text, error = command("predict", str(run.path), str(tmp_path / "noise.png"))
    assert code == 0
    assert len(text.splitlines()) == 3
    assert error.startswith("note: the prediction is unreliable: the picture is unlike every train")
    _, text, error = command("predict", str(run.path), str(tmp_path / "noise.png"), "--json")
    record = json.loads(text)
    assert record.keys() == {"label", "probabilities", "caveat"}
    assert record["label"] == next(iter(record["probabilities"]))
    assert record["caveat"].startswith("the picture is unlike every training digit")
    assert error == ""


def test_characters_that_cannot_be_seen_are_spelled(
    monkeypatch: pytest.MonkeyPatch, command: Any
) -> None:
    prediction = recipes.Prediction(" ", {" ": 0.7, "\n": 0.2, "a": 0.1})
    monkeypatch.setattr(recipes, "predict", lambda *_, **__: prediction)
    assert command("predict", "run", "Alice") == (0, "' '  70.0%\n'\\n'  20.0%\na  10.0%\n", "")
