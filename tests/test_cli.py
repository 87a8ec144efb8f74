import json
import re
import subprocess
import sys
from dataclasses import MISSING, fields
from pathlib import Path

import pytest
from PIL import Image

from shapezoo import list_models
from shapezoo.cli import commands, train_command
from shapezoo.data import digits
from shapezoo.layers import SequenceError
from shapezoo.models import lenet
from shapezoo.recipes.runs import Run, RunConfig, RunError
from shapezoo.recipes.sources import SOURCES
from shapezoo.train import OPTIMIZERS, SCHEDULES


def run(*arguments: str) -> None:
    """Run a command in this process."""
    commands.app(list(arguments), result_action="return_value")


def test_list_shows_every_model(capsys: pytest.CaptureFixture[str]) -> None:
    run("list")
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list_models()
    run("list", "lene?")
    assert re.fullmatch(r"lenet +8,490  image-classification .*\n", capsys.readouterr().out)


def test_show_tells_contract_parameters_and_paper(capsys: pytest.CaptureFixture[str]) -> None:
    run("show", "lenet")
    text = capsys.readouterr().out
    assert 'Float[Tensor, "batch channels=1 28 28"]) -> Float[Tensor, "batch classes=10"]' in text
    assert "parameters  8,490" in text
    assert "1998" in text


def test_train_and_predict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    run("train", "lenet", "--epochs", "2", "--seed", "3", "--run", str(folder))
    text = capsys.readouterr().out
    assert "parameters  8,490" in text
    assert 'signature   (images: Float[Tensor, "batch channels=1 28 28"])' in text
    assert "epoch 2/2  loss" in text
    assert re.search(r"test accuracy  9\d\.\d\d% of 359 images", text)
    assert f"run folder     {folder}" in text
    config = json.loads((folder / "config.json").read_text())
    assert (config["epochs"], config["seed"]) == (2, 3)

    test = digits(seed=3).test
    Image.fromarray(test.images[0, 0].numpy()).save(tmp_path / "digit.png")
    run("predict", str(folder), str(tmp_path / "digit.png"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].split()[0] == test.classes[test.labels[0]]
    assert lines[0].endswith("%")


@pytest.mark.slow
def test_names_are_learned_and_guessed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "run"
    run("train", "names", "--epochs", "1", "--batch-size", "128", "--run", str(folder))
    text = capsys.readouterr().out
    assert text.startswith("name_classifier: ")
    assert re.search(r"test accuracy  [56]\d\.\d\d% of 3248 names", text)
    run("predict", str(folder), "Papadopoulos", "--device", "cpu")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert re.fullmatch(r"Greece  9\d\.\d%", lines[0])
    for name, message in (
        ("  ", "has no letters"),
        ("王", "write the name in Latin letters"),
    ):
        with pytest.raises(SequenceError, match=message):
            run("predict", str(folder), name)


@pytest.mark.slow
def test_two_processes_train_as_one_does(tmp_path: Path) -> None:
    options = ["train", "lenet", "--epochs", "1", "--batch-size", "100"]
    torchrun = str(Path(sys.executable).with_name("torchrun"))
    launcher = [torchrun, "--standalone", "--nproc-per-node", "2"]
    together = subprocess.run(
        [*launcher, "-m", "--", "shapezoo", *options, "--run", "two"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert together.stdout.count("run folder     two") == 1
    run(*options, "--run", str(tmp_path / "one"))
    one, two = (json.loads((tmp_path / f"{n}/metrics.jsonl").read_text()) for n in ("one", "two"))
    assert two["loss"] == pytest.approx(one["loss"], abs=1e-5)
    assert two["test"]["loss"] == pytest.approx(one["test"]["loss"], abs=1e-5)


def test_a_fraction_is_no_number_of_epochs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        commands.app(["train", "lenet", "--epochs", "2.7"])
    assert stop.value.code != 0
    assert "--epochs" in "".join(capsys.readouterr())


def test_the_contract_that_is_shown_is_that_of_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(tmp_path / "run")
    run("train", "mlp", "--data", "breast_cancer", "--epochs", "1", "--run", folder)
    assert '(features: Float[Tensor, "batch features=30"])' in capsys.readouterr().out


def test_a_loss_that_is_no_number_can_stop_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "run"
    diverging = ["--batch-size", "500", "--lr", "1e30", "--epochs", "1", "--run", str(folder)]
    command = ["shapezoo", "train", "lenet", "--on-nan", "stop", *diverging]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as stop:
        commands.main()
    assert stop.value.code == 1
    assert re.search(r"shapezoo: the loss of step \d is nan", capsys.readouterr().err)
    assert not (folder / "model.safetensors").exists()
    with pytest.raises(RunError, match="the training diverged"):
        run("train", "--resume", str(folder), "--on-nan", "continue")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("show", "lent"), "shapezoo: unknown model 'lent'; did you mean 'lenet'"),
        (("train", "gru"), "shapezoo: model 'gru' is for sequence-encoding; the datasets are for"),
        (("train", "lenet", "--epochs", "0"), "shapezoo: epochs must be at least 1, got 0"),
        (
            ("train", "lenet", "--data", "cats"),
            "shapezoo: no dataset is called 'cats'; valid names",
        ),
        (("train", "lenet", "--data", "names"), "shapezoo: model 'lenet' does not fit the data"),
        (
            ("train", "names", "--split-by", "writer"),
            "shapezoo: only digits can be split",
        ),
        (("train", "lenet", "--device", "cuda:99"), "shapezoo: device 'cuda:99' is not on this"),
        (("predict", "nowhere", "digit.png"), "shapezoo: 'nowhere' is not a run folder"),
        (("train", "lenet", "--seed", "9" * 30), "shapezoo: seed must be below 2**31"),
        (("train",), "shapezoo: name a model or a dataset to train, or a run to --resume"),
        (("train", "lenet", "--resume", "."), "shapezoo: --resume continues a run with its own"),
        (("train", "--resume", ".", "--lr", "1"), "own options; leave out --lr"),
        (("train", "--resume", "nowhere"), "shapezoo: 'nowhere' is not a run folder"),
        (("train", "lenet", "--run", "."), "shapezoo: '.' exists already; choose another folder"),
        (("train", "mnist"), "MNIST/raw/train-images-idx3-ubyte is missing"),
    ],
)
def test_a_refusal_is_one_message_and_exit_code_1(
    arguments: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["shapezoo", *arguments])
    with pytest.raises(SystemExit) as stop:
        commands.main()
    assert stop.value.code == 1
    error = capsys.readouterr().err
    assert error.startswith("shapezoo: ")
    assert message in error
    assert list(tmp_path.iterdir()) == []


