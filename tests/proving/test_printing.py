"""Expressions are printed as Python code."""

from typing import Any

import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._sympy import functions as F  # noqa: N812  # torch's functions of sizes

from shapezoo.proving.formulas.printing import as_python

h, w = sympy.symbols("height width", integer=True, positive=True)
SIZES = st.integers(1, 12)


def _combined(parts: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    numbers = st.integers(1, 7).map(sympy.Integer)
    return st.one_of(
        st.builds(lambda x, y: x + y, parts, parts),
        st.builds(lambda x, y: x - y, parts, parts),
        st.builds(lambda x, y: x * y, parts, parts),
        st.builds(lambda x: x**2, parts),
        st.builds(F.FloorDiv, parts, st.one_of(numbers, st.sampled_from([h, w, h + 1]))),
        st.builds(F.PythonMod, parts, numbers),
        st.builds(F.Max, parts, parts),
        st.builds(F.Min, parts, parts),
    )


EXPRESSIONS = st.recursive(
    st.one_of(st.sampled_from([h, w]), st.integers(-5, 5).map(sympy.Integer)),
    _combined,
    max_leaves=8,
)
_COMPARED = st.builds(
    lambda compare, x, y: compare(x, y),
    st.sampled_from([sympy.Eq, sympy.Ne, sympy.Lt, sympy.Le, sympy.Gt, sympy.Ge]),
    EXPRESSIONS,
    EXPRESSIONS,
)
CONDITIONS = st.recursive(
    _COMPARED,
    lambda parts: (
        st.builds(sympy.And, parts, parts)
        | st.builds(sympy.Or, parts, parts)
        | st.builds(sympy.Not, parts)
    ),
    max_leaves=3,
)


def at(expression: Any, height: int, width: int) -> Any:
    return expression.xreplace({h: sympy.Integer(height), w: sympy.Integer(width)})


@given(EXPRESSIONS, SIZES, SIZES)
def test_a_size_is_what_python_computes(expression: Any, height: int, width: int) -> None:
    found = eval(as_python(expression), {}, {"height": height, "width": width})
    assert found == int(at(expression, height, width))


@given(CONDITIONS, SIZES, SIZES)
def test_a_condition_is_what_python_decides(condition: Any, height: int, width: int) -> None:
    text = as_python(condition)
    names = {"height": height, "width": width, "true": True, "false": False}
    assert bool(eval(text, {}, names)) == bool(at(condition, height, width))


@pytest.mark.parametrize(
    ("expression", "text"),
    [
        (h, "height"),
        (sympy.Integer(-3), "-3"),
        (-h, "-height"),
        (h - w, "height - width"),
        (-h - 1, "-height - 1"),
        (3 * h * w, "3 * height * width"),
        (h**2, "height ** 2"),
        ((h + 1) * w, "(height + 1) * width"),
        (F.FloorDiv(h, 2), "height // 2"),
        (F.FloorDiv(h - 1, 2) + 1, "(height + 1) // 2"),
        (F.FloorDiv(h - 1, 2) + 1 + w, "width + (height + 1) // 2"),
        (F.FloorDiv(h - 1, 2) - 1, "(height - 1) // 2 - 1"),
        (F.Mod(h, 16), "height % 16"),
        (F.PythonMod(h - 1, 2), "(height - 1) % 2"),
        (F.IntTrueDiv(h, 3), "height / 3"),
        (sympy.Eq(h, w), "height == width"),
        (sympy.Ne(1, h), "height != 1"),
        (sympy.Eq(F.Mod(h, 16), 0), "height % 16 == 0"),
        (h >= 32, "height >= 32"),
        (sympy.Not(h >= 32), "height < 32"),
        (F.Max(h, 3), "max(3, height)"),
    ],
)
def test_known_texts(expression: Any, text: str) -> None:
    assert as_python(expression) == text


def test_conditions_are_joined_by_words() -> None:
    assert as_python(sympy.And(h > 3, w > 3)) in (
        "height > 3 and width > 3",
        "width > 3 and height > 3",
    )
    either = sympy.Not(sympy.And(h > 3, w > 3), evaluate=False)
    assert as_python(either).startswith("not (")
