"""The table of public networks tells right verdicts from wrong ones."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jaxtyping import Float
from torch import Tensor, nn

import shapezoo
from shapezoo import prove

FOLDER = Path(__file__).parent.parent / "benchmarks"
USUAL = {"batch": 2, "seq": 16}


class Kernel(shapezoo.Module):
    """Takes sequences of a kernel's length or more."""

    def __init__(self, kernel_size: int, offset: int = 0) -> None:
        super().__init__()
        self.conv = nn.Conv1d(4, 4, kernel_size)
        self.offset = offset

    def forward(self, x: Float[Tensor, "batch 4 seq"]) -> Float[Tensor, "batch 4"]:
        pooled: Tensor = self.conv(x).mean(2)
        return pooled[self.offset :]


class Endless(shapezoo.Module):
    """Never returns."""

    def forward(self, x: Float[Tensor, "batch 4 seq"]) -> Float[Tensor, "batch 4"]:
        while True:
            pass


@pytest.fixture
def public(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.syspath_prepend(FOLDER)
    importlib.import_module("public.measuring")
    yield importlib.import_module("public")
    for name in [name for name in sys.modules if name.partition(".")[0] == "public"]:
        del sys.modules[name]


@pytest.mark.parametrize("offset", [0, 1])
def test_a_right_verdict_agrees_with_the_truth(public: Any, offset: int) -> None:
    model = Kernel(5, offset).eval()
    found = public.truth.truth(model, USUAL, prove(model), 60)
    assert not found.wrong
    assert found.tried == public.truth.MOST_TRIED
    assert 0 < found.accepted < found.tried or offset


def test_a_limit_too_low_is_found(public: Any) -> None:
    found = public.truth.truth(Kernel(5).eval(), USUAL, prove(Kernel(4).eval()), 60)
    assert found.wrong
    assert all("'seq': 4}: raises, not holds" in line for line in found.wrong)


def test_a_limit_too_high_is_found(public: Any) -> None:
    found = public.truth.truth(Kernel(5).eval(), USUAL, prove(Kernel(6).eval()), 60)
    assert found.wrong
    assert all("'seq': 5}: holds, not raises" in line for line in found.wrong)


def test_a_false_refutation_is_found(public: Any) -> None:
    found = public.truth.truth(Kernel(1).eval(), USUAL, prove(Kernel(1, offset=1).eval()), 60)
    assert "counterexample {'batch': 1, 'seq': 1}: holds" in found.wrong


def test_a_broken_result_is_found(public: Any) -> None:
    found = public.truth.truth(Kernel(1, offset=1).eval(), USUAL, prove(Kernel(1).eval()), 60)
    assert len(found.wrong) == found.tried
    assert all("breaks, not holds" in line for line in found.wrong)


def test_a_network_is_measured_in_a_process_of_its_own(public: Any) -> None:
    network = public.table.Network("small", lambda: Kernel(5), USUAL)
    row = public.measuring.measure(network, 60, 60)
    assert (row.verdict, row.text, row.wrong) == ("Proved", "seq >= 5", ())
    assert row.seconds > 0


def test_a_network_that_cannot_be_built_is_a_row_too(public: Any) -> None:
    network = public.table.Network("none", lambda: Kernel(-1), USUAL)
    assert public.measuring.measure(network, 60, 60).verdict == "error"


def test_a_network_that_takes_too_long_is_a_row_too(
    public: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(public.measuring, "PROOF_SECONDS", 1)
    row = public.measuring.measure(public.table.Network("endless", Endless, USUAL), 60, 60)
    assert (row.verdict, row.text) == ("too much", "over 1 s of CPU or 8 GB")