def test_a_run_without_weights_and_a_missing_picture_are_refusals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Run.create(RunConfig("lenet"), tmp_path / "run")
    for message in ("its training has not ended", "no picture at"):
        command = ["shapezoo", "predict", str(folder.path), str(tmp_path / "digit.png")]
        monkeypatch.setattr(sys, "argv", command)
        with pytest.raises(SystemExit) as stop:
            commands.main()
        assert stop.value.code == 1
        assert message in capsys.readouterr().err
        folder.save_model(lenet())


def test_the_help_of_train_names_the_defaults_and_the_choices() -> None:
    (_, *parts) = re.split(r"\n {8}(\w+): ", train_command.Options.__doc__ or "")
    described = dict(zip(parts[::2], parts[1::2], strict=True))
    for part in fields(RunConfig):
        default = part.default
        if part.name in described and default not in (None, MISSING) and default is not False:
            assert re.search(rf"\b{default}\b", described[part.name]), part.name
    for name, known in {"data": SOURCES, "optimizer": OPTIMIZERS, "schedule": SCHEDULES}.items():
        assert all(re.search(rf"\b{choice}\b", described[name]) for choice in known)
    for data, source in SOURCES.items():
        for name, default in source.defaults.items():
            text = re.sub(r"\s+", " ", described[name])
            assert re.search(rf"\b{data}\b", text), (name, data)
            assert f"{default:g}" in text if isinstance(default, float) else str(default) in text


def test_a_second_interruption_is_told_too(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "app", interrupted)
    with pytest.raises(SystemExit) as stop:
        commands.main()
    assert stop.value.code == 130
    assert capsys.readouterr().err == "shapezoo: stopped\n"


def test_the_installed_command_runs() -> None:
    command = Path(sys.executable).with_name("shapezoo")
    result = subprocess.run([command, "--help"], capture_output=True, text=True, check=True)
    for name in ("list", "show", "train", "predict"):
        assert name in result.stdout
