"""Wrong calls are refused, with an error that names the place; none of them is legal."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict

import pytest
import torch
from hypothesis import find, given, settings
from hypothesis.errors import NoSuchExample, Unsatisfiable
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from shapezoo import Module, ShapeError, checked, signature, unchecked
from shapezoo.contracts import TensorType
from shapezoo.contracts.language.axes import parse_axes
from shapezoo.testing import Violation, inputs, violations
from shapezoo.testing.harness import DETERMINISTIC
from shapezoo.testing.places import Place, places
from shapezoo.testing.violations import breaks


def drawn(target: Any, count: int = 50) -> list[Violation]:
    found = []

    @settings(DETERMINISTIC, max_examples=count)
    @given(violations(target))
    def run(violation: Violation) -> None:
        found.append(violation)

    run()
    return found


def is_accepted(violation: Violation) -> bool:
    """Whether a call is not refused, or for another reason than promised."""
    try:
        violation()
    except ShapeError as error:
        return (error.argument, error.axis) != (violation.argument, violation.axis)
    return True


class Pair(NamedTuple):
    left: Float[Tensor, "batch"]
    right: Float[Tensor, "batch 2"]


@dataclass(frozen=True)
class Record:
    images: Float[Tensor, "batch 4"]
    labels: Int64[Tensor, "batch"]


@checked
@dataclass(frozen=True)
class Safe:
    images: Float[Tensor, "batch 4"]
    labels: Int64[Tensor, "batch"]


class Batch(TypedDict):
    images: Float[Tensor, "batch 2"]


class Scaled(Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width
        self.linear = nn.Linear(width, 3)

    def forward(self, x: Float[Tensor, "batch width={self.width}"]) -> Float[Tensor, "batch 3"]:
        return self.linear(x)  # type: ignore[no-any-return]  # nn.Module's call

    @checked
    def method(self, x: Float[Tensor, "batch {self.width*n}"], n: int = 2) -> None: ...


@checked
def free(x: Float[Tensor, "batch"]) -> None: ...
@checked
def shared(x: Float[Tensor, "batch seq"], y: Float[Tensor, "seq batch"]) -> None: ...
@checked
def square(x: Float[Tensor, "seq seq 3"]) -> None: ...
@checked
def computed(x: Float[Tensor, "height"], y: Float[Tensor, "height//3 out=height+1"]) -> None: ...
@checked
def broadcast(x: Float[Tensor, "batch"], y: Float[Tensor, "#batch"]) -> None: ...
@checked
def broadcast_first(x: Float[Tensor, "#batch"], y: Float[Tensor, "batch"]) -> None: ...
@checked
def variadic(x: Float[Tensor, "*batch 2"], y: Float[Tensor, "*batch"]) -> None: ...
@checked
def optional(x: Float[Tensor, "batch"], y: Float[Tensor, "batch"] | None = None) -> None: ...
@checked
def either(x: Float[Tensor, "batch 2"] | Int64[Tensor, "batch"]) -> None: ...
@checked
def ranks(x: Float[Tensor, "batch 2"] | Float[Tensor, "batch"]) -> None: ...
@checked
def tuple_or(x: Float[Tensor, "2"] | tuple[Float[Tensor, "2"], Float[Tensor, "3"]]) -> None: ...
@checked
def any_tensor(x: Float[Tensor, "2"] | Tensor) -> None: ...
@checked
def listed(xs: list[Float[Tensor, "batch _"]]) -> None: ...
@checked
def nested(xs: tuple[Float[Tensor, "batch"], tuple[Float[Tensor, "batch"], ...]]) -> None: ...
@checked
def records(pair: Pair, record: Record, more: Batch) -> None: ...
@checked
def safe(batch: Safe) -> None: ...
@checked
def safe_and(batch: Safe, y: Float[Tensor, "batch"]) -> None: ...
@checked
def passed(
    x: Float[Tensor, "batch"], /, *xs: Float[Tensor, "batch"], z: Float[Tensor, "batch"]
) -> None: ...
@checked
def parameters(x: Float[nn.Parameter, "batch 2"], y: Int64[nn.Parameter, "batch"]) -> None: ...
@checked
def anything(x: Shaped[Tensor, "..."]) -> None: ...
@checked
def scalar(x: Float[Tensor, ""]) -> None: ...
@checked
def literal(n: Literal[2, 3], x: Float[Tensor, "batch {n}"]) -> None: ...


def both(*paths: str) -> set[tuple[str, str, int | None]]:
    """Return the violations of rank and dtype."""
    return {(what, path, None) for what in ("rank", "dtype") for path in paths}


def axis(path: str, *positions: int | None) -> set[tuple[str, str, int | None]]:
    return {("axis", path, position) for position in positions}


EXPECTED: list[tuple[Any, set[tuple[str, str, int | None]]]] = [
    (free, both("x")),
    (shared, both("x", "y") | axis("y", 0, 1)),
    (square, both("x") | axis("x", 1, 2)),
    (computed, both("x", "y") | axis("y", 0, 1)),
    (broadcast, both("x", "y") | axis("y", 0)),
    (broadcast_first, both("x", "y") | axis("y", 0)),
    (optional, both("x", "y") | axis("y", 0)),
    (either, both("x") | axis("x", None)),
    (ranks, both("x") | axis("x", None)),
    (tuple_or, both("x", "x[0]", "x[1]") | axis("x", 0) | axis("x[0]", 0) | axis("x[1]", 0)),
    (listed, both("xs[0]", "xs[1]") | axis("xs[1]", 0)),
    (nested, both("xs[0]", "xs[1][0]", "xs[1][1]") | axis("xs[1][0]", 0) | axis("xs[1][1]", 0)),
    (
        records,
        both("pair.left", "pair.right", "record.images", "record.labels", "more['images']")
        | axis("pair.right", 0, 1)
        | axis("record.images", 0, 1)
        | axis("record.labels", 0)
        | axis("more['images']", 0, 1),
    ),
    (Record, both("images", "labels") | axis("images", 1) | axis("labels", 0)),
    (Safe, both("images", "labels") | axis("images", 1) | axis("labels", 0)),
    (safe_and, both("y") | axis("y", 0)),
    (passed, both("x", "xs[0]", "z") | axis("xs[0]", 0) | axis("z", 0)),
    (parameters, both("x", "y") | axis("x", 1) | axis("y", 0)),
    (scalar, both("x")),
    (literal, both("x") | axis("x", 1)),
    (Scaled, both("x") | axis("x", 1)),
    (Scaled(2), both("x") | axis("x", 1)),
    (Scaled(2).to("meta"), both("x") | axis("x", 1)),
    (Scaled(2).method, both("x") | axis("x", 1)),
]


def name_of(target: Any) -> str:
    return str(getattr(target, "__name__", type(target).__name__)) if callable(target) else ""


@pytest.mark.parametrize(("target", "expected"), EXPECTED, ids=name_of)
def test_every_constraint_is_broken_and_nothing_else(
    target: Any, expected: set[tuple[str, str, int | None]]
) -> None:
    found = drawn(target, 80 + 6 * len(expected))
    assert {(v.what, v.argument, v.axis) for v in found} == expected
    if target is not Record:  # which is not checked
        assert not any(map(is_accepted, found))


def test_variadic_axes_are_broken_where_the_error_names_them() -> None:
    found = drawn(variadic)
    assert not any(map(is_accepted, found))
    assert {v.argument for v in found if v.what == "axis"} == {"x", "y"}
    assert not any(
        v.what == "rank" and v.argument == "x" and v.call.places[0].tensor.dim() for v in found
    )


@pytest.mark.parametrize("target", [anything, safe])
def test_a_contract_that_cannot_be_broken_has_no_violations(target: Any) -> None:
    with pytest.raises(Unsatisfiable):
        drawn(target, 4)


def test_a_tensor_without_a_shape_takes_any() -> None:
    (argument,) = signature(any_tensor).inputs
    assert list(places(argument.type, torch.zeros(2), "x")) == []


def test_only_one_place_is_wrong() -> None:
    for violation in drawn(shared):
        wrong = violation.call
        bad = {place.path: place for place in wrong.places}[violation.argument]
        other = next(place for place in wrong.places if place.path != violation.argument)
        size = wrong.sizes
        shape = {"x": ("batch", "seq"), "y": ("seq", "batch")}
        assert tuple(other.tensor.shape) == tuple(size[axis] for axis in shape[other.path])
        right = tuple(size[axis] for axis in shape[bad.path])
        differ = [
            i for i, (a, b) in enumerate(zip(bad.tensor.shape, right, strict=False)) if a != b
        ]
        match violation.what:
            case "axis":
                assert (differ, len(right)) == ([violation.axis], bad.tensor.dim())
            case "rank":
                assert bad.tensor.dim() in (1, 3)
            case "dtype":
                assert tuple(bad.tensor.shape) == right
                assert not bad.tensor.is_floating_point()


def test_classes_and_devices_stay() -> None:
    assert all(
        type(place.tensor) is nn.Parameter for v in drawn(parameters) for place in v.call.places
    )
    models = drawn(Scaled(2).to("meta"), 20)
    assert {place.tensor.device.type for v in models for place in v.call.places} == {"meta"}


def test_calls_can_be_chosen_and_shrink() -> None:
    calls = inputs(shared, batch=5, seq=range(2, 4))
    least = find(violations(shared, calls), lambda v: v.what == "axis", settings=DETERMINISTIC)
    assert (least.argument, least.axis) == ("y", 0)
    assert least.call.sizes == {"batch": 5, "seq": 2}
    text = "shared(x=Tensor float32 (5, 2), y=Tensor float32 (3, 5)), wrong in the axis 0 of y"
    assert repr(least) == text
    rank = find(violations(free), lambda v: v.what == "rank", settings=DETERMINISTIC)
    assert repr(rank).endswith("wrong in the rank of x")


def unshared(x: Float[Tensor, "batch seq"], y: Float[Tensor, "seq other"]) -> None: ...
def any_rank(x: Float[Tensor, "batch seq"], y: Float[Tensor, "..."]) -> None: ...
def any_dtype(x: Float[Tensor, "batch seq"], y: Shaped[Tensor, "seq batch"]) -> None: ...
def only_first(x: Float[Tensor, "batch seq"], y: Any) -> None: ...


@pytest.mark.parametrize(
    ("weaker", "whats"),
    [
        (unshared, {"axis"}),
        (any_rank, {"axis", "rank"}),
        (any_dtype, {"dtype"}),
        (only_first, {"axis", "rank", "dtype"}),
    ],
)
def test_a_weaker_check_is_found(
    weaker: Callable[..., None], whats: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls are drawn from the contract of `shared`, but a weaker one is enforced."""
    weak = checked(weaker)
    found = [v for v in drawn(shared, 60) if _is_accepted_by(weak, v)]
    assert {v.what for v in found} == whats
    assert {v.argument for v in found} == {"y"}


