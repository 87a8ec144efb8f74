"""`assert_contract` finds contracts that are not enforced, not true or too loose."""

import dataclasses
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypedDict

import numpy as np
import pytest
import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor, nn

from shapezoo import ContractError, Module, ShapeError, checked, unchecked
from shapezoo.models import ResidualBlock, gru, lenet
from shapezoo.testing import assert_contract, inputs


class Head(Module):
    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.hidden, self.classes = hidden, classes
        self.linear = nn.Linear(hidden, classes)

    def forward(
        self, x: Float[Tensor, "batch {self.hidden}"]
    ) -> Float[Tensor, "batch {self.classes}"]:
        result: Tensor = self.linear(x)
        return result


@checked
@dataclass(frozen=True)
class Batch:
    images: Float[Tensor, "batch 4"]
    weights: Float[Tensor, "batch"]


class Child(Batch):
    pass


@checked
@dataclass(kw_only=True)
class Keywords:
    images: Float[Tensor, "batch 4"]
    items: list[Float[Tensor, "3"]] = dataclasses.field(default_factory=list)
    late: int = dataclasses.field(init=False, default=3)


class Pair(NamedTuple):
    left: Float[Tensor, "batch 3"]
    right: Float[Tensor, "batch"]


class Named(TypedDict):
    left: Float[Tensor, "batch 3"]


@checked
def pair(x: Float[Tensor, "batch 3"]) -> Pair:
    return Pair(x, x[:, 0])


@checked
def batch(x: Float[Tensor, "batch 4"]) -> Batch:
    return Batch(x, x[:, 0])


@checked
def weigh(batch: Batch) -> Float[Tensor, "batch"]:
    return batch.weights


@checked
def named(x: Float[Tensor, "batch 3"]) -> Named:
    return {"left": x}


@checked
def by_name(x: Float[Tensor, "batch 3"]) -> dict[str, Float[Tensor, "batch 3"]]:
    return {"left": x, "right": x}


@checked
def nested(x: Float[Tensor, "batch"]) -> tuple[Float[Tensor, "batch"], list[Float[Tensor, "3"]]]:
    return x, [torch.zeros(3)] * 2


@checked
def perhaps(x: Float[Tensor, "batch"], flag: bool) -> Float[Tensor, "batch"] | None:
    return x if flag else None


@checked
def chosen(
    x: Float[Tensor, "batch 3"] | Int64[Tensor, "batch"], mode: Literal["a", "b"] = "a"
) -> Float[Tensor, "batch"]:
    return torch.zeros(len(x))


@checked
def several(
    *inputs: Float[Tensor, "batch 3"], last: Float[Tensor, "batch"]
) -> Float[Tensor, "batch"]:
    return last


@checked
def joined(
    x: Float[Tensor, "seq"], y: Float[Tensor, "seq-2"], z: Float[Tensor, "*rest 2*seq"]
) -> Float[Tensor, "*rest seq"]:
    return z[..., ::2]


