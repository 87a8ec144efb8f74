"""Shapes of intermediate tensors, asserted in the bodies of checked functions."""

from collections.abc import Callable
from typing import Any

import jaxtyping
import pytest
import torch
from beartype import beartype
from jaxtyping import Float
from torch import Tensor, nn, zeros
from torch._dynamo.testing import EagerAndRecordGraphs

from shapezoo import ContractError, Module, ShapeError, assert_shape, checked, unchecked
from shapezoo.contracts.checking.bodies import uses_axes

print_bindings: Callable[[], None] = jaxtyping.print_bindings


class Split(Module):
    """Asserts correct shapes, with names of the call and new ones."""

    def __init__(self, heads: int = 2) -> None:
        super().__init__()
        self.heads = heads

    def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
        y = x.reshape(*x.shape[:2], self.heads, -1)
        assert_shape(y, f"batch seq {self.heads} head_dim")
        assert_shape(y.transpose(1, 2), "batch _ seq head_dim")
        assert_shape(y, "... head_dim")
        return y.flatten(2)


class Wrong(Split):
    def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
        assert_shape(x.reshape(*x.shape[:2], 2, -1), "batch seq width _")
        return x


def compiled(module: nn.Module) -> Callable[..., Any]:
    torch.compiler.reset()
    return torch.compile(module, backend="eager", fullgraph=True, dynamic=True)


def as_it_is(module: nn.Module) -> Callable[..., Any]:
    return module


def exported(module: nn.Module) -> Callable[..., Any]:
    dims = (dict.fromkeys((0, 1), torch.export.Dim.DYNAMIC),)
    return torch.export.export(module, (zeros(3, 4, 6),), dynamic_shapes=dims).module()


@pytest.mark.parametrize("form", [as_it_is, compiled, exported])
def test_assert_shape_knows_the_axes_of_the_call(form: Callable[..., Any]) -> None:
    assert form(Split())(zeros(3, 4, 6)).shape == (3, 4, 6)
    with pytest.raises(ShapeError) as error:
        form(Wrong())(zeros(3, 4, 6))
    lines = str(error.value).splitlines()
    assert lines[0].endswith(": a tensor does not have the asserted shape")
    assert lines[1] == '  expected  "batch seq width _"'
    assert "  axis 2    expected width = 6, got 2" in lines
    assert error.value.axis == 2


def test_assert_shape_leaves_no_node_in_a_graph() -> None:
    class Plain(Split):
        def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
            assert_shape(x, "batch seq width")
            return x + 1

    torch.compiler.reset()
    backend = EagerAndRecordGraphs()
    torch.compile(Plain(), backend=backend, fullgraph=True)(zeros(3, 4, 6))
    (graph,) = backend.graphs
    assert [node.op for node in graph.graph.nodes] == ["placeholder", "call_function", "output"]


def test_assert_shape_does_nothing_where_checks_are_off() -> None:
    with unchecked():
        assert Wrong()(zeros(3, 4, 6)).shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ("{self.width}", " does not evaluate braces; use an f-string"),
        ("a *b *c", ": .*variadic"),
        ("b>2", ": .*condition"),
    ],
)
def test_a_shape_that_cannot_be_read_is_told(shape: str, why: str) -> None:
    with pytest.raises(ContractError, match=f"^assert_shape{why}"):
        assert_shape(zeros(2), shape)


@pytest.mark.parametrize(
    ("shape", "why"),
    [
        ((2, 3), "got tuple of 2: int 2, int 3 for the string"),
        (zeros(2), "got Tensor float32"),
        (Float[Tensor, "batch seq"], 'for the string; pass "batch seq"'),
    ],
)
def test_a_shape_is_a_string(shape: Any, why: str) -> None:
    with pytest.raises(TypeError, match=rf"^assert_shape takes a tensor and a string .*{why}"):
        assert_shape(zeros(2), shape)


