"""The benchmarks measure what they say; how fast it is, they tell when they are run."""

import importlib
import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from shapezoo import create_model, trace
from shapezoo.train import init, train_step

pytestmark = pytest.mark.release

FOLDER = Path(__file__).parent.parent / "benchmarks"


@pytest.fixture
def course(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("course")
    del sys.modules["course"]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("contracts")
    for name in ("contracts", "timing"):
        del sys.modules[name]


@pytest.fixture
def training(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("training")
    for name in ("training", "timing"):
        del sys.modules[name]


@pytest.fixture
def tracing(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("tracing")
    for name in ("tracing", "timing"):
        del sys.modules[name]


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(FOLDER)
    yield importlib.import_module("peers")
    for name in ("peers", "planted", "contracts", "timing"):
        del sys.modules[name]


@pytest.mark.parametrize(
    ("build", "shape"),
    [("identity", (2, 3, 8, 8)), ("kernel", (2, 3, 8, 8)), ("resnet", (1, 3, 32, 32))],
)
def test_every_kind_computes_the_same(benchmark: Any, build: str, shape: tuple[int, ...]) -> None:
    x = torch.randn(shape)
    cases = benchmark.calls_of(benchmark.built(getattr(benchmark, build)), x)
    first, *others = (case() for case in cases.values())
    assert all(torch.equal(first, other) for other in others)


def test_checked_kinds_check_and_raw_ones_do_not(benchmark: Any) -> None:
    cases = benchmark.calls_of(benchmark.built(benchmark.identity), torch.zeros(2))
    refused = set()
    for kind, case in cases.items():
        try:
            case()
        except TypeError:
            refused.add(kind)
    assert refused == {"jaxtyping and beartype", "shapezoo", "shapezoo, unchecked()"}


def test_ratios_are_taken_round_by_round(
    benchmark: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.table("title", {"one": [1.0, 2.0, 4.0], "two": [3.0, 6.0, 12.0]})
    assert capsys.readouterr().out.splitlines()[-1].split()[-1] == "3.000"


def test_a_median_is_printed_in_its_unit(
    benchmark: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    benchmark.table("title", {"one": [2e6, 3e6, 9e6]}, "MB")
    assert capsys.readouterr().out.splitlines()[-1].split() == ["one", "3.00", "MB", "1.000"]


def test_each_case_is_run_in_its_context(benchmark: Any) -> None:
    off: list[bool] = []
    switch = importlib.import_module("shapezoo.contracts.checking.switch")

    def look() -> None:
        off.append(switch.off)

    around = {"two": benchmark.unchecked}
    seconds = benchmark.times({"one": look, "two": look}, rounds=3, calls=2, around=around)
    assert [len(values) for values in seconds.values()] == [3, 3]
    assert off.count(True) == off.count(False) == len(off) // 2


def test_the_course_has_a_row_for_everything_that_learns(
    course: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "NETWORKS", ("lenet", "lenet_small"))
    monkeypatch.setattr(course, "COMMANDS", [("mlp", "breast_cancer")])
    course.features(1, epochs=1, more=1)
    course.networks(1, epochs=1)
    course.taggers(2, steps=40)
    course.commands(epochs=2)
    course.forecasts(1, epochs=1, more=4)
    course.pieces_of_names(longest=1)
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    shares = {cells[0]: float(cells[1].removesuffix(" %")) for cells in rows if "%" in cells[1]}
    assert set(shares) == {*course.EXTRACTORS, "lenet", "lenet_small", "1 to 1 characters"}
    assert all(share > 30 for share in shares.values())
    assert ["onehot_cell_tagger", "0.02", "2 of 2"] in [cells[:3] for cells in rows]
    assert ["mlp", "breast_cancer", "2"] in [cells[:3] for cells in rows]
    errors = {
        cells[0]: float(cells[2]) for cells in rows if "features" in cells[0] and "0." in cells[2]
    }
    assert len(errors) == 5
    assert errors["least squares, 9 features"] < 0.2 < errors["least squares, 3 features"] < 0.4


def test_every_kind_of_step_learns_the_same(training: Any) -> None:
    model, batch = training.lenet(), training.images(2, 1, 28)
    with training.ExitStack() as stack:
        cases = [
            training.ordinary(training.copy.deepcopy(model), batch),
            training.pure(model, batch),
            training.in_place(training.copy.deepcopy(model), batch, stack),
        ]
        first, second, (third, _) = [[case() for case in cases] for _ in range(3)][-1]
    assert first == second == third


def test_a_state_keeps_the_layout_of_the_model(training: Any) -> None:
    model = training.wide().to(memory_format=torch.channels_last)
    state = init(model, training.make_optimizer)
    state, _ = train_step(model, training.make_optimizer, state, training.images(1, 3, 8))
    weight, moment = state.parameters["2.weight"], state.optimizer["state"][4]["exp_avg"]
    for tensor in (weight, moment):
        assert tensor.is_contiguous(memory_format=torch.channels_last)


def test_training_prints_its_tables(training: Any, capsys: pytest.CaptureFixture[str]) -> None:
    training.steps(1, calls=1)
    training.epoch(1, num_workers=0)
    training.layouts(1, compiled=False)
    training.checkpoint(1, width=8)
    out = capsys.readouterr().out
    assert out.count("ratio") == 8
    assert all(line.split()[-1] == "1.000" for line in out.splitlines() if "ordinary  " in line)


def test_tracing_prints_its_table(tracing: Any, capsys: pytest.CaptureFixture[str]) -> None:
    tracing.measure(create_model("lenet"), torch.zeros(1, 1, 28, 28), 1)
    title, _, *rows = capsys.readouterr().out.strip().splitlines()
    assert title == "LeNet, 1x1x28x28"
    assert [row.split("  ")[0] for row in rows] == list(
        tracing.cases(create_model("lenet"), torch.zeros(1, 1, 28, 28))
    )


def test_the_run_by_hand_does_what_ours_does(training: Any, tmp_path: Path) -> None:
    for name, command in training.commands(tmp_path / "run", 2).items():
        training.subprocess.run([sys.executable, *command], check=True, capture_output=True)
        (tmp_path / "run").rename(tmp_path / name)
    hand, ours = tmp_path / "by hand", tmp_path / "shapezoo"
    names = {file.name for file in hand.iterdir()}
    assert {"confusion.png", "confusion.tsv", "curves.png"} < names
    assert names < {file.name for file in ours.iterdir()}
    by_hand, by_us = (load_file(folder / "model.safetensors") for folder in (hand, ours))
    for key, ours_ in {"0": "features.0", "3": "features.3", "7": "classifier"}.items():
        assert torch.equal(by_hand[f"{key}.weight"], by_us[f"{ours_}.weight"])
        assert torch.equal(by_hand[f"{key}.bias"], by_us[f"{ours_}.bias"])
    first, second = (
        [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
        for folder in (hand, ours)
    )
    assert first == second


def test_a_whole_training_has_a_time_and_a_memory(
    training: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    training.whole(1, epochs=1)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    units = [cells[-2] for cells in rows if cells[:1] in (["by"], ["shapezoo"])]
    assert units == ["s", "s", "MB", "MB"]


def test_proofs_are_measured_next_to_a_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    proofs = importlib.import_module("zoo_proofs")
    monkeypatch.setattr(proofs, "ROUNDS", 1)
    proofs.print_zoo(["mlp", "squeezenet1_0"])
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[1:]]
    assert [row[:2] for row in rows] == [["mlp", "Proved"], ["squeezenet1_0", "Proved"]]
    assert rows[1][-3:] == ["width", ">=", "21"]
    for name in ("zoo_proofs", "timing", "tracing"):
        del sys.modules[name]


def test_verdicts_about_public_networks_are_compared_with_the_truth(tmp_path: Path) -> None:
    rows = tmp_path / "rows.jsonl"
    command = [sys.executable, "-W", "ignore", "prove.py", "torch/LSTM", "--truth", "1"]
    done = subprocess.run(
        [*command, "--json", rows], cwd=FOLDER, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].startswith("1 networks: 1 proved, 0 refuted rightly")
    (row,) = map(json.loads, rows.read_text().splitlines())
    assert row["accepted"] == row["tried"] > 10
    assert row["wrong"] == []


def test_proofs_find_the_planted_mistakes_that_change_a_shape_and_accept_the_twins(
    peers: Any,
) -> None:
    planted = peers.planted
    missed = {n for n in planted.SHAPES if not peers.complains(getattr(planted, n))}
    assert missed == {"FlattenOrder"}
    assert not any(peers.complains(getattr(planted, f"{name}Right")) for name in planted.SHAPES)


def test_twins_of_planted_mistakes_accept_the_call(peers: Any) -> None:
    for name, shapes in peers.planted.SHAPES.items():
        twin = getattr(peers.planted, f"{name}Right")
        assert not peers.raises(twin, lambda forward: forward, shapes)


def test_every_planted_function_is_declared_for_pyrefly(peers: Any) -> None:
    source = peers.declared(inspect.getsource(peers.planted))
    assert source.count("    @static_jaxtyping(") == 2 * len(peers.planted.SHAPES)
    assert '    @static_jaxtyping("batch seq kv_seq")\n    def forward(' in source


def test_multiply_accumulates_by_hand_are_those_of_a_trace(peers: Any) -> None:
    traced = trace(create_model("vit_b_16"), sizes={"batch": 1})
    assert traced.macs == peers.vit_b_16_macs()


def test_the_calibration_error_is_the_mean_gap_between_confidence_and_accuracy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(FOLDER)
    predictions = importlib.import_module("predictions")
    probabilities = torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])
    labels = torch.tensor([0, 1, 1, 1])  # 0.9 is correct for a half, 0.6 always
    error = predictions.calibration_error(probabilities, labels)
    assert error == pytest.approx((abs(0.5 - 0.9) + abs(1 - 0.6)) / 2)
    del sys.modules["predictions"]
