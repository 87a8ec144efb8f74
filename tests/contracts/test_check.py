import functools
import os
import pickle
import subprocess
import sys
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

import jaxtyping
import pytest
import torch
from beartype.vale import Is
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo import ContractError, ShapeError, checked, unchecked
from shapezoo.contracts import is_checked


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
def shared(x: Float[Tensor, "batch"], y: Float[Tensor, "batch"]) -> None: ...
@checked
def sequence(xs: list[Float[Tensor, "batch"]]) -> None: ...
@checked
def starred(*xs: Float[Tensor, "batch"], **ys: Float[Tensor, "batch"]) -> None: ...


def f(*shape: int) -> Tensor:
    return torch.zeros(shape)


def i(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64)


def test_keywords_are_checked_like_positions() -> None:
    with pytest.raises(ShapeError, match=r"ys\['b'\]"):
        starred(a=f(2), b=f(3))
    with pytest.raises(ShapeError, match="'y'"):
        shared(y=f(3), x=f(2))


def test_a_call_that_does_not_fit_gets_pythons_own_message() -> None:
    with pytest.raises(TypeError, match=r"fixed\(\) missing 1 required positional argument: 'x'"):
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
    with pytest.raises(ShapeError, match=r"lose_batch: result\[0\] breaks") as error:
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

    with pytest.raises(ContractError, match="cannot evaluate the annotation of 'x': name 'Unborn'"):
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


@pytest.mark.parametrize("target", [Scaled, Scaled(3).forward, torch.relu, functools.partial(f, 2)])
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
    with pytest.raises(ShapeError, match="no argument of this call has"):
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


def test_an_expression_that_is_no_arithmetic_is_told_too() -> None:
    @checked
    def lengths(x: Float[Tensor, "height len(height)"]) -> None: ...

    with pytest.raises(
        ContractError, match=r"cannot be computed: object of type 'int' has no len\(\)"
    ):
        lengths(f(3, 1))


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
    with pytest.raises(ShapeError, match="axis 2    expected 3, got 4") as error:
        add(f(5, 3), f(2, 5, 4))
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

    with pytest.raises(
        TypeError, match=r"scale\(\) missing 1 required positional argument: 'factor'"
    ):
        scale(f(2))
    assert ran == []


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


@pytest.mark.slow
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


def test_jaxtypings_own_switch_holds_for_results_too() -> None:
    results = [f(2), f(3)]

    @checked
    def pick(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return results.pop(0)

    pick(f(2))
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        pick(f(2))
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)


def test_unchecked_holds_for_names_that_come_later() -> None:
    @checked
    def later(x: "NeverBorn") -> None:  # type: ignore[name-defined]  # not there
        ...

    with unchecked():
        later(1)
    with pytest.raises(ContractError):
        later(1)


def test_a_bound_method_is_checked_if_its_function_is() -> None:
    assert is_checked(Scaled(3).forward)
    assert not is_checked(nn.ReLU().forward)


def test_a_validator_on_a_shape_is_refused() -> None:
    def positive(x: Annotated[Float[Tensor, "n"], Is[lambda x: bool((x > 0).all())]]) -> None: ...

    with pytest.raises(ContractError, match="has a validator"):
        checked(positive)

    def noted(x: Annotated[Float[Tensor, "n"], "a note"]) -> None: ...

    with pytest.raises(ShapeError):
        checked(noted)(f(2, 2))


def test_a_field_that_a_factory_fills_may_be_left_out() -> None:
    @checked
    @dataclass
    class Collected:
        x: Float[Tensor, "batch"]
        more: list[Float[Tensor, "batch"]] = field(default_factory=list)

    assert Collected(f(2)).more == []
    with pytest.raises(ShapeError, match=r"more\[0\]"):
        Collected(f(2), [f(3)])


@pytest.mark.parametrize("name", ["List", "Dict", "Tuple", "Sequence", "Mapping"])
def test_bare_containers_are_checked_by_their_class(name: str) -> None:
    def take(x: Any) -> None: ...

    take.__annotations__["x"] = getattr(typing, name)
    checked(take)({"List": [1], "Dict": {1: 2}, "Mapping": {1: 2}}.get(name, (1, 2)))
    with pytest.raises(ShapeError):
        checked(take)(1)


def test_a_contract_error_of_a_call_names_the_function_and_can_be_pickled() -> None:
    module = Scaled(3)
    del module.width
    with pytest.raises(ContractError, match=r"test_check\.Scaled\.forward: cannot read") as error:
        module(f(2, 3))
    assert str(pickle.loads(pickle.dumps(error.value))) == str(error.value)
