"""What jaxtyping with beartype does is done here too, in the words of our own tests.

`test_jaxtyping_bodies.py` goes on with calls inside calls and assertions in bodies. Where shapezoo
differs on purpose, `test_jaxtyping_differences.py` says so.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, Union, no_type_check, overload

import jaxtyping
import numpy as np
import pytest
import torch
from jaxtyping import (
    Bool,
    Float,
    Float32,
    Int,
    Num,
    Shaped,
    TypeCheckError,
)
from tests.contracts.jaxtyping_outcomes import Library, both_libraries, outcome, with_jaxtyping
from torch import Tensor

from shapezoo import checked

Array = TypeVar("Array", Tensor, np.ndarray)
AnyTensor = TypeVar("AnyTensor", bound=Tensor)
Anything = TypeVar("Anything")
Image = Float[Tensor, "height width"]


def f(*shape: int) -> Tensor:
    return torch.zeros(shape)


def i(*shape: int) -> Tensor:
    return torch.zeros(shape, dtype=torch.int64)


def n(*shape: int) -> "np.ndarray[Any, Any]":
    return np.zeros(shape, dtype=np.float32)


def fixed(x: Float[Tensor, "4 width"], y: Float[Tensor, "width"]) -> Float[Tensor, "4"]:
    return x @ y


def square(x: Float[Tensor, "n n"]) -> None: ...
def swapped(x: Float[Tensor, "a b"], result: Any) -> Float[Tensor, "b a"]:
    return result  # type: ignore[no-any-return]


def scalar(x: Float[Tensor, ""]) -> None: ...
def anonymous(
    x: Float[Tensor, "n _"], y: Float[Tensor, "_"], z: Float[Tensor, "_a _a"]
) -> None: ...
def variadic(x: Float[Tensor, "*batch n"], y: Float[Tensor, "*batch"]) -> None: ...
def in_the_middle(x: Float[Tensor, "a *rest b"], y: Float[Tensor, "*rest"]) -> None: ...
def ellipsis(
    x: Float[Tensor, "... n"], y: Float[Tensor, "n"], z: Float[Tensor, "*_ 2"]
) -> None: ...
def broadcast_number(x: Float[Tensor, "#4"]) -> None: ...
def broadcast(x: Float[Tensor, "#n"], y: Float[Tensor, "#n"]) -> None: ...
def broadcast_then_exact(x: Float[Tensor, "#n"], y: Float[Tensor, "n"]) -> None: ...
def broadcast_name(x: Float[Tensor, "#n"], result: Any) -> Float[Tensor, "n"]:
    return result  # type: ignore[no-any-return]


def broadcast_axes(x: Float[Tensor, "*#a"], y: Float[Tensor, "#*a"]) -> None: ...
def broadcast_result(
    x: Float[Tensor, "*#a"], y: Float[Tensor, "*#a"], result: Any
) -> Float[Tensor, "*a"]:
    return result  # type: ignore[no-any-return]


def label(x: Float[Tensor, "rows=4"], y: Float[Tensor, "rows"]) -> None: ...
def label_of_a_name(x: Float[Tensor, "rows=n"], y: Float[Tensor, "n"]) -> None: ...
def shorter(x: Float[Tensor, "n"], result: Any) -> Float[Tensor, "n-1"]:
    return result  # type: ignore[no-any-return]


def halved(
    x: Float[Tensor, "n"], y: Float[Tensor, "n//2"], z: Float[Tensor, "min(n,3)"]
) -> None: ...
def halved_truly(x: Float[Tensor, "n"], y: Float[Tensor, "n/2"]) -> None: ...
def summed(x: Float[Tensor, "a b"], y: Float[Tensor, "sum([a,b])"]) -> None: ...
def sized(size: int, x: Float[Tensor, "{size}"], y: Float[Tensor, "{size+1}*2"]) -> None: ...
def measured(x: Float[Tensor, "*_"], y: Float[Tensor, "{x.ndim}"]) -> None: ...


class Layer:
    def __init__(self, width: int) -> None:
        self.width = width


def method(self: Layer, x: Float[Tensor, "n width={self.width}"]) -> None: ...
def union(x: Float[Tensor, "n"] | Int[Tensor, "n 2"], y: Float[Tensor, "n"]) -> None: ...
def old_union(x: Union[Float[Tensor, "n"], Literal["none"], None]) -> None: ...  # noqa: UP007
def optional(x: Float[Tensor, "n"], y: Float[Tensor, "n"] | None = None) -> None: ...
def with_default(x: Float[Tensor, "n"], scale: float = 1.0, *, name: str = "x") -> None: ...
def pair(x: tuple[Float[Tensor, "n"], Float[Tensor, "n"]]) -> None: ...
def sequence(x: Sequence[Float[Tensor, "n"]]) -> None: ...
def collected(*xs: Float[Tensor, "n"]) -> None: ...
def nested(x: list[tuple[Float[Tensor, "n"], dict[str, Int[Tensor, "n"]]]]) -> None: ...
def arrays(x: Float[Tensor, "n"], y: Float[np.ndarray, "n"], z: Bool[np.ndarray, ""]) -> None: ...
def either_array(x: Float[Tensor | np.ndarray, "n"], y: Shaped[Tensor, "n"]) -> None: ...
def any_array(x: Float[Any, "n"], y: Num[Any, "n"]) -> None: ...
def constrained_array(x: Float[Array, "n"], y: Float[Array, "n"]) -> None: ...
def bounded_array(x: Float[AnyTensor, "n"]) -> None: ...
def unbounded_array(x: Float[Anything, "n"]) -> None: ...
def constrained(x: Array, y: Array) -> Array:
    return y


def bounded(x: AnyTensor) -> AnyTensor:
    return x


def plain(x: int, y: str, z: Tensor, how: Literal["sum", "mean"], of: type[Tensor]) -> None: ...
def scalars(x: Float[float, ""] | Int[int, ""]) -> None: ...
def applied(function: Callable[[Float[Tensor, "n"]], Any], x: Float[Tensor, "n"]) -> None: ...
def alias(x: Image) -> None: ...
def stacked(x: Float[Image, "batch"]) -> None: ...
def quoted(x: "Float[Tensor, 'n']", y: "list[Float[Tensor, 'n']]") -> None: ...
@no_type_check
def unread(x: Float[Tensor, "n"], y: Float[Tensor, "n"]) -> None: ...


@overload
def overloaded(x: Float[Tensor, "n"]) -> None: ...
@overload
def overloaded(x: int) -> None: ...
def overloaded(x: Any) -> None: ...


CALLS: list[tuple[Any, tuple[Any, ...], bool]] = [
    (fixed, (f(4, 2), f(2)), True),
    (fixed, (f(3, 2), f(2)), False),
    (fixed, (f(4, 2), f(2, 1)), False),
    (fixed, (f(4, 0), f(0)), True),
    (square, (f(3, 3),), True),
    (square, (f(3, 4),), False),
    (swapped, (f(2, 3), f(3, 2)), True),
    (swapped, (f(2, 3), f(2, 3)), False),
    (swapped, (f(2, 3), i(3, 2)), False),
    (swapped, (f(2, 3), None), False),
    (scalar, (f(),), True),
    (scalar, (f(1),), False),
    (anonymous, (f(3, 4), f(5), f(6, 7)), True),
    (anonymous, (f(3, 4, 1), f(5), f(6, 7)), False),
    (variadic, (f(5), f()), True),
    (variadic, (f(2, 3, 5), f(2, 3)), True),
    (variadic, (f(2, 3, 5), f(3, 2)), False),
    (variadic, (f(2, 3, 5), f(2)), False),
    (variadic, (f(), f()), False),
    (in_the_middle, (f(2, 3, 4, 5), f(3, 4)), True),
    (in_the_middle, (f(2, 5), f()), True),
    (in_the_middle, (f(2, 3, 4, 5), f(4, 5)), False),
    (in_the_middle, (f(2), f()), False),
    (ellipsis, (f(5), f(5), f(2)), True),
    (ellipsis, (f(3, 4, 5), f(5), f(7, 2)), True),
    (ellipsis, (f(3, 4, 5), f(4), f(2)), False),
    (ellipsis, (f(5), f(5), f(2, 3)), False),
    (broadcast_number, (f(4),), True),
    (broadcast_number, (f(1),), True),
    (broadcast_number, (f(3),), False),
    (broadcast, (f(3), f(1)), True),
    (broadcast, (f(1), f(3)), True),
    (broadcast, (f(3), f(3)), True),
    (broadcast, (f(3), f(4)), False),
    (broadcast, (f(3), f(0)), False),
    (broadcast_then_exact, (f(1), f(3)), True),
    (broadcast_then_exact, (f(3), f(1)), False),
    (broadcast_name, (f(1), f(1)), True),
    (broadcast_name, (f(3), f(3)), True),
    (broadcast_name, (f(3), f(1)), False),
    (broadcast_axes, (f(3), f(4, 3)), True),
    (broadcast_axes, (f(4, 1), f(3)), True),
    (broadcast_axes, (f(2, 3), f(3, 3)), False),
    (broadcast_axes, (f(4, 3), f(4)), False),
    (broadcast_result, (f(1, 2), f(3, 1), f(3, 2)), True),
    (broadcast_result, (f(1, 2), f(3, 1), f(3, 1)), False),
    (label, (f(4), f(5)), True),
    (label, (f(3), f(3)), False),
    (label_of_a_name, (f(4), f(4)), True),
    (label_of_a_name, (f(4), f(5)), False),
    (shorter, (f(4), f(3)), True),
    (shorter, (f(4), f(4)), False),
    (halved, (f(5), f(2), f(3)), True),
    (halved, (f(5), f(3), f(3)), False),
    (halved, (f(2), f(1), f(3)), False),
    (halved_truly, (f(4), f(2)), True),
    (halved_truly, (f(5), f(2)), False),
    (summed, (f(2, 3), f(5)), True),
    (summed, (f(2, 3), f(6)), False),
    (sized, (3, f(3), f(8)), True),
    (sized, (3, f(4), f(8)), False),
    (sized, (3, f(3), f(7)), False),
    (measured, (f(7, 7), f(2)), True),
    (measured, (f(7, 7), f(3)), False),
    (method, (Layer(3), f(2, 3)), True),
    (method, (Layer(4), f(2, 3)), False),
    (union, (f(3), f(3)), True),
    (union, (i(3, 2), f(3)), True),
    (union, (i(3, 2), f(2)), False),
    (union, (i(3), f(3)), False),
    (old_union, (f(3),), True),
    (old_union, (None,), True),
    (old_union, ("none",), True),
    (old_union, ("some",), False),
    (optional, (f(3),), True),
    (optional, (f(3), None), True),
    (optional, (f(3), f(3)), True),
    (optional, (f(3), f(4)), False),
    (with_default, (f(3),), True),
    (with_default, (f(3), "2"), False),
    (pair, ((f(3), f(3)),), True),
    (pair, ((f(3), f(4)),), False),
    (pair, ((f(3),),), False),
    (pair, ([f(3), f(3)],), False),
    (sequence, ([f(3)],), True),
    (sequence, ((f(3), f(3)),), True),
    (sequence, ([i(3)],), False),
    (sequence, (f(3),), False),
    (collected, (), True),
    (collected, (f(3), f(3)), True),
    (collected, (f(3), f(4)), False),
    (nested, ([(f(3), {"a": i(3)})],), True),
    (nested, ([(f(3), {"a": i(4)})],), False),
    (arrays, (f(2), n(2), np.array(True)), True),
    (arrays, (f(2), n(3), np.array(True)), False),
    (arrays, (f(2), f(2), np.array(True)), False),
    (arrays, (f(2), n(2), n()), False),
    (arrays, (f(2), n(2).astype(np.int64), np.array(True)), False),
    (either_array, (n(2), i(2)), True),
    (either_array, (f(2), f(2)), True),
    (either_array, (n(2), i(3)), False),
    (either_array, (n(2), n(2)), False),
    (any_array, (f(2), n(2)), True),
    (any_array, (n(2), i(2)), True),
    (any_array, (n(2), i(3)), False),
    (any_array, (2.0, f(2)), False),
    (constrained_array, (f(2), f(2)), True),
    (constrained_array, (n(2), n(2)), True),
    (constrained_array, (n(2), n(3)), False),
    (constrained_array, ([0.0], f(1)), False),
    (bounded_array, (f(2),), True),
    (bounded_array, (n(2),), False),
    (bounded_array, (f(2, 2),), False),
    (unbounded_array, (n(2),), True),
    (unbounded_array, (n(2, 2),), False),
    (constrained, (f(2), f(3)), True),
    (constrained, (2, 2), False),
    (bounded, (f(2),), True),
    (bounded, (n(2),), False),
    (plain, (1, "a", f(2), "sum", Tensor), True),
    (plain, (1.0, "a", f(2), "sum", Tensor), False),
    (plain, (1, "a", n(2), "sum", Tensor), False),
    (plain, (1, "a", f(2), "max", Tensor), False),
    (plain, (1, "a", f(2), "sum", int), False),
    (scalars, (1.0,), True),
    (scalars, (1,), True),
    (scalars, ("1",), False),
    (scalars, (f(),), False),
    (applied, (torch.relu, f(2)), True),
    (applied, (2, f(2)), False),
    (alias, (f(2, 3),), True),
    (alias, (f(2),), False),
    (stacked, (f(7, 2, 3),), True),
    (stacked, (f(2, 3),), False),
    (quoted, (f(3), [f(3)]), True),
    (quoted, (f(3), [f(4)]), False),
    (unread, (f(2), "anything"), True),
    (overloaded, ("neither of the two",), True),
]


@both_libraries
@pytest.mark.parametrize(("function", "arguments", "is_accepted"), CALLS)
def test_both_libraries_agree(
    library: Library, function: Any, arguments: tuple[Any, ...], is_accepted: bool
) -> None:
    expected = "accepted" if is_accepted else "refused"
    assert outcome(library, function, arguments) == expected
    assert outcome(library, function, arguments) == expected  # a second time, from memory


UINTS, INTS = {"uint8", "uint16", "uint32", "uint64"}, {"int8", "int16", "int32", "int64"}
FLOATS = {"float16", "bfloat16", "float32", "float64", "float8_e4m3fn", "float8_e5m2"}
COMPLEX = {"complex64", "complex128"}
EXACT = {
    "BFloat16": "bfloat16",
    "Float8e4m3fn": "float8_e4m3fn",
    "Float8e5m2": "float8_e5m2",
    **{f"Float{bits}": f"float{bits}" for bits in (16, 32, 64)},
    **{f"Int{bits}": f"int{bits}" for bits in (8, 16, 32, 64)},
    **{f"UInt{bits}": f"uint{bits}" for bits in (8, 16, 32, 64)},
    **{f"Complex{bits}": f"complex{bits}" for bits in (64, 128)},
}
FAMILIES = {
    "Float": FLOATS,
    "Int": INTS,
    "UInt": UINTS,
    "Integer": INTS | UINTS,
    "Complex": COMPLEX,
    "Inexact": FLOATS | COMPLEX,
    "Real": FLOATS | INTS | UINTS,
    "Num": FLOATS | INTS | UINTS | COMPLEX,
    "Bool": {"bool"},
    "Shaped": FLOATS | INTS | UINTS | COMPLEX | {"bool"},
    **{name: {dtype} for name, dtype in EXACT.items()},
}


@both_libraries
@pytest.mark.parametrize(("name", "dtypes"), FAMILIES.items())
def test_a_name_of_dtypes_takes_these_and_no_others(
    library: Library, name: str, dtypes: set[str]
) -> None:
    def take(x: Any) -> None: ...

    take.__annotations__["x"] = getattr(jaxtyping, name)[Tensor, ""]
    tensors = [torch.empty((), dtype=getattr(torch, dtype)) for dtype in sorted(FAMILIES["Shaped"])]
    taken = [x for x in tensors if outcome(library, take, (x,)) == "accepted"]
    assert {str(x.dtype).removeprefix("torch.") for x in taken} == dtypes


@pytest.mark.parametrize("shape", ["a,b", "*a *b", "... *a", "a ...b"])
def test_a_shape_that_jaxtyping_cannot_read_is_its_own_error(shape: str) -> None:
    with pytest.raises((ValueError, NotImplementedError)):
        Float[Tensor, shape]


# classes


@both_libraries
def test_fields_of_a_dataclass_are_checked_when_it_is_made(library: Library) -> None:
    @library
    @dataclass
    class Batch:
        images: Float[Tensor, "batch 4"]
        labels: Int[Tensor, "batch"]

    batch = Batch(f(2, 4), i(2))
    with pytest.raises(TypeCheckError):
        Batch(f(2, 4), i(3))
    batch.labels = i(3)
    assert batch.labels.shape == (3,)


@both_libraries
def test_methods_of_every_sort_are_checked(library: Library) -> None:
    class Holder:
        def __init__(self, x: Any) -> None:
            self.x = x

        @library  # type: ignore[prop-decorator]  # of what it does not know
        @property
        def below(self) -> Float[Tensor, "2"]:
            return self.x  # type: ignore[no-any-return]

        @property
        @library
        def above(self) -> Float[Tensor, "2"]:
            return self.x  # type: ignore[no-any-return]

        @library
        @classmethod
        def of_class(cls, x: Float[Tensor, "2"]) -> None: ...

        @library
        @staticmethod
        def of_nobody(x: Float[Tensor, "2"]) -> None: ...

    calls: list[Callable[[Tensor], object]] = [
        lambda x: Holder(x).below,
        lambda x: Holder(x).above,
        Holder.of_class,
        Holder.of_nobody,
        Holder(f(2)).of_class,
    ]
    for call in calls:
        call(f(2))
        with pytest.raises(TypeCheckError):
            call(f(3))


# switches


def test_the_switch_of_jaxtyping_holds_for_both() -> None:
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        outcomes = [outcome(library, square, (f(3, 4),)) for library in (checked, with_jaxtyping)]
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    assert outcomes == ["accepted", "accepted"]
    assert outcome(checked, square, (f(3, 4),)) == "refused"


@both_libraries
def test_errors_are_caught_as_those_of_jaxtyping(library: Library) -> None:
    @library
    def take(x: Float32[Tensor, "n"]) -> None: ...

    with pytest.raises(TypeCheckError, match="Float32"):
        take(f(3).double())
