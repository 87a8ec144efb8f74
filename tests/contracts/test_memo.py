"""Calls are remembered by everything that their check depends on, in a cache of limited size."""

import contextlib
import copy
import enum
import gc
import pickle
import tracemalloc
import weakref
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NamedTuple, Protocol, runtime_checkable

import pytest
import torch
from beartype.vale import Is
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import ContractError, Module, ShapeError, checked
from shapezoo.contracts.checking.contract import Contract
from shapezoo.contracts.checking.memo import MAX_CALLS, MAX_RESULTS, key_of, remember
from shapezoo.contracts.matching import call_matching
from shapezoo.contracts.matching.matching import check_value


class Pair(NamedTuple):
    left: Tensor
    right: Tensor


@dataclass
class Record:
    x: Tensor
    n: int


class Colour(enum.IntEnum):
    RED = 1


class Scaled(Module):
    def __init__(self, width: Any) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Float[Tensor, "batch {self.width}"]) -> Float[Tensor, "batch"]:
        return x.sum(1)


def z(*shape: int) -> Tensor:
    return torch.zeros(shape)


DIFFERENT: list[Any] = [
    z(2, 3),
    z(3, 2),
    z(6),
    z(2, 3).double(),
    nn.Parameter(z(2, 3)),
    [z(2, 3)],
    (z(2, 3),),
    [z(2, 3), z(2, 3)],
    {"a": z(2, 3)},
    {"b": z(2, 3)},
    Pair(z(2), z(3)),
    (z(2), z(3)),
    Record(z(2), 1),
    Record(z(2), 2),
    None,
    1,
    1.0,
    True,
    "1",
    b"1",
    torch.float32,
    torch.device("cpu"),
]


def test_what_a_check_can_tell_apart_has_different_keys() -> None:
    keys = [key_of(value) for value in DIFFERENT]
    assert len(set(keys)) == len(DIFFERENT)


@pytest.mark.parametrize("value", DIFFERENT)
def test_what_a_check_cannot_tell_apart_has_one_key(value: object) -> None:
    other = copy.deepcopy(value)
    if isinstance(other, Tensor):
        other = other + 1 if type(other) is Tensor else other
    assert key_of(other) == key_of(value)


def test_what_is_just_not_too_much_has_a_key() -> None:
    assert key_of("a" * 1000) != key_of([0] * 1000)


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, Colour.RED, [z(2), object()], nn.ReLU(), z, "a" * 1001, [0] * 1001]
)
def test_what_is_unknown_or_too_much_has_no_key(value: object) -> None:
    with pytest.raises(TypeError, match=r"cannot build a key for|too large to cache"):
        key_of(value)


@dataclass
class Entry(dict[str, int]):
    x: Float[Tensor, "batch 3"]


@runtime_checkable
class Named(Protocol):
    label: str


class Labelled:
    def __init__(self, label: str | None) -> None:
        if label:
            self.label = label


def buffer(x: Float[nn.Buffer, "n"]) -> None: ...
def validated(x: Annotated[Tensor, Is[lambda x: bool((x >= 0).all())]]) -> None: ...
def named(x: Named) -> None: ...
def entry(x: Entry) -> None: ...


@pytest.mark.parametrize(
    ("function", "good", "bad"),
    [
        (buffer, nn.Buffer(z(2)), z(2)),
        (validated, z(2), z(2) - 1),
        (named, Labelled("a"), Labelled(None)),
        (entry, Entry(z(2, 3)), Entry(z(2, 4))),
    ],
)
def test_what_a_key_cannot_tell_apart_is_checked_each_time(
    function: Any, good: object, bad: object
) -> None:
    check = checked(function)
    for _ in range(2):
        check(good)
        with pytest.raises(ShapeError):
            check(bad)


