"""Verdicts as text."""

import re
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import Module, prove
from shapezoo.proving import Refuted


def text(function: Any, **options: Any) -> list[str]:
    """Return the lines of a verdict."""
    return str(prove(function, **options)).splitlines()


def row(lines: list[str], title: str) -> list[str]:
    return [line[16:] for line in lines if line.startswith(f"  {title} ")]


def never(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
    if x.shape[1] < 10:
        raise ValueError("too short")
    if x.shape[0] < 3:
        raise ValueError("too few")
    raise ValueError("too much")


def test_one_error_for_each_cause_where_all_sizes_raise() -> None:
    lines = text(never)
    assert row(lines, "because") == ["it raises for all sizes"]
    assert row(lines, "smallest") == ["batch=1, seq=1"]
    assert "    too short" in lines
    assert sorted(row(lines, "also raises")) == [
        "batch=1, seq=10: too few",
        "batch=3, seq=10: too much",
    ]


def wrong(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    return x if x.shape[0] < 3 else x.repeat(2)


def test_a_wrong_result_shows_no_other_errors() -> None:
    lines = text(wrong)
    assert row(lines, "smallest") == ["batch=3"]
    assert not row(lines, "also raises")
    proof = prove(wrong)
    assert isinstance(proof, Refuted)
    assert proof.counterexample.snippet.startswith("import torch\n")


def partly(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    if x.shape[0] < 5:
        return x
    return x[: 99 + int(x.sum())]


def test_in_part_says_where_it_works_and_what_stood_in_the_way() -> None:
    lines = text(partly)
    assert "proved in part" in lines[0]
    assert row(lines, "works at") == ["batch=1"]
    (reason,) = row(lines, "because")
    assert re.match(
        r"test_rendering.py:\d+, `return x\[: 99 .*`: a number is read from values", reason
    )


def whole(x: Float[Tensor, "batch 2"]) -> Float[Tensor, "batch 2"]:
    return torch.relu(x)


def test_what_is_proved_says_nothing_of_that() -> None:
    lines = text(whole)
    assert not row(lines, "works at")
    assert not row(lines, "because")
    assert row(lines, "rests on")[0].startswith("eval mode; float32")


class Misfit(Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide = nn.Linear(8, 9)
        self.narrow = nn.Linear(8, 8)

    def forward(self, x: Float[Tensor, "batch 8"]) -> Float[Tensor, "batch 8"]:
        result: Tensor = self.narrow(self.wide(x))
        return result


def test_an_error_of_pytorch_has_its_note_and_appears_once() -> None:
    lines = text(Misfit().eval())
    assert "      hint      nn.Linear(9, 8) would accept this input" in lines
    assert not row(lines, "also raises")
