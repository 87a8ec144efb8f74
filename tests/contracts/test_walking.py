"""The parts of containers are checked, traced and tested item by item, by one walker."""

import collections
import random
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Container, Iterable, Iterator, KeysView, Set, ValuesView
from dataclasses import dataclass
from typing import Annotated, Any, Generic, NamedTuple, TypedDict, TypeVar

import pytest
from beartype.vale import Is
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float, Int
from torch import Tensor, zeros

from shapezoo import ContractError, Module, ShapeError, checked, signature, trace
from shapezoo.testing import assert_contract

T = TypeVar("T")
U = TypeVar("U")
Limited = TypeVar("Limited", Float[Tensor, "batch"], Int[Tensor, "batch 2"])
Pair = tuple[T, U]


def takes(annotation: Any) -> Any:
    def function(x: Any) -> None: ...

    function.__annotations__["x"] = annotation
    return checked(function)


def refused_at(annotation: Any, value: object) -> str:
    with pytest.raises(ShapeError) as error:
        takes(annotation)(value)
    return error.value.argument


class Names(list[str]): ...


class Many(list[T]): ...


TEXT_LAST: list[Any] = [*range(50), "text"]


@pytest.mark.parametrize(
    ("annotation", "good", "bad", "place"),
    [
        (deque[int], deque([1]), deque(TEXT_LAST), "x[50]"),
        (set[int], {1, 2}, set(TEXT_LAST), "x item 50"),
        (frozenset[int], frozenset({1}), frozenset({"text"}), "x item 0"),
        (Set[int], {1}, {"text"}, "x item 0"),
        (Collection[int], {1: 2}, TEXT_LAST, "x[50]"),
        (collections.abc.MutableSequence[int], deque([1]), TEXT_LAST, "x[50]"),
        (KeysView[int], {1: 2}.keys(), {"text": 2}.keys(), "x item 0"),
        (ValuesView[int], {1: 2}.values(), {1: "text"}.values(), "x item 0"),
        (Counter[str], Counter("text"), Counter([1]), "x key 1"),
        (defaultdict[str, int], defaultdict(int, a=1), defaultdict(str, a="b"), "x['a']"),
        (list[int | None], [1, None], TEXT_LAST, "x[50]"),
        (list[list[int]], [[1]], [[1], TEXT_LAST], "x[1][50]"),
        (Names, Names(["text"]), Names(["text", 3]), "x[1]"),  # type: ignore[list-item]
        (Many[int], Many([1]), Many(TEXT_LAST), "x[50]"),
        (Annotated[list[int], "a note"], [1], TEXT_LAST, "x[50]"),
        (deque[Float[Tensor, "n"]], deque([zeros(2)]), deque([zeros(2), zeros(3)]), "x[1]"),
        (set[Float[Tensor, "n"]], {zeros(2)}, {zeros(2), zeros(3)}, "x item 1"),
    ],
)
def test_every_item_is_checked(annotation: Any, good: object, bad: object, place: str) -> None:
    function = takes(annotation)
    for _ in range(2):
        function(good)
        with pytest.raises(ShapeError) as error:
            function(bad)
        assert error.value.argument == place


@pytest.mark.parametrize(
    "annotation",
    [
        Iterable[int],
        Iterator[int],
        Container[int],
        dict[str, Iterable[int]],
        Annotated[list[int], Is[lambda items: len(items) > 1]],
    ],
)
def test_items_that_cannot_be_walked_are_refused(annotation: Any) -> None:
    with pytest.raises(ContractError, match=r"cannot check the items of"):
        takes(annotation)


def test_a_container_without_brackets_says_nothing_of_its_items() -> None:
    takes(Iterator)(iter(TEXT_LAST))
    takes(Iterable[Any])(TEXT_LAST)


def test_checks_leave_pythons_random_numbers_alone() -> None:
    state = random.getstate()
    values: list[tuple[Any, Any]] = [(list[int], [1, 2]), (set[int], {1}), (deque[int], deque([1]))]
    for annotation, value in values:
        takes(annotation)(value)
        with pytest.raises(ShapeError):
            takes(annotation)(3)
    assert random.getstate() == state


@given(st.lists(st.one_of(st.integers(), st.booleans(), st.text(), st.none())))
def test_one_item_of_each_class_tells_as_much_as_all(items: list[object]) -> None:
    wrong = [place for place, item in enumerate(items) if not isinstance(item, int)]
    if not wrong:
        takes(list[int])(items)
    else:
        assert refused_at(list[int], items) == f"x[{wrong[0]}]"


@dataclass
class Box(Generic[T]):
    item: T
    rest: Float[Tensor, "batch"]


@dataclass
class Boxes(Box[Float[Tensor, "batch 2"]], Generic[T]):  # its T is another one than that of Box
    more: T


class Entry(NamedTuple, Generic[T]):
    item: T
    rest: Float[Tensor, "batch"]


class Item(TypedDict, Generic[T]):
    item: T
    rest: Float[Tensor, "batch"]


