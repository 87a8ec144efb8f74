"""Names of axes inside the body of a call, with jaxtyping and with shapezoo."""

# mypy: disable-error-code="arg-type"
# it does not accept jaxtyping's idiom, an isinstance with a shape

import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from beartype import beartype
from jaxtyping import AnnotationError, Float, TypeCheckError, jaxtyped, print_bindings
from tests.contracts.jaxtyping_outcomes import Library, both_libraries, with_jaxtyping
from torch import Tensor

from shapezoo import ShapeError, assert_shape, checked


def f(*shape: int) -> Tensor:
    return torch.zeros(shape)


# calls inside calls


@both_libraries
def test_names_of_a_call_inside_another_are_its_own(library: Library) -> None:
    @library
    def inner(x: Float[Tensor, "b a"]) -> Float[Tensor, "a b"]:
        return x.T if isinstance(x, Float[Tensor, "b a"]) else x

    @library
    def outer(x: Float[Tensor, "a b"]) -> Float[Tensor, "b a"]:
        turned: Tensor = inner(x)
        assert isinstance(turned, Float[Tensor, "b a"])
        assert not isinstance(turned, Float[Tensor, "a b"])
        return turned

    assert outer(f(2, 3)).shape == (3, 2)


@both_libraries
def test_a_function_may_call_itself_with_other_sizes(library: Library) -> None:
    @library
    def total(x: Float[Tensor, "n"]) -> Float[Tensor, ""]:
        if len(x) == 0:
            return x.sum()
        rest: Tensor = total(x[1:])
        assert isinstance(x, Float[Tensor, "n"])
        assert not isinstance(x[1:], Float[Tensor, "n"])
        return x[0] + rest

    assert total(torch.ones(4)) == 4


@pytest.mark.parametrize("outside", [checked, with_jaxtyping])
@pytest.mark.parametrize("inside", [checked, with_jaxtyping])
def test_the_two_libraries_can_call_each_other(outside: Library, inside: Library) -> None:
    @inside
    def turned(x: Float[Tensor, "b a"], wrong: bool) -> Float[Tensor, "a b"]:
        return x if wrong else x.T

    @outside
    def outer(x: Float[Tensor, "a b"], wrong: bool) -> Float[Tensor, "b a"]:
        result: Tensor = turned(x, wrong)
        assert isinstance(result, Float[Tensor, "b a"])
        return result

    assert outer(f(2, 3), False).shape == (3, 2)
    with pytest.raises(TypeCheckError, match="turned"):
        outer(f(2, 3), True)


@pytest.mark.parametrize("first", [checked, with_jaxtyping])
@pytest.mark.parametrize("second", [checked, with_jaxtyping])
def test_a_function_may_be_decorated_by_both(first: Library, second: Library) -> None:
    @second
    @first
    def doubled(x: Float[Tensor, "n"]) -> Float[Tensor, "2*n"]:
        return torch.cat([x, x])

    assert doubled(f(3)).shape == (6,)
    with pytest.raises(TypeCheckError):
        doubled(f(3, 1))


@both_libraries
def test_an_error_in_the_body_leaves_nothing_bound(library: Library) -> None:
    @library
    def fail(x: Float[Tensor, "n"]) -> None:
        assert isinstance(x, Float[Tensor, "n"])
        raise KeyError("of the body")

    for size in (2, 3):
        with pytest.raises(KeyError, match="of the body"):
            fail(f(size))
        assert isinstance(f(size + 1), Float[Tensor, "n"])


@both_libraries
def test_a_refused_call_leaves_nothing_bound(library: Library) -> None:
    @library
    def both(x: Float[Tensor, "n"], y: Float[Tensor, "n"]) -> bool:
        return isinstance(x, Float[Tensor, "n"])

    @library
    def outer(x: Float[Tensor, "n"]) -> bool:
        with pytest.raises(TypeCheckError):
            both(f(7), f(8))
        return isinstance(f(3), Float[Tensor, "n"]) and not isinstance(f(7), Float[Tensor, "n"])

    assert outer(f(3))
    assert both(f(5), f(5))


