import re
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float

from shapezoo.contracts.language.axes import (
    Axis,
    Extent,
    align,
    differences,
    free_names,
    parse_axes,
)
from shapezoo.contracts.language.errors import ContractError
from shapezoo.contracts.matching.bindings import Bindings, frame

NAMES = st.sampled_from(["batch", "channels", "height", "seq"])
AXES = st.one_of(
    st.builds(Axis, name=NAMES, broadcast=st.booleans(), variadic=st.booleans()),
    st.builds(Axis, label=st.none() | NAMES, fixed=st.integers(0, 99), broadcast=st.booleans()),
    st.builds(
        Axis,
        label=st.none() | NAMES,
        expression=st.sampled_from(["height//2", "2*channels", "{self.width}", "min(seq,8)"]),
        broadcast=st.booleans(),
    ),
    st.just(Axis(variadic=True)),
    st.just(Axis()),
)


@pytest.mark.parametrize(
    ("text", "axis"),
    [
        ("batch", Axis(name="batch")),
        ("28", Axis(fixed=28)),
        ("channels=3", Axis(label="channels", fixed=3)),
        ("height//2", Axis(expression="height//2")),
        ("height=(height-1)//2+1", Axis(label="height", expression="(height-1)//2+1")),
        ("channels={self.in_channels}", Axis(label="channels", expression="{self.in_channels}")),
        ("kv_seq=seq", Axis(label="kv_seq", name="seq")),
        ("*batch", Axis(name="batch", variadic=True)),
        ("#batch", Axis(name="batch", broadcast=True)),
        ("*#batch", Axis(name="batch", variadic=True, broadcast=True)),
        ("...", Axis(variadic=True)),
        ("_", Axis()),
        ("_ignored", Axis()),
    ],
)
def test_each_form_is_read(text: str, axis: Axis) -> None:
    assert parse_axes(text) == (axis,)


@given(st.lists(AXES, max_size=5))
def test_text_of_axes_reads_back_as_the_same_axes(axes: list[Axis]) -> None:
    assert parse_axes(" ".join(map(str, axes))) == tuple(axes)


def test_names_bind_and_labels_do_not() -> None:
    axes = parse_axes("batch channels=3 width=2*batch kv_seq=seq #height _ 4 *classes")
    bound = ["batch", None, None, "seq", None, None, None, "*classes"]
    assert [axis.binds for axis in axes] == bound


def test_braces_are_no_reference_to_another_axis() -> None:
    (axis,) = parse_axes("{self.scale}*height+min(width,2)")
    assert axis.needs == {"height", "width"}
    assert axis.braces == ("{self.scale}",)


def test_braces_are_resolved_as_far_as_they_are_known() -> None:
    values = {"{self.scale}": 3, "{self.offset}": 1}
    first, second, third = parse_axes("{self.scale}*2+{self.offset} {self.scale}*height name")

    assert first.resolved(values) == Axis(fixed=7)
    assert second.resolved(values) == Axis(expression="3*height")
    assert third.resolved(values) is third


def test_an_expression_without_a_value() -> None:
    with pytest.raises(ContractError, match="axis '3//0' cannot be computed: "):
        parse_axes("{self.scale}//0")[0].resolved({"{self.scale}": 3})
    assert differences(parse_axes("height 4//height 2"), (0, 1, 3), {}) == [
        (2, Axis(fixed=2), 2, 3)  # an error is not explained by another one
    ]


@pytest.mark.parametrize(
    "text", ["?leaf", "3+", "height//", "a=b=c=", "height>=32", "seq==3", "{a}0", "{a}{b}"]
)
def test_what_is_no_axis_is_refused_with_its_text(text: str) -> None:
    with pytest.raises(ContractError) as error:
        parse_axes(text)
    assert text in str(error.value)


def test_names_in_an_expression() -> None:
    assert free_names("min(height + 1, 4)//stride") == {"height", "stride"}


def test_an_axis_as_data_has_what_is_set() -> None:
    assert [axis.to_dict() for axis in parse_axes("#batch classes=0 height//2 _")] == [
        {"name": "batch", "broadcast": True},
        {"label": "classes", "fixed": 0},
        {"expression": "height//2"},
        {},
    ]


@given(
    before=st.integers(0, 2),
    after=st.integers(0, 2),
    shape=st.lists(st.integers(0, 9), max_size=6).map(tuple),
)
def test_a_variadic_axis_takes_what_the_others_leave(
    before: int, after: int, shape: tuple[int, ...]
) -> None:
    text = " ".join([*("_" * before), "*batch", *("_" * after)])
    pairs = align(parse_axes(text), shape)
    if len(shape) < before + after:
        assert pairs is None
        return
    assert pairs is not None
    sizes: list[object] = []
    for position, _, size in pairs:
        assert position == len(sizes)
        sizes += size if isinstance(size, tuple) else (size,)
    assert tuple(sizes) == shape


def test_axes_without_a_variadic_one_fit_one_number_only() -> None:
    assert align(parse_axes("batch seq"), (2, None)) == [
        (0, Axis(name="batch"), 2),
        (1, Axis(name="seq"), None),
    ]
    assert align(parse_axes("batch seq"), (2,)) is None


TOKENS = st.sampled_from(
    ["2", "n=2", "height", "width", "#height", "*batch", "...", "_", "height+1", "2*width"]
)
SIZES = st.lists(st.integers(0, 3), max_size=3).map(tuple)


@given(st.lists(st.tuples(st.lists(TOKENS, max_size=3, unique=True), SIZES), max_size=3))
def test_differences_are_found_where_jaxtyping_finds_some(
    tensors: list[tuple[list[str], tuple[int, ...]]],
) -> None:
    bound: dict[str, Extent] = {}
    with frame(Bindings({}, {}, {})):
        for tokens, shape in tensors:
            axes = parse_axes(" ".join(tokens))
            known = frozenset(name for name in bound if not name.startswith("*"))
            names = known | {axis.name for axis in axes if axis.binds}
            if sum(axis.variadic for axis in axes) > 1 or any(a.needs - names for a in axes):
                return  # jaxtyping refuses the annotation
            if any(axis.needs - known for axis in axes):
                return  # the order of binding is jaxtyping's own
            annotation: Any = Float[torch.Tensor, " ".join(tokens)]
            fits = isinstance(torch.zeros(shape), annotation)
            assert (differences(axes, shape, bound) == []) is fits
            if not fits:
                return


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("(b h)", "axis '(b' is not valid; axes are separated by spaces, and a product is written"),
        ("n (2,3)", "axis '(2,3)': '(2, 3)' is a list; an axis has one size"),
    ],
)
def test_common_mistakes_in_a_shape_are_explained(text: str, message: str) -> None:
    with pytest.raises(ContractError, match=f"^{re.escape(message)}"):
        parse_axes(text)
