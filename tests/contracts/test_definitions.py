"""What can be checked: methods, descriptors, defaults, replaced and generated functions."""

import functools
import inspect
import keyword
import sys
import types
import typing
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypedDict, TypeVar, Unpack, no_type_check, overload

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float
from torch import Tensor, nn, zeros
from torch._dynamo.exc import TorchRuntimeError

from shapezoo import (
    ContractError,
    Module,
    Proved,
    ShapeError,
    checked,
    prove,
    signature,
    trace,
    unchecked,
)

T = TypeVar("T")


def refused(call: Callable[..., object], *args: Any) -> ShapeError:
    with pytest.raises(ShapeError) as error:
        call(*args)
    return error.value


def made(source: str) -> Any:
    """Return the function `f` that some source defines."""
    names: dict[str, Any] = {"Float": Float, "Tensor": Tensor, "typing": typing}
    exec(source, names)
    return names["f"]


HELPERS = ["recall", "key_of", "read", "known", "call", "args", "kwargs", "value", "wrapper"]


@given(
    names=st.lists(
        st.one_of(
            st.sampled_from([n for h in HELPERS for n in (h, f"_{h}", f"_{h}_", f"_{h}__")]),
            st.from_regex(r"[a-z_]{1,12}", fullmatch=True).filter(str.isidentifier),
        ).filter(lambda name: name not in {"self", "cls", "x"} and not keyword.iskeyword(name)),
        min_size=1,
        max_size=4,
        unique=True,
    )
)
def test_no_name_of_a_parameter_hides_the_engine(names: list[str]) -> None:
    called = []

    def metric(*args: object) -> None:
        called.append(args)

    parameters = ", ".join(f"{name}: object" for name in names)
    function = checked(made(f"def f({parameters}, *, x: Float[Tensor, 'n n']) -> None: ..."))
    for _ in range(2):
        function(*[metric] * len(names), x=zeros(2, 2))
        with pytest.raises(ShapeError):
            function(*[metric] * len(names), x=zeros(2, 3))
    assert not called


class Odd(Module):
    """The first parameter of its methods is not named ``self``."""

    def __init__(this) -> None:  # noqa: N805  # that is what is tested
        super().__init__()
        this.width = 3

    def forward(this, x: Float[Tensor, "batch width={this.width}"]) -> Float[Tensor, "batch"]:  # noqa: N805
        return x.sum(1)


def test_the_first_parameter_of_a_forward_may_have_any_name() -> None:
    module = Odd()
    assert refused(module, zeros(2, 4)).axis == 1
    assert str(signature(module)) == '(x: Float[Tensor, "batch width=3"]) -> Float[Tensor, "batch"]'
    assert isinstance(prove(module), Proved)
    assert trace(module).call.outputs[0].sizes == ("batch",)