def test_the_error_names_the_function_and_the_module() -> None:
    class Outer(Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.Sequential(nn.Identity(), Wrong())

        def forward(self, x: Float[Tensor, "batch seq width"]) -> Float[Tensor, "batch seq width"]:
            y: Tensor = self.blocks(x)
            return y

    with pytest.raises(ShapeError) as error:
        Outer()(zeros(3, 4, 6))
    lines = str(error.value).splitlines()
    assert lines[0].startswith(f"{__name__}.Wrong.forward: ")
    assert "  module    blocks.1 of Outer" in lines


def test_what_is_not_a_tensor_has_no_shape() -> None:
    value: Any = [1]
    with pytest.raises(ShapeError, match="expected Tensor, got list"):
        assert_shape(value, "n")


@checked
def looks(x: Float[Tensor, "batch width"], size: int = 2, *more: Tensor) -> list[bool]:
    kinds: Any = Float[Tensor, "width batch"], Float[Tensor, "new {size}"], Float[Tensor, "new"]
    values = [(x, kinds[0]), (x.T, kinds[0]), (more[0], kinds[1]), (more[1], kinds[2])]
    return [isinstance(value, kind) for value, kind in values]


def test_isinstance_knows_the_axes_and_arguments_of_the_call() -> None:
    for _ in range(2):  # the second call is remembered
        assert looks(zeros(3, 4), 2, zeros(5, 2), zeros(5)) == [False, True, True, True]
        assert looks(zeros(3, 4), 2, zeros(5, 2), zeros(6)) == [False, True, True, False]
        assert looks(zeros(3, 4), 3, zeros(5, 2), zeros(6)) == [False, True, False, True]


def test_bindings_are_printed_and_forgotten(capsys: pytest.CaptureFixture[str]) -> None:
    class Printing(Module):
        width = 4

        def forward(self, x: Float[Tensor, "batch width={self.width}"]) -> None:
            print_bindings()

    Printing()(zeros(3, 4))
    assert capsys.readouterr().out.splitlines()[1:] == ["batch=3"]
    print_bindings()
    assert capsys.readouterr().out == "\n"


def test_an_error_in_a_body_leaves_nothing_bound(capsys: pytest.CaptureFixture[str]) -> None:
    @checked
    def fails(x: Float[Tensor, "batch"]) -> None:
        isinstance(x, int)
        raise KeyError("x")

    with pytest.raises(KeyError):
        fails(zeros(3))
    print_bindings()
    assert capsys.readouterr().out == "\n"


def test_a_call_inside_has_axes_of_its_own() -> None:
    vector: Any = Float[Tensor, "n"]
    square: Any = Float[Tensor, "n n"]

    @checked
    def inner(x: Float[Tensor, "n"]) -> bool:
        return isinstance(x, vector)

    @checked
    def outer(x: Float[Tensor, "n n"]) -> tuple[bool, bool]:
        return inner(x.flatten()), isinstance(x, square)

    assert outer(zeros(3, 3)) == (True, True)


def test_only_bodies_that_ask_run_in_a_frame() -> None:
    def plain(x: int) -> int:
        return x

    def nested(x: int) -> list[bool]:
        return [isinstance(y, int) for y in [x]]

    def generator(x: int) -> Any:
        yield isinstance(x, int)

    def debugged(x: int) -> None:
        jaxtyping.print_bindings()  # type: ignore[no-untyped-call]  # jaxtyping's

    assert [uses_axes(f) for f in (plain, nested, generator, debugged)] == [
        False,
        True,
        False,
        True,
    ]


@checked
def breaks(x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
    assert_shape(x, "batch width")
    if x.sum() > 0:  # a graph break
        x = x * 2
    assert_shape(x, "batch width")
    return x


@checked
def breaks_and_is_wrong(x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
    if x.sum() > 0:
        x = x * 2
    assert_shape(x.T, "batch width")
    return x


@pytest.mark.parametrize("is_nested", [False, True])
def test_a_graph_break_in_a_body_that_asserts_is_just_that(is_nested: bool) -> None:
    def nested(x: Tensor) -> Tensor:
        return breaks(x) + 1

    def nested_wrong(x: Tensor) -> Tensor:
        return breaks_and_is_wrong(x) + 1

    torch.compiler.reset()
    right, wrong = (nested, nested_wrong) if is_nested else (breaks, breaks_and_is_wrong)
    compiled = torch.compile(right, backend="eager")
    for rows in (2, 3, 4):
        assert compiled(torch.ones(rows, 5)).shape == (rows, 5)
    with pytest.raises(ShapeError, match="expected batch = 2, got 5"):
        torch.compile(wrong, backend="eager")(torch.ones(2, 5))


def test_names_add_no_graphs() -> None:
    torch.compiler.reset()
    backend = EagerAndRecordGraphs()
    compiled = torch.compile(Split(), backend=backend, fullgraph=True)
    for size in range(2, 9):
        compiled(zeros(size, size + 1, 2 * size))
    assert len(backend.graphs) == 2  # the second for all sizes


@pytest.mark.parametrize("fullgraph", [False, True])
def test_a_body_that_asks_with_isinstance_can_be_compiled(fullgraph: bool) -> None:
    @checked
    def asks(x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return x + 1 if isinstance(x, Tensor) else x

    torch.compiler.reset()
    assert torch.compile(asks, backend="eager", fullgraph=fullgraph)(zeros(3)).sum() == 3


def helper(x: Tensor) -> Tensor:
    assert_shape(x, "batch")
    return x


@checked
def calls_helper(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    return helper(x)


@checked
def calls_both(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    assert_shape(x, "batch")
    calls_helper(zeros(3))
    return x


@checked
@torch.no_grad()
def under_a_decorator(x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width"]:
    assert_shape(x.T, "batch width")
    return x


@checked
def generates(x: Float[Tensor, "batch"]) -> Any:
    assert_shape(x, "batch")
    yield x


@checked
def consumes(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
    assert_shape(x, "batch")
    next(generates(zeros(5)))
    return x


def test_names_are_those_of_the_innermost_checked_call() -> None:
    assert calls_both(zeros(2)).shape == (2,)
    assert consumes(zeros(2)).shape == (2,)
    with pytest.raises(ShapeError):
        under_a_decorator(zeros(2, 3))

    @checked
    def wrong(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        helper(zeros(3))
        return x

    with pytest.raises(ShapeError, match="expected batch = 2, got 3"):
        wrong(zeros(2))


def test_a_checked_function_may_be_called_like_one_of_ours() -> None:
    @checked
    def body(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return helper(x)

    @checked
    def run_in_frame(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        helper(zeros(3))
        return x

    assert body(zeros(2)).shape == (2,)
    for function in (run_in_frame, checked(run_in_frame)):
        with pytest.raises(ShapeError, match="expected batch = 2, got 3"):
            function(zeros(2))


class Inner(Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def asserted(self, x: Tensor, shape: str) -> Tensor:
        assert_shape(x, shape)
        return x

    def forward(
        self, x: Float[Tensor, "batch 3"], shape: str = "batch 3"
    ) -> Float[Tensor, "batch 3"]:
        return self.asserted(self.linear(x), shape)


class Around(Module):
    def __init__(self) -> None:
        super().__init__()
        self.inner = Inner()
        self.inner.compile(backend="eager")

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        assert_shape(x, "batch 3")
        y: Tensor = self.inner(x.repeat(2, 1))
        return y[: x.shape[0]]


def test_a_helper_of_what_is_compiled_knows_the_axes_of_its_call() -> None:
    torch.compiler.reset()
    assert Around()(torch.ones(2, 3)).shape == (2, 3)
    compiled = torch.compile(Inner(), backend="eager")
    assert compiled(torch.ones(2, 3)).shape == (2, 3)
    with pytest.raises(ShapeError, match="expected batch = 2, got 3"):
        compiled(torch.ones(2, 3), "_ batch")


def test_each_function_that_asserts_is_compiled() -> None:
    torch.compiler.reset()
    backend = EagerAndRecordGraphs()
    for _ in range(12):

        @checked
        def asserts(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
            assert_shape(x, "batch")
            return x + 1

        torch.compile(asserts, backend=backend, fullgraph=True)(zeros(3))
    assert len(backend.graphs) == 12


def test_a_helper_under_jaxtyped_has_names_of_its_own() -> None:
    def asserts(x: Float[Tensor, "batch"]) -> None:
        assert_shape(x, "batch")

    other = jaxtyping.jaxtyped(asserts, typechecker=beartype)

    @checked
    def calls(x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        other(zeros(3))
        return x

    assert calls(zeros(2)).shape == (2,)