def _is_accepted_by(function: Callable[..., None], violation: Violation) -> bool:
    try:
        function(*violation.call.args, **violation.call.kwargs)
    except ShapeError:
        return False
    return True


def test_a_check_that_is_off_is_found() -> None:
    with unchecked():
        assert is_accepted(find(violations(shared), is_accepted, settings=DETERMINISTIC))
    with pytest.raises(NoSuchExample):
        find(violations(shared), is_accepted, settings=settings(DETERMINISTIC, max_examples=40))


def place(annotation: Any, tensor: Tensor, path: str = "x") -> Place:
    type_ = TensorType(annotation.__name__, parse_axes(annotation.dim_str), annotation)
    return Place(path, (path,), (type_,), tensor)


def test_sizes_that_are_bound_before_leave_no_choice() -> None:
    one = place(Float[Tensor, "batch seq"], torch.zeros(2, 3))
    free_ones = {
        (wrong.axis, tuple(wrong.tensor.shape)) for wrong in breaks([one]) if wrong.what == "axis"
    }
    assert free_ones == set()
    bound = {
        (wrong.axis, tuple(wrong.tensor.shape))
        for wrong in breaks([one], {"seq": 3})
        if wrong.what == "axis"
    }
    assert bound == {(1, (2, 4)), (1, (2, 2))}
