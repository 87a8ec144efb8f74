"""Contracts that random calls once found to be enforced wrongly."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float
from tests.contracts.fuzzing.calling import tensor
from torch import Tensor

from shapezoo import ContractError, ShapeError, checked, signature


def empty(*shape: int) -> Tensor:
    return tensor(shape, "float32")


def test_a_star_does_not_bind_the_name_without_it() -> None:
    @checked
    def total(
        first: Float[Tensor, "*batch"], others: list[Float[Tensor, "batch"]]
    ) -> Float[Tensor, "batch"]:
        return empty(9)

    with pytest.raises(ShapeError, match="no argument of this call has"):
        total(empty(2, 2), [])


@pytest.mark.parametrize("is_compiled", [False, True])
@pytest.mark.parametrize("is_result", [False, True])
def test_an_expression_over_an_axis_of_an_empty_list(is_result: bool, is_compiled: bool) -> None:
    @checked
    def argument(
        items: list[Float[Tensor, "batch"]], second: Float[Tensor, "2*batch"]
    ) -> Float[Tensor, "_"]:
        return second + 1

    @checked
    def result(
        items: list[Float[Tensor, "batch"]], second: Float[Tensor, "_"]
    ) -> Float[Tensor, "2*batch"]:
        return second + 1

    call: Any = result if is_result else argument

    def graph(items: list[Tensor], second: Tensor) -> Any:
        return call(items, second)

    torch.compiler.reset()
    run = torch.compile(graph, backend="eager", fullgraph=True) if is_compiled else graph
    with pytest.raises((ContractError, ShapeError)):
        run([], empty(4))


def test_a_float_in_braces_can_be_read_while_a_graph_is_traced() -> None:
    @checked
    def double(x: Float[Tensor, "{2*size}"], size: float) -> Float[Tensor, "_"]:
        return x + 1

    def graph(x: Tensor, size: float) -> Tensor:
        return double(x, size) + 1

    assert graph(empty(6), 3.0).shape == (6,)
    torch.compiler.reset()
    compiled = torch.compile(graph, backend="eager", fullgraph=True, dynamic=True)
    assert compiled(empty(6), 3.0).shape == (6,)


def wider(x: Float[Tensor, "*#batch"], y: Float[Tensor, "*batch 2"]) -> None: ...
def narrower(x: Float[Tensor, "*batch"], y: Float[Tensor, "*#batch 2"]) -> None: ...


@pytest.mark.parametrize(
    ("function", "x", "y", "axis"),
    [
        (wider, (1, 3), (5, 3, 4), 2),  # `*batch` may be what `*#batch` broadcasts to
        (narrower, (1, 3), (5, 3, 2), 0),  # `*#batch` may not be wider than `*batch`
    ],
)
def test_the_place_on_axes_that_broadcast(
    function: Callable[..., Any], x: tuple[int, ...], y: tuple[int, ...], axis: int
) -> None:
    with pytest.raises(ShapeError) as error:
        checked(function)(empty(*x), empty(*y))
    assert error.value.axis == axis


@pytest.mark.parametrize(
    ("function", "x", "y", "is_right"),
    [(wider, (1, 3), (5, 3, 2), True), (narrower, (1, 3), (5, 3, 2), False)],
)
def test_shapes_that_broadcast_are_accepted_as_a_call_is(
    function: Callable[..., Any], x: tuple[int, ...], y: tuple[int, ...], is_right: bool
) -> None:
    assert signature(function).accepts(x, y) is is_right
