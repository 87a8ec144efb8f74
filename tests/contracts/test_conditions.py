"""Conditions on sizes: which sizes satisfy them, and the message for those that do not."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shapezoo import ContractError
from shapezoo.contracts.language.conditions import Condition, all_of

SIZES = st.integers(0, 12)
_TERMS = st.recursive(
    st.sampled_from(["height", "width", "1", "2", "5"]),
    lambda terms: st.builds(
        "({} {} {})".format, terms, st.sampled_from(["+", "-", "*", "//", "%"]), terms
    ),
    max_leaves=4,
)
_COMPARED = st.builds(
    "{} {} {}".format, _TERMS, st.sampled_from(["<", "<=", "==", "!=", ">", ">="]), _TERMS
) | st.builds(
    "{} {} {}".format,
    _TERMS,
    st.sampled_from(["in", "not in"]),
    st.lists(st.integers(-2, 9), min_size=1, max_size=4).map(tuple),
)
CONDITIONS = st.recursive(
    _COMPARED,
    lambda parts: (
        st.builds("({} and {})".format, parts, parts)
        | st.builds("({} or {})".format, parts, parts)
        | st.builds("(not {})".format, parts)
    ),
    max_leaves=4,
)


@given(CONDITIONS, SIZES, SIZES)
def test_it_holds_where_python_says_so(text: str, height: int, width: int) -> None:
    sizes = {"height": height, "width": width}
    try:
        expected = eval(text, {}, dict(sizes))
    except ZeroDivisionError:
        expected = False
    assert Condition(text).holds(sizes) == bool(expected)
    assert Condition(text).holds(sizes | {"batch": 1}) == bool(expected)


@pytest.mark.parametrize("text", ["height % width == 0", "not (height // (width - 1) == 2)"])
def test_sizes_that_divide_by_zero_do_not_meet_it(text: str) -> None:
    assert Condition(text).holds({"height": 6, "width": 3})
    assert not Condition(text).holds({"height": 6, "width": 0 if "-" not in text else 1})


@pytest.mark.parametrize(
    ("text", "axes"),
    [
        ("height >= 63", ("height",)),
        ("width > height", ("width", "height")),
        ("height % 2 == 0 and batch * height > 1", ("height", "batch")),
        ("1 < batch", ("batch",)),
        ("not (seq == 3 or batch == 1)", ("seq", "batch")),
        ("1 < 2", ()),
    ],
)
def test_axes_come_in_order_of_first_use(text: str, axes: tuple[str, ...]) -> None:
    assert Condition(text).axes == axes


def test_an_axis_without_a_size() -> None:
    with pytest.raises(KeyError, match="width"):
        Condition("height > width").holds({"height": 2})


@pytest.mark.parametrize(
    ("text", "sizes", "explained"),
    [
        ("height >= 63", {"height": 62}, "height must be at least 63, got 62"),
        ("height <= 63", {"height": 64}, "height must be at most 63, got 64"),
        ("height > 63", {"height": 63}, "height must be above 63, got 63"),
        ("height < 63", {"height": 63}, "height must be below 63, got 63"),
        ("height == 63", {"height": 62}, "height must be 63, got 62"),
        ("batch != 1", {"batch": 1}, "batch must be other than 1, got 1"),
        ("height % 16 == 0", {"height": 17}, "height must be a multiple of 16, got 17"),
        (
            "height == width",
            {"height": 2, "width": 3},
            "height must be width, got height=2, width=3",
        ),
        (
            "height >= 2 * width",
            {"height": 2, "width": 3},
            "height must be at least 2 * width, got height=2, width=3",
        ),
        (
            "height % width == 0",
            {"height": 2, "width": 3},
            "height must be a multiple of width, got height=2, width=3",
        ),
        (
            "height % 16 == 1",
            {"height": 16},
            "sizes must meet height % 16 == 1, got height=16",
        ),
        ("height in (224,)", {"height": 7}, "height must be 224, got 7"),
        ("height in (1, 2, 4)", {"height": 3}, "height must be 1, 2 or 4, got 3"),
        (
            "height % 32 in (0, 31)",
            {"height": 33},
            "height % 32 must be 0 or 31, got height=33",
        ),
        (
            "height not in (3, 5)",
            {"height": 3},
            "sizes must meet height not in (3, 5), got height=3",
        ),
        (
            "1 < height < 5",
            {"height": 5},
            "sizes must meet 1 < height < 5, got height=5",
        ),
        (
            "height < 3 or batch > 2",
            {"height": 4, "batch": 1, "width": 9},
            "sizes must meet height < 3 or batch > 2, got height=4, batch=1",
        ),
        (
            "batch * height != 1",
            {"height": 1, "batch": 1},
            "sizes must meet batch * height != 1, got batch=1, height=1",
        ),
    ],
)
def test_what_is_wrong_is_explained(text: str, sizes: dict[str, int], explained: str) -> None:
    condition = Condition(text)
    assert not condition.holds(sizes)
    assert condition.explain(sizes) == explained


@pytest.mark.parametrize(
    "text",
    [
        "",
        "height >=",
        "height = 3",
        "height",
        "height + 1",
        "height and width",
        "f(height) > 1",
        "height.real > 1",
        "sizes[0] > 1",
        "[height] > [1]",
        "(lambda: 1) > 1",
        "height > 1 if width > 1 else width",
        "(height := 2) > 1",
        "{height} > {1}",
        "f'{height}' > 'x'",
        "__import__('os').getpid() > 1",
        "height > 1; width > 1",
        "import os",
        "height > True",
        "height > 1.5",
        "height / 2 > 1",
        "height ** 2 > 1",
        "height % 0 == 1",
        "height // 0 > 1",
        "height + f(1) > 2",
        "~height > 2",
        "-f(1) > 2",
        "height in width",
        "height in ()",
        "height in [1, 2]",
        "height in 3",
        "height in (1, True)",
        "height in (1, 1.5)",
        "height in (1, width)",
        "height in (1, 2 + 3)",
        "(1, 2) in height",
        "1 < height in (1, 2)",
        "height in (1, 2) in (3, 4)",
        "(1, 2) == height",
        "1 < height is width",
        "height > 1 and f(1)",
        "not f(1)",
    ],
)
def test_what_is_no_condition_is_refused(text: str) -> None:
    with pytest.raises(ContractError, match="is not a condition on sizes"):
        Condition(text)


@given(CONDITIONS)
def test_its_text_means_the_same_and_stays(text: str) -> None:
    stored = Condition(text).text
    assert ast.dump(ast.parse(stored)) == ast.dump(ast.parse(text))
    assert Condition(stored).text == stored


@pytest.mark.parametrize("text", [b"height > 1\0", "height > 1\0"])
def test_what_python_cannot_read_is_refused(text: str) -> None:
    with pytest.raises(ContractError):
        Condition(text)


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("-height<-2", "-height < -2"),
        ("(height > 1) and (width > 1 or batch > 1)", "height > 1 and (width > 1 or batch > 1)"),
        ("a > 1 or (b > 1 and c > 1) or d > 1", "a > 1 or (b > 1 and c > 1) or d > 1"),
        ("not (height > 1 and width > 1)", "not (height > 1 and width > 1)"),
        ("not not height>1", "not not height > 1"),
        ("not (height > 1)", "not height > 1"),
        ("height//2*(width//2)==9", "(height // 2) * (width // 2) == 9"),
        ("(height*2)//width%3 < 1", "height * 2 // width % 3 < 1"),
        ("height-(width-1) > -(1+batch)", "height - (width - 1) > -(1 + batch)"),
        ("height*(2*width) > - -1", "height * (2 * width) > --1"),
        ("height in (1,2)", "height in (1, 2)"),
        ("height%32 not in (-1,)", "height % 32 not in (-1,)"),
    ],
)
def test_its_text_is_written_in_one_way(text: str, stored: str) -> None:
    assert str(Condition(text)) == stored


def test_several_conditions_have_one_text() -> None:
    first, second = Condition("height > 1"), Condition("width > 1 or batch > 1")
    assert all_of([]) == ""
    assert all_of([second]) == "width > 1 or batch > 1"
    assert all_of([first, second]) == "height > 1 and (width > 1 or batch > 1)"


def test_it_is_its_text() -> None:
    condition = Condition("height >= 32")
    assert str(condition) == "height >= 32"
    assert condition == Condition("height >= 32")
    assert {condition, Condition("height >= 32")} == {condition}
