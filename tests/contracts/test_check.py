import functools
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import jaxtyping
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Int, Int64, Num
from torch import Tensor, nn

from shapezoo import ContractError, ShapeError, checked, unchecked
from shapezoo.contracts import is_checked


class Pair(NamedTuple):
    left: Float[Tensor, "batch"]
    right: Float[Tensor, "batch"]


@dataclass(frozen=True)
class Labelled:
    images: Float[Tensor, "batch 4"]
    labels: Int64[Tensor, "batch"]


class Scaled(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    @checked
    def forward(self, x: Float[Tensor, "batch width={self.width}"]) -> Float[Tensor, "batch"]:
        return x.sum(1)


@checked
def fixed(x: Float[Tensor, "batch 3"]) -> None: ...
@checked
def repeated(x: Float[Tensor, "n n"]) -> None: ...
@checked
def shared(x: Float[Tensor, "batch"], y: Float[Tensor, "batch"]) -> None: ...
@checked
def expression(x: Float[Tensor, "width"], y: Float[Tensor, "width//2+1"]) -> None: ...
@checked
def variadic(x: Float[Tensor, "*batch 2"], y: Float[Tensor, "*batch"]) -> None: ...
@checked
def broadcast(x: Float[Tensor, "batch"], y: Float[Tensor, "#batch"]) -> None: ...
@checked
def anything(x: Float[Tensor, "... 2"], y: Float[Tensor, "_ 3"]) -> None: ...
@checked
def argument(x: Float[Tensor, "{size}"], size: int) -> None: ...
@checked
def scalar(x: Float[Tensor, ""]) -> None: ...
@checked
def dtypes(x: Int[Tensor, "n"], y: Bool[Tensor, "n"], z: Num[Tensor, "n"]) -> None: ...
@checked
def optional(x: Float[Tensor, "batch"] | None = None) -> None: ...
@checked
def either(
    x: Float[Tensor, "batch 2"] | Int64[Tensor, "batch"], y: Float[Tensor, "batch"]
) -> None: ...
@checked
def sequence(xs: list[Float[Tensor, "batch"]]) -> None: ...
@checked
def mapping(xs: dict[str, Float[Tensor, "batch"]]) -> None: ...
@checked
def nested(xs: tuple[Float[Tensor, "batch"], tuple[Float[Tensor, "batch"], ...]]) -> None: ...
@checked
def named(pair: Pair) -> None: ...
@checked
def record(batch: Labelled) -> None: ...
@checked
def plain(n: int, f: float, mode: Literal["a", "b"]) -> None: ...
@checked
def starred(*xs: Float[Tensor, "batch"], **ys: Float[Tensor, "batch"]) -> None: ...


def f(*shape: int) -> Tensor:
    return torch.zeros(shape)


def i(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64)


Call = tuple[Callable[..., object], tuple[Any, ...]]

GOOD: list[Call] = [
    (fixed, (f(2, 3),)),
    (fixed, (f(0, 3),)),
    (fixed, (f(2, 3).bfloat16(),)),
    (repeated, (f(3, 3),)),
    (shared, (f(2), f(2))),
    (expression, (f(7), f(4))),
    (variadic, (f(5, 4, 2), f(5, 4))),
    (variadic, (f(2), f())),
    (broadcast, (f(4), f(1))),
    (anything, (f(5, 4, 2), f(9, 3))),
    (argument, (f(4), 4)),
    (scalar, (f(),)),
    (dtypes, (i(2).short(), i(2).bool(), f(2))),
    (optional, ()),
    (optional, (f(2),)),
    (either, (f(3, 2), f(3))),
    (either, (i(3), f(3))),
    (sequence, ([f(2), f(2), f(2)],)),
    (sequence, ([],)),
    (mapping, ({"a": f(2), "b": f(2)},)),
    (nested, ((f(2), (f(2), f(2))),)),
    (named, (Pair(f(2), f(2)),)),
    (record, (Labelled(f(2, 4), i(2)),)),
    (plain, (1, 1, "a")),
    (starred, (f(2), f(2))),
    (Scaled(3), (f(2, 3),)),
]

BAD: list[tuple[Callable[..., object], tuple[Any, ...], str, int | None]] = [
    (fixed, (f(2, 4),), "x", 1),
    (fixed, (f(3),), "x", None),
    (fixed, (i(2, 3),), "x", None),
    (fixed, (None,), "x", None),
    (repeated, (f(3, 4),), "x", 1),
    (shared, (f(2), f(3)), "y", 0),
    (expression, (f(7), f(3)), "y", 0),
    (variadic, (f(5, 4, 2), f(5, 3)), "y", 0),
    (variadic, (f(5, 4, 3), f(5, 4)), "x", 2),
    (variadic, (f(), f()), "x", None),
    (broadcast, (f(4), f(2)), "y", 0),
    (anything, (f(5, 3), f(9, 3)), "x", 1),
    (anything, (f(5, 2), f(9, 2)), "y", 1),
    (argument, (f(4), 5), "x", 0),
    (scalar, (f(1),), "x", None),
    (dtypes, (f(2), i(2).bool(), f(2)), "x", None),
    (dtypes, (i(2), i(2), f(2)), "y", None),
    (dtypes, (i(2), i(2).bool(), i(2).bool()), "z", None),
    (optional, (f(2, 2),), "x", None),
    (either, (f(3, 3), f(3)), "x", None),
    (either, (f(3, 2), f(4)), "y", 0),
    (sequence, ([f(2), f(3)],), "xs[1]", 0),
    (sequence, ((f(2), f(2)),), "xs", None),
    (mapping, ({"a": f(2), "b": f(3)},), "xs['b']", 0),
    (mapping, ({1: f(2)},), "xs key 1", None),
    (nested, ((f(2), (f(2), f(3))),), "xs[1][1]", 0),
    (nested, ((f(2),),), "xs", None),
    (named, (Pair(f(2), f(3)),), "pair.right", 0),
    (named, ((f(2), f(2)),), "pair", None),
    (record, (Labelled(f(2, 4), i(3)),), "batch.labels", 0),
    (plain, (1.5, 1.0, "a"), "n", None),
    (plain, (1, "1", "a"), "f", None),
    (plain, (1, 1.0, "c"), "mode", None),
    (starred, (f(2), f(3)), "xs[1]", 0),
    (Scaled(3), (f(2, 4),), "x", 1),
]


@pytest.mark.parametrize(("function", "arguments"), GOOD)
def test_good_arguments_pass(function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    function(*arguments)


@pytest.mark.parametrize(("function", "arguments", "path", "axis"), BAD)
def test_bad_arguments_are_named(
    function: Callable[..., object], arguments: tuple[Any, ...], path: str, axis: int | None
) -> None:
    with pytest.raises(ShapeError) as error:
        function(*arguments)
    assert (error.value.argument, error.value.axis) == (path, axis)
    assert repr(path) in str(error.value)


def test_keywords_are_checked_like_positions() -> None:
    with pytest.raises(ShapeError, match=r"ys\['b'\]"):
        starred(a=f(2), b=f(3))
    with pytest.raises(ShapeError, match="'y'"):
        shared(y=f(3), x=f(2))


def test_a_call_that_does_not_fit_gets_pythons_own_message() -> None:
    with pytest.raises(TypeError, match=r"fixed\(\): missing a required argument: 'x'"):
        fixed()  # type: ignore[call-arg]  # the fault under test


def test_every_item_of_a_list_is_checked() -> None:
    for position in range(20):
        items = [f(2) for _ in range(20)]
        items[position] = f(3)
        with pytest.raises(ShapeError):
            sequence(items)


SIZES = st.integers(0, 3)


@given(
    left=st.tuples(SIZES, SIZES, SIZES),
    right=st.tuples(SIZES, SIZES),
    out=st.lists(SIZES, max_size=3).map(tuple),
)
def test_verdict_agrees_with_a_comparison_by_hand(
    left: tuple[int, int, int], right: tuple[int, int], out: tuple[int, ...]
) -> None:
    @checked
    def product(
        x: Float[Tensor, "batch seq width"], y: Float[Tensor, "width classes=2"]
    ) -> Float[Tensor, "batch seq*2 classes=2"]:
        return f(*out)

    legal = left[2] == right[0] and right[1] == 2 and out == (left[0], 2 * left[1], 2)
    try:
        product(f(*left), f(*right))
        verdict = True
    except ShapeError:
        verdict = False
    assert verdict is legal


def test_a_broken_result_is_refused_after_the_body_and_broken_arguments_before() -> None:
    ran = []

    @checked
    def lose_batch(x: Float[Tensor, "batch 3"]) -> tuple[Float[Tensor, "batch"], int]:
        ran.append(x)
        return x.sum(), 1

    with pytest.raises(ShapeError, match="'x'"):
        lose_batch(f(3))
    assert ran == []
    with pytest.raises(ShapeError, match=r"lose_batch: the result\[0\] breaks") as error:
        lose_batch(f(2, 3))
    assert (len(ran), error.value.argument) == (1, "return[0]")


def test_nested_calls_do_not_share_axes() -> None:
    @checked
    def inner(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x

    @checked
    def outer(x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch"]:
        for length in (1, 2, 3):
            inner(f(length))
        return x.sum(1)

    assert outer(f(5, 2)).shape == (5,)


def test_a_failed_call_leaves_nothing_bound() -> None:
    with pytest.raises(ShapeError):
        shared(f(2), f(3))
    shared(f(4), f(4))


def test_a_changed_attribute_is_seen() -> None:
    module = Scaled(3)
    module(f(2, 3))
    module.width = 4
    module(f(2, 4))
    with pytest.raises(ShapeError, match="expected width = 4, got 3"):
        module(f(2, 3))


def test_braces_that_cannot_be_read_are_the_contracts_fault() -> None:
    module = Scaled(3)
    del module.width
    with pytest.raises(ContractError, match=r"cannot read \{self\.width\} as a size"):
        module(f(2, 3))


def test_a_forward_reference_waits_for_the_first_call() -> None:
    @checked
    def later(x: "Unborn") -> None:  # type: ignore[name-defined]  # made below
        ...

    with pytest.raises(ContractError, match="later: an annotation cannot be read: name 'Unborn'"):
        later(1)
    globals()["Unborn"] = int
    try:
        later(1)
        with pytest.raises(ShapeError):
            later("1")
    finally:
        del globals()["Unborn"]


def test_checked_twice_is_checked_once() -> None:
    assert checked(fixed) is fixed


async def wait() -> None: ...


@pytest.mark.parametrize("target", [Scaled, Scaled(3).forward, torch.relu, staticmethod(f), wait])
def test_only_plain_functions_and_dataclasses_are_checked(target: Any) -> None:
    with pytest.raises(ContractError, match="checked takes a plain function or a dataclass, got"):
        checked(target)


def test_a_checked_dataclass_refuses_wrong_fields() -> None:
    @checked
    @dataclass(frozen=True)
    class Points:
        places: Float[Tensor, "batch 3"]
        labels: Int64[Tensor, "batch"]

    assert Points(f(2, 3), i(2)).labels.shape == (2,)
    with pytest.raises(ShapeError, match=r"Points\.__init__: argument 'labels'"):
        Points(f(2, 3), i(4))


def test_the_mark_of_a_check_is_not_copied() -> None:
    @functools.wraps(fixed)
    def wrapped(x: Tensor) -> None: ...

    assert is_checked(fixed)
    assert not is_checked(wrapped)
    with pytest.raises(ShapeError):
        checked(wrapped)(f(9))


def test_a_union_forgets_what_a_failed_option_bound() -> None:
    @checked
    def second(
        x: tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]
        | tuple[Float[Tensor, "seq"], Float[Tensor, "batch"]],
    ) -> Float[Tensor, "batch"]:
        return x[1]

    assert second((f(2), f(3))).shape == (3,)


def test_a_list_may_bind_axes_of_the_result_unless_it_is_empty() -> None:
    @checked
    def total(xs: list[Float[Tensor, "batch _"]]) -> Float[Tensor, "batch"]:
        return torch.cat(xs, 1).sum(1) if xs else f(9)

    assert total([f(2, 3), f(2, 4)]).shape == (2,)
    with pytest.raises(ShapeError, match="no argument of this call binds axis batch"):
        total([])


def test_braces_are_read_when_they_are_needed() -> None:
    @checked
    def padded(
        x: Float[Tensor, "batch"],
        sizes: list[int] | None = None,
        y: Float[Tensor, "{len(sizes)}"] | None = None,
    ) -> Float[Tensor, "batch"]:
        return x

    assert padded(f(2)).shape == (2,)
    assert padded(f(2), [1, 2, 3], f(3)).shape == (2,)
    with pytest.raises(ShapeError, match="argument 'x'"):
        padded(f(2, 2), None, f(3))


def test_an_argument_may_be_called_self_or_return_something() -> None:
    @checked
    def method(self: int, return_mask: bool = False) -> int:
        return self

    assert method(self=3) == 3
    with pytest.raises(ShapeError, match="argument 'return_mask' breaks"):
        method(3, return_mask="yes")  # type: ignore[arg-type]  # the fault under test


def test_an_expression_that_cannot_be_computed_is_told() -> None:
    @checked
    def ratio(x: Float[Tensor, "height width"], y: Float[Tensor, "height//width"]) -> None: ...

    with pytest.raises(ContractError, match=r"height//width.* cannot be computed"):
        ratio(f(3, 0), f(1))


def test_true_division_is_compared_as_a_number() -> None:
    @checked
    def half(x: Float[Tensor, "height"], y: Float[Tensor, "height/2"]) -> None: ...

    half(f(4), f(2))
    with pytest.raises(ShapeError, match=r"expected height/2 = 1\.5, got 1"):
        half(f(3), f(1))


def test_broadcasting_is_told_truly() -> None:
    @checked
    def add(x: Float[Tensor, "*#batch 3"], y: Float[Tensor, "*#batch 3"]) -> None: ...

    add(f(2, 1, 3), f(2, 5, 3))
    with pytest.raises(ShapeError) as error:
        add(f(2, 1, 3), f(2, 5, 4))
    assert error.value.axis == 2
    assert "axis 0" not in str(error.value)


def test_values_that_cannot_be_shown_do_not_hide_the_mistake() -> None:
    class Shy:
        def __repr__(self) -> str:
            raise RuntimeError

    loop: list[Any] = []
    loop.append(loop)
    for value in (Shy(), loop, {"a": f(2)}, [f(2)] * 9):
        with pytest.raises(ShapeError, match="'x' breaks its contract"):
            fixed(value)  # type: ignore[arg-type]  # the fault under test


def test_a_decorated_function_is_not_run_when_the_call_does_not_fit() -> None:
    ran = []

    def scaling(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        @functools.wraps(function)
        def call(x: Tensor) -> Tensor:
            ran.append(x)
            return function(x, 2.0)

        return call

    @checked
    @scaling
    def scale(x: Float[Tensor, "batch"], factor: float) -> Float[Tensor, "batch"]:
        return factor * x

    with pytest.raises(TypeError, match=r"scale\(\): missing a required argument: 'factor'"):
        scale(f(2))
    assert ran == []


def test_symbolic_tracing_passes_through() -> None:
    graph = torch.fx.symbolic_trace(nn.Sequential(Scaled(3)))
    assert graph(f(2, 3)).shape == (2,)


def test_checked_functions_have_code_of_their_own() -> None:
    """Dynamo limits recompilations per code object; tracebacks show its name."""

    def make(width: int) -> Callable[[Tensor], Tensor]:
        @checked
        def grow(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
            return x + width

        return grow

    torch.compiler.reset()
    for width in range(12):
        torch.compile(make(width), backend="eager", fullgraph=True)(f(2))
    assert fixed.__code__.co_name == "fixed"


class Maker:
    @classmethod
    @checked
    def ones(cls, like: Float[Tensor, "batch"]) -> Float[Tensor, "batch 2"]:
        return torch.ones(len(like), 2)

    @staticmethod
    @checked
    def zeros(like: Float[Tensor, "batch"]) -> Float[Tensor, "batch 2"]:
        return torch.zeros(len(like), 3)


def test_class_and_static_methods_are_checked() -> None:
    assert Maker.ones(f(3)).shape == (3, 2)
    with pytest.raises(ShapeError, match="expected 2, got 3"):
        Maker.zeros(f(3))


def test_checks_can_be_switched_off_and_come_back() -> None:
    with unchecked():
        with unchecked():
            fixed(f(9))
        fixed(f(9))
    with pytest.raises(ShapeError):
        fixed(f(9))


def test_jaxtypings_own_switch_is_respected() -> None:
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        fixed(f(9))
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    with pytest.raises(ShapeError):
        fixed(f(9))


@pytest.mark.parametrize(
    ("value", "printed", "error"),
    [("off", "False", ""), ("on", "True", ""), ("never", "", "SHAPEZOO_CHECKS")],
)
def test_the_environment_variable_decides_at_import(value: str, printed: str, error: str) -> None:
    code = (
        "from shapezoo.models import LeNet; "
        "from shapezoo.contracts import is_checked; print(is_checked(LeNet.forward))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"SHAPEZOO_CHECKS": value},
        capture_output=True,
        text=True,
    )
    assert result.stdout.strip() == printed
    assert error in result.stderr


def test_a_compiled_call_gives_what_the_eager_one_gives() -> None:
    module = Scaled(3)
    x = torch.randn(2, 3)
    compiled = torch.compile(module, backend="eager", fullgraph=True)
    assert torch.equal(compiled(x), module(x))
