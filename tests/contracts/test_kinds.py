"""Every form of contract, with valid and invalid calls, eager and compiled."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, NotRequired, TypedDict

import pytest
import torch
from jaxtyping import Bool, Float, Int, Int64, Num
from torch import Tensor, nn
from torch._dynamo.exc import TorchRuntimeError
from torch.nn.utils.rnn import PackedSequence, pack_sequence

from shapezoo import ShapeError, checked


class Pair(NamedTuple):
    left: Float[Tensor, "batch"]
    right: Float[Tensor, "batch"]


@dataclass(frozen=True)
class Labelled:
    images: Float[Tensor, "batch 4"]
    labels: Int64[Tensor, "batch"]


class Batch(TypedDict):
    images: Float[Tensor, "batch 4"]
    labels: Int64[Tensor, "batch"]
    weights: NotRequired[Float[Tensor, "batch"]]


@checked
@dataclass
class Filled:
    x: Float[Tensor, "batch"]
    more: list[Float[Tensor, "batch"]] = field(default_factory=list)


class Strategy:
    """A class that shapezoo knows nothing of."""


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
def labelled(x: Float[Tensor, "height"], y: Float[Tensor, "out=(height-1)//2+1"]) -> None: ...
@checked
def doubled(x: Float[Tensor, "channels"], y: Float[Tensor, "2*channels"]) -> None: ...
@checked
def switches(flag: bool, name: str) -> None: ...
@checked
def many(xs: tuple[Float[Tensor, "batch"], ...]) -> None: ...
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
@checked
def typed(batch: Batch) -> None: ...
@checked
def packed(x: PackedSequence, size: Float[Tensor, "n"]) -> None: ...
@checked
def named_only(x: Float[Tensor, "n"], *, y: Float[Tensor, "n"], scale: float = 1.0) -> None: ...
@checked
def unknown(x: Float[Tensor, "n"], how: Strategy) -> None: ...
@checked
def broadcast_all(x: Float[Tensor, "*#batch 3"], y: Float[Tensor, "*#batch 3"]) -> None: ...
def filled(x: Tensor) -> None:
    Filled(x)


@checked
def anything_else(how: Any, maker: Callable[..., Any], kind: type[Any]) -> None: ...


def with_keywords(function: Callable[..., object], **given: Any) -> Callable[[], object]:
    """The function with these arguments."""

    def call() -> object:
        return function(**given)

    return call


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
    (labelled, (f(7), f(4))),
    (doubled, (f(3), f(6))),
    (switches, (True, "a")),
    (many, ((f(2), f(2), f(2)),)),
    (many, ((),)),
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
    (typed, ({"images": f(2, 4), "labels": i(2)},)),
    (typed, ({"images": f(2, 4), "labels": i(2), "weights": f(2), "more": 1},)),
    (packed, (pack_sequence([f(3), f(2)]), f(2))),
    (with_keywords(named_only, x=f(2), y=f(2)), ()),
    (with_keywords(named_only, y=f(2), x=f(2), scale=2), ()),
    (with_keywords(starred, a=f(2), b=f(2)), ()),
    (broadcast_all, (f(2, 1, 3), f(2, 5, 3))),
    (filled, (f(2),)),
    (unknown, (f(2), Strategy())),
    (anything_else, (Strategy(), f, Strategy)),
]

BAD: list[tuple[Callable[..., object], tuple[Any, ...], str, int | None]] = [
    (fixed, (f(2, 4),), "x", 1),
    (fixed, (f(3),), "x", None),
    (fixed, (i(2, 3),), "x", None),
    (fixed, (None,), "x", None),
    (repeated, (f(3, 4),), "x", 1),
    (shared, (f(2), f(3)), "y", 0),
    (expression, (f(7), f(3)), "y", 0),
    (labelled, (f(7), f(3)), "y", 0),
    (doubled, (f(3), f(5)), "y", 0),
    (switches, (1, "a"), "flag", None),
    (switches, (True, 1), "name", None),
    (many, ((f(2), f(3)),), "xs[1]", 0),
    (many, ([f(2), f(2)],), "xs", None),
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
    (typed, ({"images": f(2, 4), "labels": i(3)},), "batch['labels']", 0),
    (typed, ({"images": f(2, 4)},), "batch['labels']", None),
    (typed, ({"images": f(2, 4), "labels": i(2), "weights": f(3)},), "batch['weights']", 0),
    (typed, ([f(2, 4), i(2)],), "batch", None),
    (packed, (f(2), f(2)), "x", None),
    (with_keywords(named_only, x=f(2), y=f(3)), (), "y", 0),
    (with_keywords(named_only, x=f(2), y=f(2), scale="1"), (), "scale", None),
    (with_keywords(starred, a=f(2), b=f(3)), (), "ys['b']", 0),
    (broadcast_all, (f(2, 4, 3), f(2, 5, 3)), "y", 0),
    (unknown, (f(2), "strategy"), "how", None),
    (unknown, (f(2, 2), Strategy()), "x", None),
]


def compiled(function: Callable[..., object], dynamic: bool | None) -> Callable[..., object]:
    """The function as a part of a graph, so that it is checked while the graph is traced."""

    def graph(*arguments: Any) -> Tensor:
        function(*arguments)
        return torch.zeros(1) + 1

    torch.compiler.reset()
    return torch.compile(graph, backend="eager", fullgraph=True, dynamic=dynamic)


@pytest.mark.parametrize(("function", "arguments"), GOOD)
def test_good_arguments_pass(function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    function(*arguments)
    function(*arguments)  # remembered


@pytest.mark.parametrize(("function", "arguments", "path", "axis"), BAD)
def test_bad_arguments_are_named(
    function: Callable[..., object], arguments: tuple[Any, ...], path: str, axis: int | None
) -> None:
    for _ in range(2):
        with pytest.raises(ShapeError) as error:
            function(*arguments)
        assert (error.value.argument, error.value.axis) == (path, axis)
        assert repr(path) in str(error.value)
        assert len(str(error.value).splitlines()) <= 12


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize(("function", "arguments"), GOOD)
def test_good_arguments_pass_when_compiled(
    function: Callable[..., object], arguments: tuple[Any, ...], dynamic: bool | None
) -> None:
    assert compiled(function, dynamic)(*arguments) == 1


@pytest.mark.parametrize("dynamic", [None, True])
@pytest.mark.parametrize(("function", "arguments", "path", "axis"), BAD)
def test_bad_arguments_are_named_when_compiled(
    function: Callable[..., object],
    arguments: tuple[Any, ...],
    path: str,
    axis: int | None,
    dynamic: bool | None,
) -> None:
    with pytest.raises(ShapeError) as error:
        compiled(function, dynamic)(*arguments)
    assert isinstance(error.value, TorchRuntimeError), "not checked while the graph was traced"
    assert (error.value.argument, error.value.axis) == (path, axis)
    assert repr(path) in str(error.value)


def giving(annotation: Any) -> Callable[..., Any]:
    """A function that should return this, and returns what it is given."""

    def give(x: Float[Tensor, "batch"], result: Any) -> Any:
        return result

    give.__annotations__["return"] = annotation
    return checked(give)


GOOD_RESULTS: list[tuple[Any, Any]] = [
    (Float[Tensor, "batch 3"], f(2, 3)),
    (Float[Tensor, "2*batch"], f(4)),
    (Float[Tensor, ""], f()),
    (tuple[Float[Tensor, "batch"], int], (f(2), 1)),
    (tuple[Float[Tensor, "batch"], ...], (f(2), f(2))),
    (list[Float[Tensor, "batch"]], [f(2), f(2)]),
    (dict[str, Float[Tensor, "batch"]], {"a": f(2)}),
    (Float[Tensor, "batch"] | None, f(2)),
    (Float[Tensor, "batch"] | None, None),
    (Float[Tensor, "batch 2"] | Int64[Tensor, "batch"], i(2)),
    (Pair, Pair(f(2), f(2))),
    (Labelled, Labelled(f(2, 4), i(2))),
    (Batch, {"images": f(2, 4), "labels": i(2)}),
    (int, 3),
    (None, None),
]
BAD_RESULTS: list[tuple[Any, Any, str]] = [
    (Float[Tensor, "batch 3"], f(3, 3), "return"),
    (Float[Tensor, "2*batch"], f(2), "return"),
    (Float[Tensor, ""], f(1), "return"),
    (tuple[Float[Tensor, "batch"], int], (f(3), 1), "return[0]"),
    (tuple[Float[Tensor, "batch"], int], (f(2), "1"), "return[1]"),
    (tuple[Float[Tensor, "batch"], ...], (f(2), f(3)), "return[1]"),
    (list[Float[Tensor, "batch"]], [f(2), f(3)], "return[1]"),
    (dict[str, Float[Tensor, "batch"]], {"a": f(3)}, "return['a']"),
    (Float[Tensor, "batch"] | None, f(3), "return"),
    (Float[Tensor, "batch 2"] | Int64[Tensor, "batch"], i(3), "return"),
    (Pair, Pair(f(2), f(3)), "return.right"),
    (Labelled, Labelled(f(2, 4), i(3)), "return.labels"),
    (Batch, {"images": f(2, 4), "labels": i(3)}, "return['labels']"),
    (int, "3", "return"),
    (None, 3, "return"),
]


@pytest.mark.parametrize("wrap", [lambda function: function, lambda f: compiled(f, None)])
@pytest.mark.parametrize(("annotation", "result"), GOOD_RESULTS)
def test_good_results_pass(annotation: Any, result: object, wrap: Any) -> None:
    function = wrap(giving(annotation))
    function(f(2), result)
    function(f(2), result)


@pytest.mark.parametrize("wrap", [lambda function: function, lambda f: compiled(f, None)])
@pytest.mark.parametrize(("annotation", "result", "path"), BAD_RESULTS)
def test_bad_results_are_named(annotation: Any, result: object, path: str, wrap: Any) -> None:
    function = wrap(giving(annotation))
    for _ in range(2):
        with pytest.raises(ShapeError, match="result") as error:
            function(f(2), result)
        assert error.value.argument == path
