"""A run that is cut off ends, once it is resumed, as if it never had been."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from shapezoo import recipes
from shapezoo.cli import commands
from shapezoo.recipes import StoppedError
from shapezoo.recipes.runs import Run, RunConfig, RunError
from shapezoo.train import OPTIMIZERS, DeviceError, EpochDone, Event, StepDone

pytestmark = pytest.mark.slow

RESULTS = ("model.safetensors", "metrics.jsonl", "confusion.tsv")
CONFIG = RunConfig("lenet", epochs=3, batch_size=500, lr=0.01)


def results(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in RESULTS]


def at(epoch: int, step: int) -> tuple[Callable[[Event], None], Callable[[], bool]]:
    """An observer and a `stop` that ends the training after this step."""
    seen: list[tuple[int, int]] = []

    def observe(event: Event) -> None:
        if isinstance(event, StepDone):
            seen.append((event.epoch, event.step))

    return observe, lambda: seen[-1] == (epoch, step)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    folder = tmp_path_factory.mktemp("runs") / "run"
    recipes.train(CONFIG, run=folder)
    return results(folder)


@pytest.mark.parametrize(
    ("way", "optimizers", "least"),
    [
        ("moments", ["adam"], 1),
        ("files", ["adam"], 4),
        pytest.param("moments", list(OPTIMIZERS), 1, marks=pytest.mark.release),
        pytest.param("calls", ["adam"], 40, marks=pytest.mark.release),
    ],
)
def test_killed_runs_end_in_the_same_bits(way: str, optimizers: list[str], least: int) -> None:
    script = Path(__file__).with_name("interrupted.py")
    command = [sys.executable, str(script), way, *optimizers]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) >= least


@pytest.mark.parametrize(("epoch", "step"), [(1, 1), (1, 3), (2, 2), (3, 3)])
def test_a_stopped_run_goes_on(
    epoch: int, step: int, undisturbed: list[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    observe, stop = at(epoch, step)
    with pytest.raises(StoppedError, match=f"--resume {re.escape(str(folder))}"):
        recipes.train(CONFIG, run=folder, observers=[observe], stop=stop)
    assert not (folder / "model.safetensors").exists()
    recipes.train(Run.open(folder))
    assert results(folder) == undisturbed


def test_who_asks_to_stop_only_once_is_heard(undisturbed: list[bytes], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    asked = iter([False, True, False, False, False])
    with pytest.raises(StoppedError, match="stopped after 2 steps"):
        recipes.train(CONFIG, run=folder, stop=lambda: next(asked))
    recipes.train(Run.open(folder))
    assert results(folder) == undisturbed


@pytest.mark.slow
def test_processes_started_anew_go_on_with_their_own_run_only(
    undisturbed: list[bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = stopped(tmp_path / "run")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    before = (run.path / "metrics.jsonl").read_bytes()
    with pytest.raises(RunError, match="exists already; choose another folder"):
        recipes.train(replace(CONFIG, lr=0.02), run=run.path)
    assert (run.path / "metrics.jsonl").read_bytes() == before
    recipes.train(CONFIG, run=run.path)
    assert results(run.path) == undisturbed
    recipes.train(CONFIG, run=tmp_path / "new")
    assert results(tmp_path / "new") == undisturbed


def test_a_run_goes_on_on_another_device(undisturbed: list[bytes], tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    config = run.path / "config.json"
    config.write_text(config.read_text().replace('"device": "cpu"', '"device": "cuda:99"'))
    with pytest.raises(DeviceError, match="'cuda:99' is not on this machine"):
        recipes.train(Run.open(run.path))
    commands.app(
        ["train", "--resume", str(run.path), "--device", "cpu"], result_action="return_value"
    )
    assert results(run.path) == undisturbed


def test_a_run_that_has_ended_gives_its_results_again(
    undisturbed: list[bytes], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    first = recipes.train(CONFIG, run=folder)
    (folder / "model.safetensors").unlink()
    steps: list[Event] = []
    assert recipes.train(Run.open(folder), observers=[steps.append]) == first
    assert results(folder) == undisturbed
    assert steps == []


@pytest.mark.slow
def test_patience_is_kept_over_a_stop(tmp_path: Path) -> None:
    config = RunConfig("lenet", epochs=30, batch_size=500, lr=0.03, patience=1)
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    recipes.train(config, run=whole)
    epochs = len((whole / "metrics.jsonl").read_text().splitlines())
    assert 2 <= epochs < 30
    observe, stop = at(epochs, 1)
    with pytest.raises(StoppedError):
        recipes.train(config, run=parts, observers=[observe], stop=stop)
    recipes.train(Run.open(parts))
    assert results(parts) == results(whole)


def stopped(folder: Path) -> Run:
    """A run with two checkpoints."""
    observe, stop = at(3, 1)
    with pytest.raises(StoppedError):
        recipes.train(CONFIG, run=folder, observers=[observe], stop=stop)
    return Run.open(folder)


def test_of_a_damaged_checkpoint_the_one_before_is_there(
    undisturbed: list[bytes], tmp_path: Path
) -> None:
    run = stopped(tmp_path / "run")
    file = run.path / "checkpoint.safetensors"
    content = file.read_bytes()
    for damaged in (content[:-1], content[:-1] + bytes([content[-1] ^ 1]), b"", b"{}"):
        file.write_bytes(damaged)
        with pytest.raises(
            RunError, match=r"delete it to continue from checkpoint-before\.safetensors"
        ):
            recipes.train(run)
        assert file.read_bytes() == damaged
    file.unlink()
    recipes.train(run)
    assert results(run.path) == undisturbed


def test_the_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    other = RunConfig("lenet", epochs=3, batch_size=500, lr=0.02)
    with pytest.raises(RunError, match=r"is the checkpoint of another run: .*\"lr\": 0.01"):
        recipes.train(replace(run, config=other))


@pytest.mark.slow
def test_a_full_disk_loses_nothing(undisturbed: list[bytes], tmp_path: Path) -> None:
    """After two epochs no file may be longer than 40 kB, which is less than a checkpoint."""
    resource = pytest.importorskip("resource", reason="Windows sets no such limits")
    folder = tmp_path / "run"

    def fill(event: Event) -> None:
        if isinstance(event, EpochDone) and event.epoch == 2:
            resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, before[1]))

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match=r"cannot be written|too large"):
            recipes.train(CONFIG, run=folder, observers=[fill])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert {path.name for path in folder.iterdir()} == {
        "checkpoint.safetensors",
        "config.json",
        "metrics.jsonl",
    }
    recipes.train(Run.open(folder))
    assert results(folder) == undisturbed


@pytest.mark.slow
def test_ctrl_c_ends_in_good_order(undisturbed: list[bytes], tmp_path: Path) -> None:
    options = ["--epochs", "3", "--batch-size", "500", "--lr", "0.01"]
    command = [sys.executable, "-m", "shapezoo", "train"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        [*command, "lenet", "--run", "run", *options],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        while "epoch 1/3" not in process.stdout.readline():
            pass
        process.send_signal(signal.SIGINT)
        assert process.stderr
        message = process.stderr.read()
    assert process.returncode == 130
    assert re.fullmatch(
        r"shapezoo: stopped after [3-9] steps; to continue:\n  shapezoo train --resume run\n",
        message,
    )
    resumed = subprocess.run(
        [*command, "--resume", "run"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "epoch 3/3" in resumed.stdout
    assert results(tmp_path / "run") == undisturbed


def test_half_a_line_of_the_metrics_is_forgotten(tmp_path: Path) -> None:
    run = Run.create(CONFIG, tmp_path / "run")
    test = {"loss": None, "accuracy": 0.5}
    lines = [json.dumps({"epoch": epoch, "loss": 1.0, "test": test}) for epoch in (1, 2, 3)]
    others = [lines[0], "[]", '{"epoch": "x", "loss": 1, "test": 5}', "\0", '{"epoch": 4, "lo']
    (run.path / "metrics.jsonl").write_text("\n".join([*lines, *others]))
    run.rewind(2)
    assert (run.path / "metrics.jsonl").read_text().splitlines() == lines[:2]


def test_a_run_deletes_only_its_own_temporary_files(tmp_path: Path) -> None:
    run = Run.create(CONFIG, tmp_path / "run")
    for name in (".checkpoint-new.safetensors.7-7.tmp", ".model.safetensors.9-1.tmp", ".notes.tmp"):
        (run.path / name).touch()
    run.rewind(1)
    assert [path.name for path in run.path.glob(".*")] == [".notes.tmp"]


def test_two_processes_do_not_train_in_one_folder(tmp_path: Path) -> None:
    run = stopped(tmp_path / "run")
    before = (run.path / "metrics.jsonl").read_bytes()
    with run.locked(), pytest.raises(RunError, match="another process is training in this folder"):
        recipes.train(run)
    assert (run.path / "metrics.jsonl").read_bytes() == before
    recipes.train(run)


def test_torchs_generator_is_left_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    recipes.train(RunConfig("lenet", epochs=1, batch_size=1500), run=tmp_path / "run")
    assert torch.equal(torch.get_rng_state(), before)
