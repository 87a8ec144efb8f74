"""Compiled formulas agree with z3."""

import itertools
from typing import Any

import pytest
import z3
from hypothesis import given, settings
from tests.proving import test_solving as solved

from shapezoo.contracts import Condition
from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.evaluating import compiled


@given(solved.CONDITIONS, solved.SIZES, solved.SIZES)
@settings(max_examples=100)
def test_conditions(text: str, height: int, width: int) -> None:
    sizes = {"height": height, "width": width}
    found = compiled(solving.parse(text))(sizes)
    assert found in (Condition(text).holds(sizes), None)
    assert found is not None or "//" in text or "%" in text


@pytest.mark.parametrize("name", [*solved.DIVISIONS, *solved.OTHERS])
def test_every_function(name: str) -> None:
    build, expected = (solved.DIVISIONS | solved.OTHERS)[name]
    term = solving.translate(build(solved.a, solved.b))
    for a, b in itertools.product([-7, -3, -1, 1, 2, 5, 8], repeat=2):
        right: Any = expected(a, b)
        is_truth = isinstance(right, bool)
        formula = term if is_truth else term == z3.RealVal(str(right))
        wrong = z3.Not(term) if is_truth else term == z3.RealVal(str(right + 1))
        assert compiled(formula)({"a": a, "b": b}) is (right if is_truth else True)
        assert compiled(wrong)({"a": a, "b": b}) is (not right if is_truth else False)


def test_what_z3_leaves_open_is_open() -> None:
    zero = compiled(z3.Int("a") / z3.Int("b") == 3)
    assert zero({"a": 3, "b": 0}) is None
    assert zero({"a": 3, "b": 1}) is True