@pytest.mark.parametrize(
    "values", [range(20), [0.5 * i for i in range(20)], "abcdefgh", list(Colour)]
)
def test_new_values_of_a_plain_class_are_the_same_call(
    values: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def step(x: Float[Tensor, "batch"], value: Any) -> None: ...

    step.__annotations__["value"] = type(values[0])
    check = checked(step)
    seen = checks(monkeypatch)
    for value in values:
        check(z(2), value)
    assert seen == ["x", "value", "return"]


def test_a_size_that_changes_between_two_readings_is_remembered_as_it_was_checked() -> None:
    class Restless(Module):
        reads = 0

        @property
        def width(self) -> int:
            self.reads += 1
            return 3 if self.reads % 2 else 5

        def forward(self, x: Float[Tensor, "batch {self.width}"]) -> Float[Tensor, "batch"]:
            return x.sum(1)

    module = Restless()
    for width in (3, 5) * 4:
        for _ in range(2):
            with contextlib.suppress(ShapeError):
                module(z(2, width))
    module.reads = 4  # the next reading gives 3, and so does the one that a check might make
    with pytest.raises(ShapeError):
        Fixed(5)(z(2, 3))


class Fixed(Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Float[Tensor, "batch {self.width}"]) -> Float[Tensor, "batch"]:
        return x.sum(1)


def test_arguments_are_let_go_at_once() -> None:
    @checked
    def either(
        x: Float[Tensor, "batch 2"] | Float[Tensor, "batch 3"],
        config: Any = None,
        y: Float[Tensor, "{config.width}"] | None = None,
    ) -> None: ...

    gc.disable()
    try:
        for _ in range(2):
            x = z(4, 3)
            either(x)
            gone = weakref.ref(x)
            del x
            assert gone() is None
    finally:
        gc.enable()


def test_classes_are_let_go() -> None:
    def make() -> weakref.ref[type]:
        @dataclass
        class Batch:
            x: Float[Tensor, "n"]

        def size(batch: Batch) -> int:
            return len(batch.x)

        Batch.size = checked(size)  # type: ignore[attr-defined]  # a cycle: its contract names it
        assert Batch(z(3)).size() == 3  # type: ignore[attr-defined]  # see above
        return weakref.ref(Batch)

    made = make()
    gc.collect()
    assert made() is None


def test_a_result_that_has_no_key_is_no_error() -> None:
    loop: list[Any] = []
    loop.append(loop)

    @checked
    def back(x: int) -> list[Any]:
        return loop

    assert back(1) is loop


@given(st.lists(st.integers(0, 30)), st.integers(1, 8))
def test_a_memo_never_holds_more_than_it_may(keys: list[int], most: int) -> None:
    memo: dict[Any, int] = {}
    for key in keys:
        remember(memo, key, -key, most)
        assert len(memo) <= most
        assert memo[key] == -key


def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths of all values that are checked from now on."""
    seen: list[str] = []

    def counted(value: Any, kind: Any, path: str) -> None:
        seen.append(path)
        check_value(value, kind, path)

    monkeypatch.setattr(call_matching, "check_value", counted)
    return seen


def test_a_known_signature_is_not_checked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    module, other = Scaled(7), Scaled(7)  # a width of no other test
    seen = checks(monkeypatch)
    for owner in (module, module, other):
        owner(z(2, 7))
    assert seen == ["x", "return"]
    module(z(4, 7))
    assert seen == ["x", "return"] * 2


def test_a_known_signature_by_name_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    @checked
    def scale(x: Float[Tensor, "batch"], factor: float = 2.0) -> Float[Tensor, "batch"]:
        return factor * x

    seen = checks(monkeypatch)
    scale(z(2))
    scale(x=z(2))
    scale(z(2), factor=2.0)
    assert seen == ["x", "factor", "return"]
    scale(z(2), 3)
    assert len(seen) == 6


def test_a_known_input_with_a_new_result_is_checked() -> None:
    results = [z(2), z(2), z(3)]

    @checked
    def pick(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return results.pop(0)

    pick(z(2))
    pick(z(2))
    with pytest.raises(ShapeError, match="the result breaks"):
        pick(z(2))


def test_what_failed_is_not_remembered() -> None:
    module = Scaled(3)
    for _ in range(3):
        with pytest.raises(ShapeError):
            module(z(2, 4))


def test_values_that_only_look_alike_are_checked() -> None:
    @checked
    def count(n: int) -> None: ...

    count(1)
    with pytest.raises(ShapeError):
        count(1.0)  # type: ignore[arg-type]  # the fault under test


class Lookalike:
    """Something with the shape and the dtype of a tensor."""

    shape = torch.Size([2, 3])
    dtype = torch.float32


def test_what_only_looks_like_a_tensor_is_refused_after_a_tensor_passed() -> None:
    module = Scaled(3)
    module(z(2, 3))
    with pytest.raises(ShapeError, match="expected Tensor, got"):
        module(Lookalike())  # type: ignore[arg-type]  # the fault under test


def test_a_size_that_can_change_in_place_is_read_each_time() -> None:
    module = Scaled(torch.tensor(3))
    module(z(2, 3))
    module.width.fill_(4)
    with pytest.raises(ShapeError):
        module(z(2, 3))


def test_an_unknown_object_is_checked_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    @checked
    def count(x: Float[Tensor, "batch"], generator: torch.Generator) -> None: ...

    seen = checks(monkeypatch)
    for _ in range(2):
        count(z(2), torch.Generator())
    assert seen == ["x", "generator", "return"] * 2


def test_the_memo_is_bounded_at_both_levels() -> None:
    def grow(x: Float[Tensor, "batch"], n: int) -> tuple[Float[Tensor, "_"], ...]:
        return (x,) * n

    rule = Contract(grow)
    for size in range(MAX_CALLS + 5):
        call = rule.check_arguments((z(size), 1), {})
        assert call is rule.memo.recall(z(size), 1)
        assert len(rule.memo.calls) <= MAX_CALLS
    assert call is not None
    for length in range(MAX_RESULTS + 5):
        rule.check_result(call, (z(1),) * length, (z(1), 1))
        assert len(call.results) <= MAX_RESULTS


@pytest.mark.slow
def test_ever_new_lengths_take_no_more_memory() -> None:
    @checked
    def run(x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
        return x

    x = z(1).expand(10_000)
    tracemalloc.start()
    used = []
    for first in (0, 2_000, 4_000, 6_000):
        for size in range(first, first + 2_000):
            run(x[:size])
        gc.collect()
        used.append(tracemalloc.get_traced_memory()[0])
    tracemalloc.stop()
    assert max(used[1:]) < used[0] + 200_000


def test_the_memo_is_no_part_of_the_module() -> None:
    module = Scaled(3)
    module(z(2, 3))
    assert list(vars(module)) == [*vars(nn.Module()), "width"]
    assert module.state_dict() == {}
    for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert other(z(2, 3)).shape == (2,)
        with pytest.raises(ShapeError):
            other(z(2, 4))


def test_one_literal_does_not_stand_for_another() -> None:
    @checked
    def either(mode: Literal["mean", "sum"] | None) -> None: ...

    @checked
    def plain(mode: Literal["mean", "sum"]) -> None: ...

    for function in (either, plain):
        function("mean")
        with pytest.raises(ShapeError):
            function("max")  # type: ignore[arg-type]  # the fault under test
    either(None)


@checked
def optional(x: Float[Tensor, "a 3"] | None) -> Float[Tensor, "a 3"] | None:
    return None if x is None else x[:, :2]


@checked
def uncomputable(x: Float[Tensor, "a"], y: Float[Tensor, "4//a"] | None) -> None: ...


@pytest.mark.parametrize(
    ("function", "shapes"),
    [(optional, [(2, 4)]), (optional, [(2, 3)]), (uncomputable, [(0,), (4,)])],
)
def test_an_error_keeps_no_tensor_alive(function: Any, shapes: list[tuple[int, ...]]) -> None:
    gc.collect()
    gc.disable()
    try:
        tensors = [torch.zeros(shape) for shape in shapes]
        kept = [weakref.ref(tensor) for tensor in tensors]
        with contextlib.suppress(ShapeError, ContractError):
            function(*tensors)
        del tensors
        assert [reference() for reference in kept] == [None] * len(kept)
    finally:
        gc.enable()
