"""Every difference from jaxtyping with beartype that is kept on purpose.

The table in `docs/from-jaxtyping.md` has a row for each, and no others.
"""

import copy
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple, Self, TypedDict, Unpack, no_type_check

import pytest
import torch
from beartype.roar import BeartypeDecorHintPep673Exception
from beartype.vale import Is
from jaxtyping import Float, Float32, Shaped
from tests.contracts.jaxtyping_outcomes import outcome, with_jaxtyping
from torch import Tensor

import shapezoo
from shapezoo import ContractError, ShapeError, checked

PAGE = Path(__file__).parents[2] / "docs" / "from-jaxtyping.md"
Narrow = Float32[Tensor, "n"]


def f(*shape: int) -> Tensor:
    return torch.zeros(shape)


@dataclass
class Batch:
    x: Float[Tensor, "n"]
    y: Float[Tensor, "n"]


class Pair(NamedTuple):
    x: Float[Tensor, "n"]
    y: Float[Tensor, "n"]


class Sizes(TypedDict):
    x: Float[Tensor, "n"]
    y: Float[Tensor, "n"]


def no_result(x: Float[Tensor, "n"]):  # type: ignore[no-untyped-def]
    return x


def no_argument(x: Float[Tensor, "n"], y) -> None: ...  # type: ignore[no-untyped-def]
def loose(x: Float[Tensor, "n"]) -> Float[Tensor, "m"]:
    return f(7)


def perhaps(x: Float[Tensor, "n"], y: Float[Tensor, "m"] | None = None) -> Float[Tensor, "n m"]:
    return f(2, 3)


def too_early(x: Float[Tensor, "2*n"], y: Float[Tensor, "n"]) -> None: ...
def condition(x: Float[Tensor, "n"], y: Float[Tensor, "n*(n>1)"]) -> None: ...
def attribute(x: Float[Tensor, "n"], y: Float[Tensor, "n.real"]) -> None: ...
def text(x: Float[Tensor, "n"], y: Float[Tensor, 'n+len("ab")']) -> None: ...
def division(x: Float[Tensor, "n"], y: Float[Tensor, "4//n"]) -> None: ...
def named_by_argument(x: Float[Tensor, "n"], name: str, y: Float[Tensor, "{name}"]) -> None: ...
def squared(size: int, x: Float[Tensor, "{size}**2"]) -> None: ...
def tree_path(x: Float[Tensor, "?n"]) -> None: ...
def two_dtypes(x: Shaped[Narrow, "batch"]) -> None: ...
def ones(x: Float[Tensor, "#n"], y: Float[Tensor, "#n"]) -> Float[Tensor, "n"]:
    return f(5)


def mapping(xs: dict[str, Float[Tensor, "n"]]) -> None: ...
def numbers(xs: list[int]) -> None: ...
def iterable(xs: Iterable[Float[Tensor, "n"]]) -> None: ...
def generator(x: Float[Tensor, "n"]) -> Iterator[Tensor]:
    yield x


def record(batch: Batch) -> None: ...
def pair(batch: Pair) -> None: ...
def typed(batch: Sizes) -> None: ...
def wrong_default(x: Float[Tensor, "n"], y: Float[Tensor, "n"] = f(3)) -> None: ...  # noqa: B008
def none_default(x: Float[Tensor, "n"] = None) -> None: ...  # type: ignore[assignment]
def tower(scale: float) -> None: ...
def grows(xs: list[Float[Tensor, "n"]]) -> None:
    xs[0] = f(3, 3)


def half_fits(
    x: tuple[Float[Tensor, "n"], Float[Tensor, "m"]] | tuple[Tensor, Tensor], y: Float[Tensor, "n"]
) -> None: ...
def validated(x: Annotated[Float[Tensor, "n"], Is[lambda x: x.sum() == 0]]) -> None: ...
def keywords(**sizes: Unpack[Sizes]) -> None: ...
async def asynchronous(x: Float[Tensor, "n"]) -> Any: ...


class NotData:
    def take(self, x: Float[Tensor, "n"]) -> None: ...


def helper(x: Tensor) -> None:
    if not isinstance(x, Float[Tensor, "n"]):  # type: ignore[arg-type]  # jaxtyping's idiom
        raise NotImplementedError


def has_helper(x: Float[Tensor, "n"]) -> None:
    helper(torch.cat([x, x]))


