"""Variants of a contract are complete, and each can be called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from shapezoo import checked, signature
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.contracts.examples.variants import MOST, Variant, variants


@dataclass(frozen=True)
class Labelled:
    images: Float[Tensor, "batch features"]
    labels: Int64[Tensor, "batch"] | None


class Batch(TypedDict):
    images: Float[Tensor, "batch features"]
    mask: Bool[Tensor, "#batch"]


@checked
def plain(x: Float[Tensor, "batch"]) -> None: ...
@checked
def optional(x: Float[Tensor, "batch"], state: Float[Tensor, "batch"] | None = None) -> None: ...
@checked
def nullable(x: Float[Tensor, "batch"], state: Float[Tensor, "batch"] | None) -> None: ...
@checked
def union(x: Float[Tensor, "batch"] | Int64[Tensor, "batch seq"]) -> None: ...
@checked
def flag(x: Float[Tensor, "batch"], causal: bool = False) -> None: ...
@checked
def required_flag(x: Float[Tensor, "batch"], causal: bool) -> None: ...
@checked
def mode(x: Float[Tensor, "batch"], mode: Literal["mean", "sum"] = "sum") -> None: ...
@checked
def number(x: Float[Tensor, "batch"], count: int = 3, name: str = "x") -> None: ...
@checked
def variadic(x: Float[Tensor, "*batch 2"], y: Float[Tensor, "*batch"]) -> None: ...
@checked
def two_variadic(x: Float[Tensor, "*batch"], y: Float[Tensor, "*rest"]) -> None: ...
@checked
def broadcast(x: Float[Tensor, "batch seq"], y: Float[Tensor, "#batch #seq"]) -> None: ...
@checked
def anything(x: Float[Tensor, "_ batch _"], y: Float[Tensor, "... 3"]) -> None: ...
@checked
def a_list(x: list[Float[Tensor, "batch"]]) -> None: ...
@checked
def several(*x: Float[Tensor, "batch"]) -> None: ...
@checked
def a_dict(x: Float[Tensor, "batch"], **others: Float[Tensor, "batch"]) -> None: ...
@checked
def a_tuple(x: tuple[Float[Tensor, "batch"], Int64[Tensor, "batch"] | None]) -> None: ...
@checked
def record(x: Labelled) -> None: ...
@checked
def typed_dict(x: Batch) -> None: ...
@checked
def gap(
    x: Float[Tensor, "batch"],
    first: Float[Tensor, "batch"] | None = None,
    second: Float[Tensor, "batch"] | None = None,
    *,
    third: bool = True,
) -> None: ...


KNOWN: list[tuple[Callable[..., Any], list[str]]] = [
    (plain, [""]),
    (optional, ["state=None", "state given"]),
    (nullable, ["state given", "state: None"]),
    (union, ['x: Float[Tensor, "batch"]', 'x: Int64[Tensor, "batch seq"]']),
    (flag, ["causal=False", "causal=True"]),
    (required_flag, ["causal=False", "causal=True"]),
    (mode, ["mode='sum'", "mode='mean'"]),
    (number, ["count=3, name='x'"]),
    (variadic, [f"*batch of {rank}" for rank in range(4)]),
    (two_variadic, [f"*batch of {i}, *rest of {j}" for i in range(4) for j in range(4)]),
    (broadcast, ["", "y with seq=1", "y with batch=1", "y with batch=1, y with seq=1"]),
    (anything, [f"*y_0 of {rank}" for rank in range(4)]),
    (a_list, [""]),
    (several, [""]),
    (a_dict, [""]),
    (a_tuple, ["x[1] given", "x[1]: None"]),
    (record, ["x[1] given", "x[1]: None"]),
    (typed_dict, ["", "x[1] with batch=1"]),
    (
        gap,
        [
            f"{first}, {second}, third={third}"
            for first in ("first=None", "first given")
            for second in ("second=None", "second given")
            for third in (True, False)
        ],
    ),
]


def accepts(function: Callable[..., Any], variant: Variant, sizes: dict[str, int]) -> bool:
    """Whether the function accepts the arguments made from a variant of its contract."""
    args, kwargs = example_arguments(variant.contract, sizes)
    function(*args, **kwargs)
    return True


def known_name(case: object) -> str:
    return getattr(case, "__name__", "")


@pytest.mark.parametrize(("function", "labels"), KNOWN, ids=known_name)
def test_labels(function: Callable[..., Any], labels: list[str]) -> None:
    ways, are_all = variants(signature(function))
    assert [way.label for way in ways] == labels
    assert are_all


@pytest.mark.parametrize("function", [function for function, _ in KNOWN], ids=known_name)
@given(st.data())
@settings(max_examples=8)
def test_every_way_can_be_called(function: Callable[..., Any], data: st.DataObject) -> None:
    for way in variants(signature(function))[0]:
        axes = free_axes(way.contract)
        sizes = {axis: data.draw(st.integers(1, 4), axis) for axis in axes}
        assert accepts(function, way, sizes)


@pytest.mark.parametrize("function", [function for function, _ in KNOWN], ids=known_name)
def test_ways_leave_nothing_open_but_sizes(function: Callable[..., Any]) -> None:
    for way in variants(signature(function))[0]:
        text = str(way.contract)
        assert "#" not in text
        assert "*" not in text.replace("*, ", "").replace("*x:", "")
        assert "|" not in text
        assert "=" not in text.replace("axis=", "")


def shapes(function: Callable[..., Any]) -> list[list[str]]:
    """Return the axes of the arguments of each variant."""
    ways, _ = variants(signature(function))
    return [[str(argument.type) for argument in way.contract.inputs] for way in ways]


def test_variadic_axes_are_the_same_in_all_arguments() -> None:
    assert shapes(variadic) == [
        ['Float[Tensor, "2"]', 'Float[Tensor, ""]'],
        ['Float[Tensor, "batch 2"]', 'Float[Tensor, "batch"]'],
        ['Float[Tensor, "batch_0 batch_1 2"]', 'Float[Tensor, "batch_0 batch_1"]'],
        [
            'Float[Tensor, "batch_0 batch_1 batch_2 2"]',
            'Float[Tensor, "batch_0 batch_1 batch_2"]',
        ],
    ]


def test_a_broadcast_axis_is_also_one() -> None:
    assert [kinds[1] for kinds in shapes(broadcast)] == [
        'Float[Tensor, "batch seq"]',
        'Float[Tensor, "batch 1"]',
        'Float[Tensor, "1 seq"]',
        'Float[Tensor, "1 1"]',
    ]


def test_an_axis_of_any_size_gets_a_name() -> None:
    assert shapes(anything)[0][0] == 'Float[Tensor, "x_0 batch x_2"]'


def test_what_follows_a_gap_is_given_by_name() -> None:
    way = next(w for w in variants(signature(gap))[0] if w.label.startswith("first=None, second g"))
    args, kwargs = example_arguments(way.contract, {"batch": 2})
    assert len(args) == 1
    assert [*kwargs] == (["second"] if "third=True" in way.label else ["second", "third"])


@pytest.mark.parametrize(
    ("function", "sampled"),
    [
        (plain, ()),
        (a_tuple, ()),
        (a_list, ("the number of items of x",)),
        (several, ("the number of items of x",)),
    ],
    ids=known_name,
)
def test_what_is_sampled(function: Callable[..., Any], sampled: tuple[str, ...]) -> None:
    assert all(way.sampled == sampled for way in variants(signature(function))[0])


def many(
    a: bool, b: bool, c: bool, d: bool, e: bool, x: Float[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    return x


def as_many_as_allowed(
    a: bool, b: Literal[1, 2, 3], c: bool, d: bool, x: Float[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    return x


def test_there_are_not_too_many() -> None:
    ways, are_all = variants(signature(many))
    assert len(ways) == MOST == 24
    assert not are_all
    ways, are_all = variants(signature(as_many_as_allowed))
    assert len(ways) == MOST
    assert are_all
