"""The benchmarks measure what they say; how fast it is, they tell when they are run."""

import importlib
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

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


def test_each_case_is_run_in_its_context(benchmark: Any) -> None:
    off: list[bool] = []
    switch = importlib.import_module("shapezoo.contracts.switch")

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
    course.features(1, epochs=1, more=1)
    course.networks(1, epochs=1)
    course.taggers(2, steps=40)
    course.pieces_of_names(longest=1)
    rows = [line.strip("| ").split(" | ") for line in capsys.readouterr().out.splitlines()]
    shares = {cells[0]: float(cells[1].removesuffix(" %")) for cells in rows if "%" in cells[1]}
    assert set(shares) == {*course.EXTRACTORS, "lenet", "lenet_small", "1 to 1 characters"}
    assert all(share > 30 for share in shares.values())
    assert ["0.02", "2 of 2"] in [cells[:2] for cells in rows]