DIFFERENCES: dict[str, list[tuple[Any, tuple[Any, ...], str, str]]] = {
    "a missing annotation": [
        (no_result, (f(2),), "accepted", "definition is refused"),
        (no_argument, (f(2), 3), "accepted", "definition is refused"),
    ],
    "an axis of the result that no argument binds": [
        (loose, (f(2),), "accepted", "definition is refused"),
        (perhaps, (f(2),), "accepted", "refused"),
        (perhaps, (f(2), f(3)), "accepted", "accepted"),
    ],
    "an expression over an axis that is used before it is bound": [
        (too_early, (f(4), f(2)), "cannot be computed", "definition is refused"),
    ],
    '`n.real`, `n+len("ab")`, `n*(n>1)`': [
        (attribute, (f(2), f(2)), "accepted", "definition is refused"),
        (text, (f(2), f(4)), "accepted", "definition is refused"),
        (condition, (f(2), f(2)), "accepted", "definition is refused"),
    ],
    "an undefined expression (division by zero), `4//n` where `n` is 0": [
        (division, (f(0), f(4)), "refused", "cannot be computed"),
    ],
    "`{name}` where `name` is a string": [
        (named_by_argument, (f(2), "n", f(2)), "accepted", "cannot be computed"),
    ],
    "`{size}**2` where `size` is -3": [
        (squared, (-3, f(9)), "refused", "accepted"),
        (squared, (3, f(9)), "accepted", "accepted"),
    ],
    "`?name` outside a `PyTree`": [
        (tree_path, (f(2),), "cannot be computed", "definition is refused"),
    ],
    '`Shaped[Float32[Tensor, "n"], "batch"]`': [
        (two_dtypes, (f(2, 3),), "accepted", "definition is refused"),
    ],
    "`n` in the result, if every argument has `#n` and size 1": [
        (ones, (f(1), f(1)), "accepted", "refused"),
        (ones, (f(1), f(5)), "accepted", "accepted"),
    ],
    "items of a list, dict or other collection": [
        (mapping, ({"a": f(2), "b": f(3)},), "accepted", "refused"),
        (numbers, ([1] * 1000 + ["a"],), "accepted", "refused"),
    ],
    "`Iterable`, `Iterator`, `Generator` of something": [
        (iterable, ([f(2)],), "accepted", "definition is refused"),
        (generator, (f(2),), "accepted", "definition is refused"),
    ],
    "fields of a dataclass, NamedTuple or TypedDict that is passed": [
        (record, (Batch(f(2), f(3)),), "accepted", "refused"),
        (pair, (Pair(f(2), f(3)),), "accepted", "refused"),
        (typed, ({"x": f(2), "y": f(3)},), "accepted", "refused"),
    ],
    "a default that does not match its annotation": [
        (wrong_default, (f(2),), "accepted", "refused"),
        (none_default, (), "accepted", "definition is refused"),
    ],
    "an `int` for a `float`": [(tower, (1,), "refused", "accepted")],
    "arguments that the body changes": [(grows, ([f(3)],), "refused", "accepted")],
    "a member of a union that fails halfway": [
        (half_fits, ((f(2), f(3, 3)), f(5)), "refused", "accepted"),
    ],
    "a name in quotes that is defined later": [],  # has a test of its own
    "a beartype validator on a shape": [
        (validated, (f(2),), "accepted", "definition is refused"),
    ],
    "`**sizes: Unpack[Sizes]`": [
        (keywords, (), "accepted", "definition is refused"),
    ],
    "`async def`": [(asynchronous, (f(2),), "accepted", "definition is refused")],
    "`@no_type_check` above the decorator": [],  # has a test of its own
    "a class that is not a dataclass": [(NotData, (), "accepted", "definition is refused")],
    "`isinstance` in a helper without a contract": [
        (has_helper, (f(2),), "the body fails", "accepted"),
    ],
}
"""For each row of the table: a function, a call, what jaxtyping says, and what shapezoo says."""


CASES = [
    pytest.param(*case, id=f"{case[0].__name__}-{k}")
    for cases in DIFFERENCES.values()
    for k, case in enumerate(cases)
]


@pytest.mark.parametrize(("function", "arguments", "in_jaxtyping", "here"), CASES)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited")
def test_the_two_differ_as_the_table_says(
    function: Callable[..., Any], arguments: tuple[Any, ...], in_jaxtyping: str, here: str
) -> None:
    random.seed(0)  # beartype checks a random item of a list
    both = []
    for library in (with_jaxtyping, checked):
        try:
            both.append(outcome(library, function, copy.deepcopy(arguments)))
        except NotImplementedError:
            both.append("the body fails")
    assert both == [in_jaxtyping, here]


def test_each_difference_has_its_row_on_the_page() -> None:
    lines = PAGE.read_text().partition("## Every difference")[2].splitlines()
    rows = [line.split(" | ")[0].removeprefix("| ") for line in lines if line.startswith("| ")]
    assert rows[1:] == list(DIFFERENCES)
    assert all(any(case[2] != case[3] for case in cases) for cases in DIFFERENCES.values() if cases)


def test_a_name_that_is_defined_later_is_checked_from_the_first_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def take(x: "NotYet") -> None: ...  # type: ignore[name-defined]

    in_jaxtyping, here = with_jaxtyping(take), checked(take)
    monkeypatch.setitem(globals(), "NotYet", Batch)
    for function in (in_jaxtyping, here):
        function(Batch(f(2), f(2)))
    in_jaxtyping(3)
    with pytest.raises(ShapeError, match="'x'"):
        here(3)


def test_no_type_check_above_the_decorator_is_ignored() -> None:
    def take(x: Float[Tensor, "n"]) -> None: ...

    no_type_check(with_jaxtyping(take))(f(2, 3))
    with pytest.raises(ShapeError):
        no_type_check(checked(take))(f(2, 3))


def test_a_forward_that_is_assigned_is_checked_if_it_is_decorated() -> None:
    class Head(shapezoo.Module):
        def forward(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
            return x

    def forward(self: Head, x: Float[Tensor, "n m"]) -> Float[Tensor, "n"]:
        return x[:, 0]

    Head.forward = forward  # type: ignore[method-assign]
    assert Head()(f(2, 3, 4)).shape == (2, 4)
    Head.forward = checked(forward)  # type: ignore[method-assign]
    assert Head()(f(2, 3)).shape == (2,)
    with pytest.raises(ShapeError):
        Head()(f(2, 3, 4))


def test_self_is_refused_by_both() -> None:
    class Builder:
        def built(self) -> Self:
            return self

    with pytest.raises(ContractError, match="Self"):
        checked(Builder.built)
    with pytest.raises(BeartypeDecorHintPep673Exception, match="Self"):
        with_jaxtyping(Builder.built)
