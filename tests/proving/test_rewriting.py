"""All forms of a comparison are equivalent, and one of them is short."""

import itertools
from typing import Any

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.proving import test_printing as printed
from torch.utils._sympy import functions as F  # noqa: N812  # torch's functions of sizes

from shapezoo.proving.formulas.printing import as_python
from shapezoo.proving.formulas.rewriting import are_same, forms

b, h, w = sympy.symbols("batch height width", integer=True, positive=True)
POOLED = F.FloorDiv(w - 1, 2) * (F.FloorDiv(h - 3, 2) * 4 + 4)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (sympy.Eq(POOLED, 676), "((height - 1) // 2) * ((width - 1) // 2) == 169"),
        (F.FloorDiv(F.FloorDiv(h - 3, 2) - 1, 2) >= 6, "height >= 29"),
        (F.FloorDiv(h - 11, 4) + 1 < 3, "height < 19"),
        (sympy.Eq(4 * h, 4 * w + 8), "height == width + 2"),
        (3 * h * w * b < 7, "batch * height * width < 3"),
        (sympy.Eq(196 * F.FloorDiv(h, 2) + 196, 392 * w), "height // 2 + 1 == 2 * width"),
        (sympy.Eq(h - w, 0), "height == width"),
        (2 * h - 2 * w + 4 <= 0, "height + 2 <= width"),
        (sympy.Eq(8, h), "height == 8"),
        (h > 3, "height > 3"),
        (sympy.Eq(F.PythonMod(9 * h * w + 9 * h, 12), 0), "height * (width + 1) % 4 == 0"),
        (sympy.And(h > 3, w > 3, evaluate=False), "height > 3 and width > 3"),
    ],
)
def test_the_shortest(condition: Any, text: str) -> None:
    shortest = min(forms(condition), key=lambda form: len(as_python(form)))
    assert as_python(shortest) == text
    assert are_same(shortest, condition)


_RELATIONS = st.builds(
    lambda relation, x, y: relation(x, y),
    st.sampled_from([sympy.Eq, sympy.Ne, sympy.Lt, sympy.Le, sympy.Gt, sympy.Ge]),
    printed.EXPRESSIONS,
    printed.EXPRESSIONS | st.integers(-30, 30).map(sympy.Integer),
)


@given(_RELATIONS)
@settings(max_examples=60, deadline=None)
def test_all_forms_mean_the_same(condition: Any) -> None:
    points = [printed.at(condition, *sizes) for sizes in itertools.product(range(1, 8), repeat=2)]
    for form in itertools.islice(forms(condition), 12):
        there = [printed.at(form, *sizes) for sizes in itertools.product(range(1, 8), repeat=2)]
        assert list(map(bool, there)) == list(map(bool, points)), form


def test_what_is_not_the_same() -> None:
    assert not are_same(sympy.Eq(POOLED, 676), sympy.Eq(POOLED, 680))
    assert not are_same(h >= 3, h >= 4)
    assert not are_same(F.FloorDiv(h, 2) > 3, F.FloorDiv(h + 1, 2) > 3)