class Holder:
    @checked
    @staticmethod
    def static(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return x

    @checked
    @classmethod
    def of_class(kind, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:  # noqa: N804  # any name
        return x

    @checked  # type: ignore[prop-decorator]  # mypy knows no decorators over property
    @property
    def size(this) -> Float[Tensor, "3"]:  # noqa: N805  # any name
        """The size."""
        return zeros(4)


def test_what_is_decorated_already_can_be_checked() -> None:
    for call in (Holder.static, Holder().static, Holder.of_class, Holder().of_class):
        assert call(zeros(2)).shape == (2,)
        assert refused(call, zeros(2, 2)).argument == "x"
    assert refused(lambda: Holder().size).argument == "return"
    assert Holder.size.__doc__ == "The size."


def test_no_type_check_switches_a_contract_off() -> None:
    class Free(Module):
        @no_type_check
        def forward(self, x):
            return x

    assert Free()(3) == 3
    with pytest.raises(ContractError, match="no_type_check"):
        signature(Free())


class Keywords(TypedDict):
    size: int


def test_what_is_not_supported_is_told() -> None:
    async def later(x: int) -> int:
        return x

    async def several(x: int) -> Any:
        yield x

    def itself(self) -> typing.Self: ...  # type: ignore[no-untyped-def,misc]  # as in a class
    def unpacked(**kwargs: Unpack[Keywords]) -> None: ...

    for function, why in (
        (later, "does not take an async function"),
        (several, "does not take an async function"),
        (itself, "typing.Self is not supported; write the name of the class"),
        (unpacked, "typing.Unpack is not supported"),
    ):
        with pytest.raises(ContractError, match=why):
            checked(function)


def test_overloads_are_not_read() -> None:
    @overload
    def f(x: int) -> int: ...
    @overload
    def f(x: str) -> str: ...
    def f(x):  # type: ignore[no-untyped-def]  # the overloads have the types
        return x

    with pytest.raises(ContractError, match=r"annotations: 'x' and .*overloads .* are not read"):
        checked(f)


@pytest.mark.parametrize(
    ("parameter", "default"),
    [
        ("x: Float[Tensor, 'n'] = None", "None"),
        ("x: int = 'text'", "str 'text'"),
        ("x: list[int] = ()", "tuple of 0"),
        ("*, x: bool = None", "None"),
    ],
)
def test_a_default_that_its_annotation_refuses_is_refused(parameter: str, default: str) -> None:
    with pytest.raises(
        ContractError,
        match=f"the default of 'x' is {default}.*, which does not match",
    ):
        checked(made(f"def f({parameter}) -> None: ..."))


def test_a_default_that_may_fit_is_taken() -> None:
    def function(
        n: float = 1,
        x: Float[Tensor, "{n}"] | None = None,
        y: Float[Tensor, "n"] = zeros(3),  # noqa: B008  # a tensor as a default
    ) -> None: ...

    @checked
    @dataclass
    class Filled:
        x: list[int] = field(default_factory=list)

    checked(function)()
    assert Filled().x == []


def test_a_function_without_a_module_is_checked() -> None:
    function = made("def f(x: Float[Tensor, 'n']) -> None: ...")
    function.__module__ = None
    assert str(refused(checked(function), zeros(2, 2))).startswith("f: argument 'x' breaks")
    assert signature(function).name == "f"


class Alike(Module, Generic[T]):
    def forward(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return x


def test_a_generic_class_in_brackets_has_a_signature() -> None:
    assert signature(Alike[int]) == signature(Alike)


@pytest.mark.parametrize("what", [3, int, len, list[int], zeros(1)])
def test_what_has_no_signature_is_told(what: Any) -> None:
    with pytest.raises(ContractError, match="signature takes a function or a module, got"):
        signature(what)


class Lazy(Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer: Any = nn.LazyLinear(4)

    def forward(
        self, x: Float[Tensor, "batch {self.layer.in_features}"]
    ) -> Float[Tensor, "batch {self.layer.out_features}"]:
        result: Tensor = self.layer(x)
        return result


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_the_size_of_a_lazy_layer_is_known_after_its_first_call() -> None:
    module = Lazy()
    assert module(zeros(2, 3)).shape == (2, 4)
    assert module(zeros(5, 3)).shape == (5, 4)
    assert "expected 3, got 6" in str(refused(module, zeros(2, 6)))
    module.layer = nn.Linear(6, 4)
    assert module(zeros(2, 6)).shape == (2, 4)


def test_an_empty_layer_that_is_not_lazy_takes_nothing() -> None:
    module = Lazy()
    module.layer = nn.Identity()
    module.layer.in_features, module.layer.out_features = 0, 0
    assert refused(module, zeros(2, 3)).axis == 1


@checked
def first(x: Float[Tensor, "n 2"]) -> Float[Tensor, "n 2"]:
    return x + 1


@checked
def second(x: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
    return x + 2


def test_autoreload_reaches_functions_that_were_imported_by_name() -> None:
    body = types.FunctionType(inspect.unwrap(first).__code__, globals())
    body.__annotations__ = first.__annotations__
    old: Any = checked(body)
    assert old(zeros(1, 2)).sum() == 2
    # what IPython does to a function of a module that it loads anew
    for name in ("__code__", "__defaults__", "__doc__", "__dict__"):
        setattr(old, name, getattr(second, name))
    assert old(zeros(1, 3)).sum() == 6
    assert refused(old, zeros(1, 2)).axis == 1


def test_what_wraps_a_checked_function_is_not_taken_for_it() -> None:
    @functools.wraps(first)
    @checked
    def third(x: Float[Tensor, "n 4"]) -> Float[Tensor, "n 4"]:
        return x + 3

    for _ in range(2):
        assert third(zeros(1, 4)).sum() == 12
    assert first(zeros(1, 2)).sum() == 2


def test_checks_can_be_switched_off_inside_a_graph() -> None:
    def both(x: Tensor) -> tuple[Tensor, Tensor]:
        with unchecked():
            return first(x), second(x)

    torch.compiler.reset()
    compiled = torch.compile(both, backend="eager", fullgraph=True)
    one, other = compiled(zeros(1, 2))
    assert (one.sum().item(), other.sum().item()) == (2, 4)
    refused(second, zeros(1, 2))
    with unchecked():
        compiled(zeros(1, 2))
        second(zeros(1, 2))
    refused(second, zeros(1, 2))


def test_a_compiled_function_cannot_catch_what_its_trace_raises() -> None:
    def careful(x: Tensor) -> Tensor:
        try:
            return second(x)
        except ShapeError:
            return x

    torch.compiler.reset()
    with pytest.raises(ShapeError, match="expected 3, got 2") as error:
        torch.compile(careful, backend="eager", fullgraph=True)(zeros(1, 2))
    assert isinstance(error.value, TorchRuntimeError)
    assert "an `except` inside the traced code does not catch it" in error.value.__notes__[0]
    assert careful(zeros(1, 2)).shape == (1, 2)


def test_many_numbers_are_checked_fast() -> None:
    @checked
    def total(numbers: list[int], names: dict[str, int]) -> int:
        return len(numbers)

    calls = 0

    def count(frame: Any, event: str, argument: object) -> None:
        nonlocal calls
        calls += 1

    numbers = list(range(100_000))
    sys.setprofile(count)
    try:
        total(numbers, {str(number): number for number in range(2_000)})
    finally:
        sys.setprofile(None)
    assert calls < 10_000  # not several for each number