def test_type_variables_of_records_are_what_the_brackets_say() -> None:
    vector = Float[Tensor, "batch"]
    takes(Box[vector])(Box(zeros(3), zeros(3)))
    assert refused_at(Box[vector], Box(zeros(9, 9), zeros(3))) == "x.item"
    assert refused_at(list[Box[vector]], [Box(zeros(4), zeros(3))]) == "x[0].rest"
    assert refused_at(Entry[vector], Entry(zeros(9, 9), zeros(3))) == "x.item"
    assert refused_at(Item[vector], {"item": zeros(9, 9), "rest": zeros(3)}) == "x['item']"
    takes(Box)(Box("anything", zeros(3)))


def test_type_variables_of_base_classes_are_their_own() -> None:
    annotation = Boxes[Float[Tensor, "batch 5"]]
    takes(annotation)(Boxes(zeros(3, 2), zeros(3), zeros(3, 5)))
    assert refused_at(annotation, Boxes(zeros(3, 5), zeros(3), zeros(3, 5))) == "x.item"
    assert refused_at(annotation, Boxes(zeros(3, 2), zeros(3), zeros(3, 2))) == "x.more"


def test_type_variables_of_aliases_and_with_constraints_are_followed() -> None:
    pair = Pair[Float[Tensor, "batch"], int]
    takes(pair)((zeros(2), 1))
    assert refused_at(pair, (zeros(2, 2), 1)) == "x[0]"
    takes(Limited)(zeros(3))
    takes(Limited)(zeros(3, 2).int())
    with pytest.raises(ShapeError):
        takes(Limited)(zeros(3, 2))


class Keys(TypedDict, Generic[T]):
    item: T


class MoreKeys(Keys[Float[Tensor, "batch"]]):
    rest: Float[Tensor, "batch"]


@checked
@dataclass
class Held(Generic[T]):
    item: T
    rest: Float[Tensor, "batch"]


@checked
@dataclass
class HeldVectors(Held[Float[Tensor, "batch"]]): ...


class Two(tuple[int, Float[Tensor, "batch"]]): ...


def test_type_variables_are_followed_into_every_kind_of_record() -> None:
    assert refused_at(MoreKeys, {"item": "text", "rest": zeros(2)}) == "x['item']"
    takes(MoreKeys)({"item": zeros(2), "rest": zeros(2)})
    assert HeldVectors(zeros(2), zeros(2)).rest.shape == (2,)
    with pytest.raises(ShapeError):
        HeldVectors(zeros(3), zeros(2))
    boxes = Box[Box[Float[Tensor, "batch"]]]
    takes(boxes)(Box(Box(zeros(2), zeros(2)), zeros(2)))
    assert refused_at(boxes, Box(Box(zeros(3), zeros(2)), zeros(2))) == "x.item.rest"
    takes(Two)(Two((1, zeros(2))))
    wrong: Any = (1, 2)
    assert refused_at(Two, Two(wrong)) == "x[1]"


@dataclass
class Output(collections.OrderedDict[str, Any]):
    """A record that is a dictionary too, as the results of Hugging Face's models are."""

    logits: Float[Tensor, "batch"] | None = None

    def __post_init__(self) -> None:
        self["logits"] = self.logits


def test_a_record_that_is_a_dictionary_too_is_remembered_as_both() -> None:
    function = takes(dict[str, Float[Tensor, "n"]])
    output = Output(zeros(2))
    function(output)
    output["more"] = zeros(7)
    with pytest.raises(ShapeError):
        function(output)


@dataclass
class Logits:
    scores: Float[Tensor, "batch classes"]


@dataclass
class Boxed:
    scores: Float[Tensor, "batch boxes 4"]


class Detector(Module):
    def forward(self, x: Float[Tensor, "batch 4"] | Int[Tensor, "batch"]) -> Logits | Boxed:
        return Logits(x) if x.dim() == 2 else Boxed(zeros(len(x), 3, 4))


def test_an_error_in_a_union_of_records_names_the_place_inside() -> None:
    either = Logits | Boxed
    takes(either)(Logits(zeros(2, 3)))
    takes(either)(Boxed(zeros(2, 3, 4)))
    with pytest.raises(ShapeError) as error:
        takes(either)(Boxed(zeros(2, 3, 5)))
    assert (error.value.argument, error.value.axis) == ("x.scores", 2)


def test_a_trace_names_the_axes_of_the_right_record_of_a_union() -> None:
    names = [trace(Detector(), x).call.outputs[0].names for x in (zeros(2, 4), zeros(2).int())]
    assert names == [("batch", "classes"), ("batch", "boxes", None)]


def test_results_that_are_one_of_two_records_are_broken_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert_contract(Detector())

    class Blind(Module):
        def forward(self, x: Float[Tensor, "batch 4"]) -> Logits | Boxed:
            return Logits(x)

    def nothing(*_: object) -> None: ...

    assert_contract(Blind())
    monkeypatch.setattr("shapezoo.contracts.checking.contract.Contract.check_result", nothing)
    with pytest.raises(AssertionError, match=r"a result that is wrong in .* return.scores"):
        assert_contract(Blind())


def test_what_a_contract_says_of_a_container_is_shown() -> None:
    def function(x: set[int], y: Names, z: Counter[str]) -> None: ...

    assert str(signature(function)) == "(x: set[int], y: Names[str], z: Counter[str, int]) -> None"