@both_libraries
def test_threads_do_not_share_names(library: Library) -> None:
    barrier = threading.Barrier(2, timeout=20)
    answers: dict[int, tuple[bool, bool]] = {}

    @library
    def compare(x: Float[Tensor, "n"], other: int) -> None:
        assert isinstance(x.clone(), Float[Tensor, "n"])
        barrier.wait()  # both threads are inside
        answers[len(x)] = (
            isinstance(x, Float[Tensor, "n"]),
            isinstance(f(other), Float[Tensor, "n"]),
        )
        barrier.wait()

    threads = [threading.Thread(target=compare, args=(f(n), 7 - n)) for n in (3, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {3: (True, False), 4: (True, False)}


@both_libraries
def test_arguments_of_a_generator_are_checked_when_it_is_called(library: Library) -> None:
    @library
    def rows(x: Float[Tensor, "n m"]) -> Iterator[Any]:
        yield from x

    with pytest.raises(TypeCheckError):
        rows(f(3))
    first, second = rows(f(2, 3)), rows(f(4, 5))
    assert (next(first).shape, next(second).shape, next(first).shape) == ((3,), (5,), (3,))
    assert isinstance(f(9, 9), Float[Tensor, "n m"])


# asking in the body


@both_libraries
def test_isinstance_in_a_body_knows_the_axes_of_the_call(library: Library) -> None:
    @library
    def ask(x: Float[Tensor, "a b"], *rest: Float[Tensor, "*more"]) -> list[bool]:
        return [
            isinstance(x.T, Float[Tensor, "b a"]),
            isinstance(x, Float[Tensor, "b a"]),
            isinstance(f(6), Float[Tensor, "a*b"]),
            isinstance(f(5), Float[Tensor, "a*b"]),
            isinstance(f(4, 5), Float[Tensor, "*more"]),
            isinstance(f(5, 4), Float[Tensor, "*more"]),
        ]

    for _ in range(2):
        assert ask(f(2, 3), f(4, 5)) == [True, False] * 3


@both_libraries
def test_isinstance_in_a_body_binds_names_only_where_it_holds(library: Library) -> None:
    @library
    def ask(x: Float[Tensor, "n"]) -> list[bool]:
        return [
            isinstance(f(9, 8), Float[Tensor, "new n"]),  # fails, and binds nothing
            isinstance(f(5), Float[Tensor, "new"]),
            isinstance(f(9), Float[Tensor, "new"]),
            isinstance(f(5, 3), Float[Tensor, "new n"]),
        ]

    for _ in range(2):  # a name that is new in one call is new in the next
        assert ask(f(3)) == [False, True, False, True]
    assert isinstance(f(9), Float[Tensor, "new"])


@both_libraries
def test_isinstance_in_a_body_reads_braces_from_the_arguments(library: Library) -> None:
    @library
    def ask(x: Float[Tensor, "*_"], size: int) -> list[bool]:
        return [isinstance(x, Float[Tensor, "{size}"]), isinstance(x, Float[Tensor, "{size}-1"])]

    assert ask(f(3), 3) == [True, False]
    assert ask(f(3), 4) == [False, True]


@both_libraries
def test_isinstance_in_a_body_over_a_name_that_is_not_bound_is_an_error(library: Library) -> None:
    @library
    def ask(x: Float[Tensor, "n"]) -> bool:
        return isinstance(x, Float[Tensor, "other+1"])

    with pytest.raises(AnnotationError):
        ask(f(3))


@both_libraries
def test_functions_inside_a_body_see_its_axes(library: Library) -> None:
    @library
    def outer(x: Float[Tensor, "n"]) -> list[bool]:
        def fits(y: Tensor) -> bool:
            return isinstance(y, Float[Tensor, "n"])

        return [fits(f(3)), fits(f(4)), *(isinstance(f(k), Float[Tensor, "n"]) for k in (3, 4))]

    assert outer(f(3)) == [True, False, True, False]


@both_libraries
def test_a_context_has_names_of_its_own(library: Library) -> None:
    @library
    def ask(x: Float[Tensor, "n"]) -> list[bool]:
        with jaxtyped("context"):
            within = [isinstance(f(8), Float[Tensor, "n"]), isinstance(f(9), Float[Tensor, "n"])]
        return [*within, isinstance(f(8), Float[Tensor, "n"])]

    assert ask(f(3)) == [True, False, False]


@both_libraries
def test_a_context_may_stand_around_calls(library: Library) -> None:
    @library
    def ask(x: Float[Tensor, "n"]) -> bool:
        return isinstance(f(3), Float[Tensor, "n"])

    with jaxtyped("context"):
        assert isinstance(f(8), Float[Tensor, "n"])
        assert ask(f(3))
        assert not isinstance(f(3), Float[Tensor, "n"])


@both_libraries
def test_bindings_can_be_printed(library: Library, capsys: pytest.CaptureFixture[str]) -> None:
    @library
    def show(x: Float[Tensor, "*batch n"], k: int, y: Float[Tensor, "m={k}"]) -> None:
        print_bindings()  # type: ignore[no-untyped-call]  # jaxtyping annotates nothing here

    show(f(2, 3, 4), 7, f(7))
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:] == ["n=4", "batch=torch.Size([2, 3])"]


@both_libraries
def test_helpers_that_only_beartype_checks_share_the_names_of_a_body_that_asks(
    library: Library,
) -> None:
    @beartype
    def helper(x: Float[Tensor, "b a"]) -> None: ...

    @library
    def outer(x: Float[Tensor, "a b"]) -> None:
        assert isinstance(x, Float[Tensor, "a b"])
        helper(x)

    outer(f(2, 2))
    with pytest.raises(Exception, match=r"helper\(\)"):
        outer(f(2, 3))


# under torch.compile


def test_isinstance_on_shapes_breaks_a_graph_whoever_checks_the_function() -> None:
    def ask(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        assert isinstance(x + 1, Float[Tensor, "n"])
        return x

    for function in (ask, checked(ask), with_jaxtyping(ask)):
        with pytest.raises(torch._dynamo.exc.Unsupported):
            torch.compile(function, backend="eager", fullgraph=True)(f(3))
    assert torch.compile(checked(ask), backend="eager")(f(3)).shape == (3,)


def test_assert_shape_is_checked_in_a_graph_too() -> None:
    @checked
    def ask(x: Float[Tensor, "a b"]) -> Float[Tensor, "a b"]:
        assert_shape(x.T, "b a")
        assert_shape(x * 2, "a a")
        return x

    def call(x: Tensor) -> Tensor:
        return ask(x)

    compiled = [torch.compile(g, backend="eager", fullgraph=True) for g in (ask, call)]
    for function in (call, *compiled):
        assert function(f(3, 3)).shape == (3, 3)
        with pytest.raises(ShapeError, match="expected a = 3, got 4"):
            function(f(3, 4))
