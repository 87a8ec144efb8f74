"""Algebra decides what z3 cannot, and does not change the meaning of a condition."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._sympy import functions as F  # noqa: N812  # torch's functions of sizes

from shapezoo.proving.formulas import solving
from shapezoo.proving.formulas.algebra import all_settled, degree, settled

b, p, q = sympy.symbols("b p q", integer=True, positive=True)
POSITIVE = [solving.parse(f"{name} >= 1") for name in "bpq"]
SEVENS = [*POSITIVE, solving.parse("p % 7 == 0"), solving.parse("q % 7 == 0")]
WINDOWS = F.FloorDiv(p, 7) * F.FloorDiv(q, 7)


def padded(size: Any) -> Any:
    return size + F.PythonMod(7 - F.PythonMod(size, 7), 7)


def test_windows_of_a_padded_image() -> None:
    condition = sympy.Eq(4704 * b * WINDOWS, 96 * b * p * q)
    assert settled(condition, *SEVENS) == sympy.true
    assert settled(sympy.Ne(4704 * b * WINDOWS, 96 * b * p * q), *SEVENS) == sympy.false
    assert settled(condition, *POSITIVE) == sympy.Eq(49 * WINDOWS, p * q)
    assert settled(condition, *SEVENS[:-1]) != sympy.true


def test_a_padding_is_exact_without_premises() -> None:
    high, wide = padded(p), padded(q)
    windows = F.FloorDiv(high, 7) * F.FloorDiv(wide, 7)
    assert settled(sympy.Eq(49 * b * windows, b * high * wide), *POSITIVE) == sympy.true
    assert settled(sympy.Eq(49 * b * windows, b * high * p), *POSITIVE) == sympy.Eq(wide, p)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (sympy.Eq(4704 * b * WINDOWS, 97 * b * p * q), sympy.false),
        (sympy.Eq(b * p * q, 21 * b * q), sympy.Eq(p, 21)),
        (sympy.Eq(b * p, b * q), sympy.Eq(p, q)),
        (b * p * p < b * p * q, p < q),
        (b * p * q >= 14 * b * q, p >= 14),
        (sympy.Eq(p**2, q**2), sympy.Eq(p, q)),
        (sympy.Eq(F.PythonMod(p, 7) * b * q, b), sympy.false),
        (sympy.Eq(p * q, 12), sympy.Eq(p * q, 12)),
        (sympy.Eq(8 * (p - 1) * q, 8), sympy.And(sympy.Eq(p - 1, 1), sympy.Eq(q, 1))),
        (sympy.Ne(8 * p * q - 8 * q, 8), sympy.Or(sympy.Ne(p - 1, 1), sympy.Ne(q, 1))),
        (sympy.Eq((p - 9) * q, 1), sympy.Eq((p - 9) * q, 1)),
        (sympy.Eq(p * q, (p + 1) * q - q + 1), sympy.false),
        (p * q - 1 < (p + 1) * q - q, sympy.true),
        (sympy.Eq(p, q), sympy.Eq(p, q)),
        (p * q > 0.5, p * q > 0.5),
        (sympy.Or(p * b > b, q > 1), sympy.Or(p * b > b, q > 1)),
    ],
)
def test_known_results(condition: Any, expected: Any) -> None:
    assert settled(condition, *SEVENS) == expected


def test_divisors_that_are_sizes() -> None:
    heads = sympy.Eq(F.FloorDiv(p, q) * q * b, p * b)
    divides = [*POSITIVE, solving.parse("p % q == 0")]
    assert settled(heads, *divides) == sympy.true
    assert settled(heads, *POSITIVE) != sympy.true


def test_conditions_settle_one_another() -> None:
    product = sympy.Eq(4704 * b * WINDOWS, 96 * b * p * q)
    both = [sympy.Eq(F.PythonMod(p, 7), 0), sympy.Eq(F.PythonMod(q, 7), 0)]
    assert list(all_settled([*both, product, product], *POSITIVE)) == both
    assert len(list(all_settled([product, *both], *POSITIVE))) == 3


def test_degrees() -> None:
    assert degree(sympy.Eq(p * q**2, b)) == 3
    assert degree(F.FloorDiv(p, 7) * q) == 2
    assert degree(sympy.Integer(3)) == 0


_PARTS = st.recursive(
    st.sampled_from(
        [
            b,
            p,
            q,
            padded(p),
            F.FloorDiv(padded(p), 7),
            F.FloorDiv(p, 2),
            F.FloorDiv(q, 3),
            F.FloorDiv(p + q, 2),
        ]
    )
    | st.sampled_from([F.PythonMod(p, 2), F.PythonMod(b + p, 3), F.FloorDiv(p, q)])
    | st.integers(-4, 4).map(sympy.Integer),
    lambda parts: (
        st.builds(lambda x, y: x + y, parts, parts) | st.builds(lambda x, y: x * y, parts, parts)
    ),
    max_leaves=5,
)
_RELATIONS = st.builds(
    lambda relation, x, y, z: relation(x * z, y * z),
    st.sampled_from([sympy.Eq, sympy.Ne, sympy.Lt, sympy.Le, sympy.Gt, sympy.Ge]),
    _PARTS,
    _PARTS,
    _PARTS,
)
_PREMISES = ["p % 2 == 0", "q % 3 == 0", "p % q == 0", "(p + q) % 2 == 0", "p == 2 * q", "b > 2"]


def points(premises: list[str]) -> Iterator[dict[Any, Any]]:
    for sizes in itertools.product(range(1, 7), repeat=3):
        names = dict(zip("bpq", sizes, strict=True))
        if all(eval(premise, {}, names) for premise in premises):
            yield dict(zip((b, p, q), map(sympy.Integer, sizes), strict=True))


@given(_RELATIONS, st.lists(st.sampled_from(_PREMISES), max_size=3, unique=True))
@settings(max_examples=30, deadline=None)
def test_the_meaning_stays(condition: Any, premises: list[str]) -> None:
    found = settled(condition, *POSITIVE, *map(solving.parse, premises))
    for sizes in points(premises):
        assert bool(found.xreplace(sizes)) == bool(condition.xreplace(sizes)), sizes