@checked
def anything(x: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    return x


@pytest.mark.parametrize(
    "subject",
    [
        Head(3, 2),
        Head,
        ResidualBlock,
        gru(bidirectional=True),
        Batch,
        Child,
        Keywords,
        pair,
        batch,
        weigh,  # a checked dataclass cannot be made wrong
        named,
        by_name,
        nested,
        perhaps,
        chosen,
        several,
        joined,
        anything,  # no result could be wrong
    ],
)
def test_contracts_that_are_enforced_and_true_pass(subject: Any) -> None:
    assert_contract(subject, max_examples=4)


def test_a_compiled_module_passes_too() -> None:
    assert_contract(torch.compile(Head(3, 2), backend="eager"), max_examples=3)


class Unchecked(nn.Module):
    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return x


def unchecked_function(x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
    return x


@dataclass
class UncheckedRecord:
    images: Float[Tensor, "batch 4"]


@pytest.mark.parametrize(
    ("subject", "name"),
    [
        (Unchecked(), "Unchecked.forward"),
        (Unchecked, "Unchecked.forward"),
        (unchecked_function, "unchecked_function"),
        (UncheckedRecord, "UncheckedRecord"),
    ],
)
def test_the_error_says_how_to_check_a_contract(subject: Any, name: str) -> None:
    expected = re.escape(f"{__name__}.{name} is not checked; ") + ".*@shapezoo.checked"
    with pytest.raises(AssertionError, match=expected):
        assert_contract(subject)


class Around(Head):
    """Bypasses its check."""

    def __call__(self, x: Tensor) -> Tensor:
        return x[:, :2]


class Late(Head):
    """Fails before its check."""

    def __call__(self, x: Tensor) -> Tensor:
        return self.linear(x)  # type: ignore[no-any-return]  # nn.Module's call


def test_a_bypassed_check_is_found() -> None:
    with pytest.raises(AssertionError, match=r"Around\(x=.*\), wrong in the .* of x is accepted"):
        assert_contract(Around(3, 2))


def test_a_check_that_comes_too_late_is_found() -> None:
    with pytest.raises(
        AssertionError, match="wrong in the axis 1 of x is not refused, but fails\nRuntimeError"
    ):
        assert_contract(Late(3, 2))


def test_a_forward_of_an_instance_cannot_be_copied() -> None:
    model = Head(3, 2)
    model.forward = model.linear.forward  # type: ignore[assignment]  # the fault under test
    with pytest.raises(TypeError, match=r"the module \(Head\) has a forward of its own"):
        assert_contract(model)


def test_results_that_hooks_change_are_checked() -> None:
    model = Head(3, 4)
    model.register_forward_hook(lambda module, args, result: result[:, :2])
    with pytest.raises(AssertionError, match="returns what its contract does not allow"):
        assert_contract(model)


def test_a_check_below_another_decorator_counts() -> None:
    @checked
    def double(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return 2 * x

    @functools.wraps(double)
    def wrapped(x: Tensor) -> Tensor:
        return double(x)

    assert_contract(wrapped)


@checked
def even(x: Float[Tensor, "height"]) -> Float[Tensor, "height//2"]:
    return x[::2]


@checked
def fewer_than_four(x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
    if len(x) > 3:
        raise ValueError("too many")
    return x


@checked
def asserting(x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
    assert len(x) < 3
    return x


@checked
def stricter(x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
    return fixed(x)


@checked
def fixed(x: Float[Tensor, "1 3"]) -> Float[Tensor, "1 3"]:
    return x


@checked
def without_state(
    x: Float[Tensor, "batch"], state: Float[Tensor, "batch"] | None = None
) -> Float[Tensor, "batch"]:
    assert state is not None
    return state


@checked
def one_dtype(x: Float[Tensor, "batch"] | Int64[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    return x * 2


@checked
def second_is_wrong(
    x: Float[Tensor, "batch"],
) -> tuple[Float[Tensor, "batch"], dict[str, Float[Tensor, "batch"]]]:
    return x, {"state": x[:1]}


class OneWidth(Head):
    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__(hidden, classes)
        self.linear = nn.Linear(hidden, 2)


@pytest.mark.parametrize(
    ("subject", "smallest", "error"),
    [
        (even, "even(x=Tensor float32 (1,))", r"expected height//2 = 0, got 1"),
        (fewer_than_four, "fewer_than_four(x=Tensor float32 (4, 3))", "ValueError: too many"),
        (asserting, "asserting(x=Tensor float32 (3, 3))", "AssertionError: "),
        (stricter, "stricter(x=Tensor float32 (2, 3))", r"ShapeError: .*\.fixed: argument 'x'"),
        (without_state, "without_state(x=Tensor float32 (1,))", "AssertionError: "),
        (one_dtype, "one_dtype(x=Tensor int64 (1,) [0])", "the result breaks its contract"),
        (
            second_is_wrong,
            "second_is_wrong(x=Tensor float32 (2,))",
            r"result\[1\]\['state'\] breaks",
        ),
        (OneWidth, "OneWidth(x=Tensor float32 (1, 1))", "expected 1, got 2"),
    ],
)
def test_a_call_that_keeps_the_contract_and_fails_is_shown_at_its_smallest(
    subject: Callable[..., Any], smallest: str, error: str
) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_contract(subject)
    first, rest = str(caught.value).split("\n", maxsplit=1)
    assert first == f"{smallest} keeps the contract, but fails"
    assert re.search(error, rest)
    assert not isinstance(caught.value, ShapeError)


class Worn(Module):
    """Returns a wrong result in some of its calls."""

    def __init__(self, *fails: int) -> None:
        super().__init__()
        self.fails, self.calls = fails, 0

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        self.calls += 1
        return x[:, 1:] if self.calls in self.fails else x


def test_a_contract_that_a_second_call_breaks_is_found() -> None:
    model = Worn(*range(2, 1000))
    with pytest.raises(AssertionError, match=r"Worn\(.*\) keeps the contract, but fails"):
        assert_contract(model)
    assert model.calls == 0  # what was called is a copy


def test_a_failure_that_does_not_repeat_is_found() -> None:
    with pytest.raises(AssertionError, match="the same call does not always have the same result"):
        assert_contract(Worn(3))


def test_one_example_cannot_see_what_larger_ones_do() -> None:
    assert_contract(fewer_than_four, inputs(fewer_than_four, batch=range(1, 4)))
    assert_contract(even, inputs(even, assume="height % 2 == 0"))
    with pytest.raises(AssertionError, match=r"\(7, 3\)"):
        assert_contract(fewer_than_four, inputs(fewer_than_four, batch=7))


def test_a_mistake_in_the_body_before_its_check_is_not_taken_for_it() -> None:
    """The error of a refused call must name the wrong argument."""

    @checked
    def inner(y: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return y

    class Elsewhere(Head):
        def __call__(self, x: Tensor) -> Tensor:
            return inner(x)

    with pytest.raises(AssertionError, match=r"refused for another reason\n.*argument 'y' breaks"):
        assert_contract(Elsewhere(3, 3))


def test_a_function_without_shapes_is_refused() -> None:
    @checked
    def plain(n: int) -> int:
        return n

    with pytest.raises(ContractError, match="name no shape"):
        assert_contract(plain)


def test_arguments_that_cannot_be_made_must_be_given() -> None:
    @checked
    def sized(x: Float[Tensor, "batch"], n: int) -> Float[Tensor, "batch"]:
        return x

    with pytest.raises(ContractError, match="cannot make an example of argument 'n: int'"):
        assert_contract(sized)
    assert_contract(sized, inputs(sized, given={"n": 3}))


def test_arrays_are_called_but_not_broken() -> None:
    @checked
    def double(x: Float[np.ndarray, "batch 3"]) -> Float[np.ndarray, "batch 3"]:
        return 2 * x

    assert_contract(double, max_examples=4)


def test_without_checks_nothing_can_be_asserted() -> None:
    with unchecked(), pytest.raises(RuntimeError, match="checks are switched off"):
        assert_contract(lenet())


def test_generators_and_modules_are_left_as_they_were() -> None:
    model = Head(3, 2).train()
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.random.get_rng_state()
    assert_contract(model)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert model.training
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


class Fussy(Module):
    def __init__(self, width: int) -> None:
        raise ValueError("no width will do")

    def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x


def test_a_class_that_takes_no_size_has_no_calls() -> None:
    with pytest.raises(ContractError, match="no arguments were found"):
        assert_contract(Fussy)


def test_methods_are_functions() -> None:
    class Scaler:
        def __init__(self, width: int) -> None:
            self.width = width

        @checked
        def scale(
            self, x: Float[Tensor, "batch {self.width}"]
        ) -> Float[Tensor, "batch {self.width}"]:
            return 2 * x

    assert_contract(Scaler(3).scale)
