"""The conditions that accepted sizes meet are true, exact where it is claimed, and readable."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
import sympy
import z3
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._sympy import functions as F  # noqa: N812  # torch's functions of sizes

from shapezoo.proving.effort import Effort, WorkOverError, bounded, each_at_most
from shapezoo.proving.formulas import solving
from shapezoo.proving.limits.preconditions import preconditions
from shapezoo.proving.paths.exploring import ExecutionPath, Exploration

AXES = ("batch", "height", "width")
b, h, w = sympy.symbols("batch height width", integer=True, positive=True)


def explored(refused: Sequence[Any], axes: Sequence[str] = AXES) -> Exploration:
    """Return an exploration in which each condition is a refused path, and all else accepted."""
    domain = z3.And(*(z3.Int(axis) >= 1 for axis in axes))
    paths, rest = [], [domain]
    for condition in refused:
        guards = sympy.And.make_args(condition)
        region = z3.And(domain, *map(solving.translate, guards))
        paths.append(ExecutionPath((), guards, region, "raises", smallest=least(region, axes)))
        rest.append(z3.Not(region))
    accepted = z3.And(*rest)
    paths.append(ExecutionPath((), (), accepted, "holds", smallest=least(accepted, axes)))
    subject: Any = type("Subject", (), {"axes": tuple(axes), "sampled": ()})
    return Exploration(subject, domain, paths)


def least(region: Any, axes: Sequence[str]) -> Any:
    found = solving.example(region, axes=axes)
    return found and solving.smallest_where(region, axes=axes, start=found)


def texts(*refused: Any, axes: Sequence[str] = AXES) -> list[str]:
    conditions, is_exact = preconditions(explored(refused, axes))
    assert is_exact
    return [str(condition) for condition in conditions]


def remainder(size: Any, divisor: int) -> Any:
    return F.PythonMod(size, divisor)


def not_in(size: Any, *numbers: int) -> Any:
    return sympy.And(*(sympy.Ne(size, number) for number in numbers))


with solving.sound_sympy():
    VIEWED = remainder((4 * h + 4) * b * w, 6)
WINDOWED = [sympy.Ne(remainder(F.FloorDiv(h - 1, s) + 1, 7), 0) for s in (4, 8, 16, 32)]
POOLED = F.FloorDiv(w - 1, 2) * (F.FloorDiv(h - 3, 2) * 4 + 4)


@pytest.mark.parametrize(
    ("refused", "expected"),
    [
        ([h < 9], ["height >= 9"]),
        ([h < 9, sympy.And(h >= 9, w < 9)], ["height >= 9", "width >= 9"]),
        ([h < 700], ["height >= 700"]),
        ([h > 512], ["height <= 512"]),
        ([sympy.Ne(h, 224), sympy.Ne(w, 224)], ["height == 224", "width == 224"]),
        ([F.FloorDiv(h - 3, 4) < 5], ["height >= 23"]),
        ([sympy.Ne(remainder(h, 16), 0)], ["height % 16 == 0"]),
        ([sympy.Ne(remainder(h, 128), 0)], ["height % 128 == 0"]),
        ([sympy.Ne(remainder(h, 4), 1)], ["height % 4 == 1"]),
        ([sympy.Eq(remainder(h, 5), 3)], ["height % 5 != 3"]),
        ([not_in(remainder(h, 32), 0, 29, 30, 31)], ["height % 32 in (0, 29, 30, 31)"]),
        ([sympy.Ne(remainder(h + 3, 32), remainder(h + 3, 4))], ["height % 32 in (0, 29, 30, 31)"]),
        ([sympy.And(b > 1, sympy.Ne(remainder(b, 2), 0))], ["batch == 1 or batch % 2 == 0"]),
        ([sympy.And(b > 3, sympy.Ne(remainder(b, 4), 0))], ["batch <= 3 or batch % 4 == 0"]),
        ([not_in(b, 1, 2, 4)], ["batch in (1, 2, 4)"]),
        ([sympy.Eq(b, 3)], ["batch != 3"]),
        ([sympy.Ne(h, w)], ["height == width"]),
        ([sympy.Ne(4 * h, 4 * w + 8)], ["height == width + 2"]),
        ([h < w], ["height >= width"]),
        ([h + 5 < w], ["height >= width - 5"]),
        ([sympy.Eq(h, w)], ["height != width"]),
        ([sympy.Ne(F.PythonMod(h, w), 0)], ["height % width == 0"]),
        ([sympy.Ne(h * w, 12)], ["height * width == 12"]),
        ([sympy.Ne(remainder(h * w, 6), 0)], ["height * width % 6 == 0"]),
        ([sympy.Ne(remainder(h + w, 6), 0)], ["(height + width) % 6 == 0"]),
        ([sympy.Ne(VIEWED, 0)], ["batch * (height + 1) * width % 3 == 0"]),
        ([sympy.Ne(POOLED, 676)], ["((height - 1) // 2) * ((width - 1) // 2) == 169"]),
        ([sympy.And(b < 2, h < 33, w < 33)], ["batch > 1 or height > 32 or width > 32"]),
        ([sympy.And(h < 8, w < 8)], ["height > 7 or width > 7"]),
    ],
    ids=str,
)  # fmt: skip
def test_conditions_as_a_person_writes_them(refused: list[Any], expected: list[str]) -> None:
    assert texts(*refused) == expected


def test_a_condition_follows_from_the_guards_on_its_axes() -> None:
    """Even where products of other sizes keep z3 from an answer."""
    refused = [*WINDOWED, sympy.Ne(remainder(b * b * h * w + b * w * w, 10), 0)]
    exploration = explored(refused)
    (accepted,) = exploration.ending("holds")
    accepted.guards = tuple(sympy.Not(condition) for condition in refused)
    found, _ = preconditions(exploration)
    assert "height % 224 in (0, 221, 222, 223)" in map(str, found)


def test_nothing_refused() -> None:
    assert texts() == []


def test_no_size_accepted() -> None:
    assert preconditions(explored([h >= 1])) == ((), False)


_SIZES = st.recursive(
    st.sampled_from([b, h, w, F.FloorDiv(h - 1, 2), F.FloorDiv(w, 3), remainder(h, 4)])
    | st.integers(1, 7).map(sympy.Integer),
    lambda parts: (
        st.builds(lambda x, y: x + y, parts, parts)
        | st.builds(lambda x, y: x * y, parts, parts)
        | st.builds(remainder, parts, st.sampled_from([2, 3, 4]))
    ),
    max_leaves=3,
)
_COMPARED = st.builds(
    lambda compare, x, y: compare(x, y),
    st.sampled_from([sympy.Eq, sympy.Ne, sympy.Lt, sympy.Ge]),
    _SIZES,
    _SIZES,
)
_REFUSED = st.lists(_COMPARED | st.builds(sympy.And, _COMPARED, _COMPARED), min_size=1, max_size=3)


@pytest.mark.slow
@given(_REFUSED)
@settings(max_examples=25, deadline=None)
def test_random_regions(refused: list[Any]) -> None:
    try:
        with bounded(Effort(0.3)):
            conditions, is_exact = preconditions(explored(refused))
    except WorkOverError:
        return
    for sizes in itertools.product(range(1, 9), repeat=3):
        known = dict(zip((b, h, w), map(sympy.Integer, sizes), strict=True))
        is_refused = any(bool(condition.xreplace(known)) for condition in refused)
        meets = all(c.holds(dict(zip(AXES, sizes, strict=True))) for c in conditions)
        assert is_refused or meets, (sizes, conditions)
        assert not is_exact or meets is not is_refused, (sizes, conditions)


def test_a_condition_that_is_not_shown_is_not_claimed() -> None:
    hard = sympy.Eq(h**3, 2 * w**3 + 1_000_001)
    with each_at_most(10_000), bounded(Effort(1.0)):
        conditions, is_exact = preconditions(explored([sympy.And(hard, b > 3)]))
    assert not is_exact
    assert all(c.holds({"batch": 5, "height": 5, "width": 7}) for c in conditions)


def test_the_search_draws_from_the_effort() -> None:
    subject = explored([h < 9, w < 9])
    with bounded(Effort(0.3)) as effort:
        preconditions(subject)
    assert 0 < effort.used < 0.07
    with pytest.raises(WorkOverError), bounded(Effort(effort.used / 4)):
        preconditions(subject)
