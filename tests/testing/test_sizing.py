"""Sizes that meet conditions, compared with an exhaustive search."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shapezoo import ContractError
from shapezoo.contracts import Condition
from shapezoo.testing.sizing import Sizes, solved

NAMES = ("batch", "height", "seq", "width")
MOST = 12
EVERY = range(1, MOST + 1)


def every(names: Sequence[str], conditions: Sequence[Condition]) -> list[Sizes]:
    """Return all sizes that meet these conditions, by trying all."""
    grid = (dict(zip(names, sizes, strict=True)) for sizes in itertools.product(EVERY, repeat=2))
    return [sizes for sizes in grid if all(condition.holds(sizes) for condition in conditions)]


def in_order(sizes: Sizes) -> list[tuple[str, int]]:
    return sorted(sizes.items())


@st.composite
def conditions_on(draw: st.DrawFn, names: Sequence[str]) -> Condition:
    left = draw(st.sampled_from([*names, *(f"{name} % 3" for name in names)]))
    right = draw(st.sampled_from([*names, "1", "4", "9", f"{names[0]} // 2", f"{names[-1]} - 2"]))
    text = f"{left} {draw(st.sampled_from(['<', '>=', '==', '!=', '>']))} {right}"
    return Condition(text if Condition(text).axes else f"{names[0]} > 0")


@settings(max_examples=40)
@given(
    first=st.lists(conditions_on(NAMES[:2]), max_size=3),
    second=st.lists(conditions_on(NAMES[2:]), max_size=3),
)
def test_sizes_are_those_of_trying_all(first: list[Condition], second: list[Condition]) -> None:
    pairs = ((NAMES[:2], first), (NAMES[2:], second))
    expected = [every(names, conditions) for names, conditions in pairs]
    wanted = dict.fromkeys(NAMES, EVERY)
    if not all(expected):
        with pytest.raises(ContractError, match="no sizes of"):
            solved(wanted, [*first, *second])
        return
    groups = solved(wanted, [*first, *second])
    assert sorted(axis for group in groups for axis in group[0]) == list(NAMES)
    for group in groups:
        assert all(sizes.keys() == group[0].keys() for sizes in group)
        sums = [sum(sizes.values()) for sizes in group]
        assert sums == sorted(sums)
    for (names, _), these in zip(pairs, expected, strict=True):
        own = [group for group in groups if group[0].keys() <= {*names}]
        found = [{k: n for s in some for k, n in s.items()} for some in itertools.product(*own)]
        assert sorted(map(in_order, found)) == sorted(map(in_order, these))
        smallest = min(sum(sizes.values()) for sizes in these)
        assert sum(sum(group[0].values()) for group in own) == smallest
    for some in itertools.islice(itertools.product(*groups), 50):
        sizes = {axis: size for part in some for axis, size in part.items()}
        assert all(condition.holds(sizes) for condition in [*first, *second])


def test_groups_are_independent_and_joined_by_conditions() -> None:
    wanted = dict.fromkeys(("a", "b", "c", "d"))
    alone = solved(wanted, [])
    assert [[*group[0]] for group in alone] == [["a"], ["b"], ["c"], ["d"]]
    assert [size["a"] for size in alone[0]] == list(range(1, 9))
    chained = solved(wanted, [Condition("a == d"), Condition("d < c")])
    assert [{*group[0]} for group in chained] == [{"a", "c", "d"}, {"b"}]
    assert chained[0][0] == {"a": 1, "c": 2, "d": 1}


@pytest.mark.parametrize(
    ("texts", "smallest"),
    [
        (["height >= 63"], {"height": 63}),
        (["height % 100 == 0"], {"height": 100}),
        (["4000 <= height"], {"height": 4000}),
        (["height == width + 30"], {"height": 31, "width": 1}),
        (["height * width == 12", "height > width"], {"height": 4, "width": 3}),
        (["batch > 1 or height > 32"], {"batch": 2, "height": 1}),
    ],
)
def test_the_smallest_sizes_come_first(texts: list[str], smallest: dict[str, int]) -> None:
    (group,) = solved(dict.fromkeys(smallest), list(map(Condition, texts)))
    assert group[0] == smallest


def test_given_sizes_are_chosen_from() -> None:
    (group,) = solved({"height": [9, 3, 700, 4]}, [Condition("height > 3")])
    assert group == [{"height": 4}, {"height": 9}, {"height": 700}]
    (group,) = solved({"height": range(40), "width": [30]}, [Condition("height == width")])
    assert group == [{"height": 30, "width": 30}]


def test_what_cannot_be_computed_is_not_met() -> None:
    (group,) = solved({"height": range(4), "width": [6]}, [Condition("width // height == 2")])
    assert group == [{"height": 3, "width": 6}]


@pytest.mark.parametrize(
    ("wanted", "texts", "words"),
    [
        ({"height": None}, ["height < 1"], ["height", "height < 1"]),
        ({"height": None}, ["height > 5000"], ["height", "height > 5000"]),
        ({"height": [3, 4]}, ["height > 4"], ["height > 4", "height is one of [3, 4]"]),
        ({"height": []}, [], ["height", "no conditions", "height is one of []"]),
        (
            {"height": [2], "width": None},
            ["height == 3 * width", "width < 9"],
            ["height, width", "height == 3 * width and width < 9", "height is one of [2]"],
        ),
    ],
)
def test_impossible_conditions_are_named(
    wanted: dict[str, Sequence[int] | None], texts: list[str], words: list[str]
) -> None:
    with pytest.raises(ContractError) as error:
        solved(wanted, list(map(Condition, texts)))
    assert all(word in str(error.value) for word in words)


def test_nothing_has_no_groups() -> None:
    assert solved({}, []) == []
