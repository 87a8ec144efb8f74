"""Under torch.compile and torch.export a contract is checked and leaves nothing behind."""

import enum
import functools
import inspect
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np
import pytest
import torch
import torch._dynamo
from jaxtyping import Float
from torch import Tensor, nn
from torch._C._dynamo import eval_frame
from torch._dynamo.comptime import ComptimeContext, ComptimeVar, comptime
from torch._dynamo.utils import counters

from shapezoo import ContractError, Module, ShapeError, checked, unchecked
from shapezoo.contracts.checking.dynamo import at_trace_time
from shapezoo.contracts.matching.dynamo_skipping import skip_by_dynamo, skip_frame_only


@pytest.fixture(autouse=True)
def _reset() -> Iterator[None]:
    torch.compiler.reset()
    counters.clear()
    yield
    torch.compiler.reset()


def plainly(forward: Any) -> Any:
    return forward


@dataclass
class Family:
    """The same modules with contracts and without."""

    net: type[nn.Module]
    broken: type[nn.Module]
    gru: type[nn.Module]


def family(decorate: Callable[[Any], Any]) -> Family:
    class Block(nn.Module):
        def __init__(self, in_features: int, out_features: int) -> None:
            super().__init__()
            self.in_features, self.out_features = in_features, out_features
            self.linear = nn.Linear(in_features, out_features)

        @decorate
        def forward(
            self, x: Float[Tensor, "batch seq {self.in_features}"]
        ) -> Float[Tensor, "batch seq {self.out_features}"]:
            result: Tensor = self.linear(x).relu()
            return result

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.Sequential(Block(4, 8), Block(8, 8), Block(8, 2))

        @decorate
        def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 2"]:
            result: Tensor = self.blocks(x)
            return result

    class Breaking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.block = Block(4, 4)

        @decorate
        def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
            y: Tensor = self.block(x)
            torch._dynamo.graph_break()
            return y + 1

    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = Breaking(), Breaking()

        @decorate
        def forward(self, x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq 4"]:
            result: Tensor = self.second(self.first(x) * 2)
            return result

    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gru = nn.GRU(4, 3)

        @decorate
        def forward(
            self, x: Float[Tensor, "batch seq 4"], state: Float[Tensor, "1 seq 3"] | None = None
        ) -> tuple[Float[Tensor, "batch seq 3"], Float[Tensor, "1 seq 3"]]:
            output, last = self.gru(x, state)
            return output, last

    return Family(Net, Broken, Recurrent)


PLAIN, CHECKED = family(plainly), family(checked)
SHAPES = [(2, 3, 4), (2, 5, 4), (3, 5, 4), (7, 9, 4), (1, 9, 4)]


def trail(module: nn.Module, dynamic: bool | None, fullgraph: bool) -> dict[str, object]:
    """Compile a module for a series of shapes, and count graphs, breaks and nodes."""
    torch.compiler.reset()
    counters.clear()
    graphs: list[list[str]] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(sorted(f"{node.op} {node.target}" for node in graph.graph.nodes))
        return graph

    module.compile(backend=backend, dynamic=dynamic, fullgraph=fullgraph)
    with torch.no_grad(), torch._dynamo.config.patch(allow_rnn=True):
        for shape in SHAPES:
            module(torch.zeros(shape))
    graph_breaks = sum(counters["graph_break"].values())
    return {"graphs": graphs, "breaks": graph_breaks, "frames": dict(counters["frames"])}


def noisily(forward: Any) -> Any:
    """A check that leaves nodes or breaks in the graph."""

    @functools.wraps(forward)
    def wrapper(self: Any, x: Tensor) -> Any:
        assert x.sum() is not None
        return forward(self, x)

    return wrapper


@pytest.mark.slow
@pytest.mark.parametrize(("name", "fullgraph"), [("net", True), ("broken", False)])
def test_what_is_left_behind_is_noticed(name: str, fullgraph: bool) -> None:
    module, plain = getattr(family(noisily), name)(), getattr(PLAIN, name)()
    assert trail(module, None, fullgraph) != trail(plain, None, fullgraph)


@pytest.mark.slow
@pytest.mark.parametrize("dynamic", [None, True, False])
@pytest.mark.parametrize(
    ("name", "fullgraph"), [("net", True), ("net", False), ("broken", False), ("gru", False)]
)
def test_graphs_breaks_nodes_and_recompilations_are_those_without_contracts(
    name: str, fullgraph: bool, dynamic: bool | None
) -> None:
    plain = trail(getattr(PLAIN, name)(), dynamic, fullgraph)
    assert plain["graphs"]
    assert trail(getattr(CHECKED, name)(), dynamic, fullgraph) == plain


def test_every_size_that_a_graph_serves_is_checked_when_it_is_traced() -> None:
    @checked
    def halve(x: Float[Tensor, "batch width"]) -> Float[Tensor, "batch width//2"]:
        return x[:, ::2]

    def graph(x: Tensor) -> Tensor:
        return halve(x) + 1

    compiled = torch.compile(graph, backend="eager", dynamic=True, fullgraph=True)
    assert compiled(torch.zeros(3, 8)).shape == (3, 4)
    with pytest.raises(ShapeError, match="the result breaks"):
        compiled(torch.zeros(3, 9))


class Stricter(Module):
    def forward(self, x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch 4"]:
        return x * 2


class Around(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.inner(x)
        return result + 1


def test_a_stricter_contract_is_a_guard_and_its_breach_an_error() -> None:
    compiled = torch.compile(Around(Stricter()), backend="eager", dynamic=True, fullgraph=True)
    for batch in (2, 3, 7):
        assert compiled(torch.zeros(batch, 4)).shape == (batch, 4)
    with pytest.raises(ShapeError, match="expected 4, got 5"):
        compiled(torch.zeros(2, 5))


@pytest.mark.parametrize("fullgraph", [True, False])
@pytest.mark.parametrize("nested", [True, False])
def test_an_error_is_no_reason_for_a_graph_break(nested: bool, fullgraph: bool) -> None:
    model = Around(Around(Stricter())) if nested else Stricter()
    compiled = torch.compile(model, backend="eager", fullgraph=fullgraph)
    with pytest.raises(ShapeError):
        compiled(torch.zeros(2, 5))
    assert not counters["graph_break"]


def test_after_a_graph_break_results_are_still_checked() -> None:
    class Narrow(Module):
        def forward(self, x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch 4"]:
            y = x + 1
            torch._dynamo.graph_break()
            return y[:, 1:]

    with pytest.raises(ShapeError, match="the result breaks"):
        torch.compile(Around(Narrow()), backend="eager")(torch.zeros(2, 4))


@pytest.mark.parametrize("nested", [True, False])
def test_with_nested_graph_breaks_too(nested: bool) -> None:
    with torch._dynamo.config.patch(nested_graph_breaks=nested):
        test_after_a_graph_break_results_are_still_checked()


def test_a_changed_attribute_is_seen() -> None:
    class Wide(Module):
        def __init__(self) -> None:
            super().__init__()
            self.width = 4

        def forward(self, x: Float[Tensor, "batch {self.width}"]) -> Float[Tensor, "batch _"]:
            return x * 2

    module = Wide()
    compiled = torch.compile(Around(module), backend="eager", fullgraph=True)
    compiled(torch.zeros(2, 4))
    module.width = 5
    compiled(torch.zeros(2, 5))
    with pytest.raises(ShapeError, match="expected 5, got 4"):
        compiled(torch.zeros(2, 4))


class Head(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.width = 2


class Optional(Module):
    def __init__(self, head: Head | None) -> None:
        super().__init__()
        self.head = head

    def forward(
        self,
        x: Float[Tensor, "batch 4"],
        mask: Float[Tensor, "batch {self.head.width}"] | None = None,
    ) -> Float[Tensor, "batch 4"]:
        return x * 2


@pytest.mark.parametrize("compiled", [True, False])
def test_braces_are_read_where_they_are_needed(compiled: bool) -> None:
    x, mask = torch.zeros(3, 4), torch.zeros(3, 2)

    def call(head: Head | None, *args: Tensor) -> Tensor:
        module = Optional(head)

        def graph(*args: Tensor) -> Tensor:
            return module(*args) + 1

        torch.compiler.reset()
        run: Any = torch.compile(graph, backend="eager", fullgraph=True) if compiled else graph
        result: Tensor = run(*args)
        return result

    assert call(None, x).shape == call(Head(), x).shape == call(Head(), x, mask).shape
    with pytest.raises(ContractError, match=r"cannot read \{self\.head\.width\} as a size"):
        call(None, x, mask)
    with pytest.raises(ShapeError, match="expected 2, got 4"):
        call(Head(), x, x)


def test_unchecked_holds_for_what_is_compiled_inside_it() -> None:
    compiled = torch.compile(Around(Stricter()), backend="eager", fullgraph=True)
    with unchecked():
        compiled(torch.zeros(2, 5))
    with pytest.raises(ShapeError):
        compiled(torch.zeros(2, 5))


def test_a_size_that_only_the_data_decide_passes() -> None:
    @checked
    def keep(x: Float[Tensor, "kept"], y: Float[Tensor, "4"]) -> Float[Tensor, "kept"]:
        return x * 2

    @checked
    def four(x: Float[Tensor, "4"]) -> Float[Tensor, "4"]:
        return x

    def graph(x: Tensor) -> Tensor:
        return four(keep(x[x > 0], x)) + 1

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(graph, backend="eager", fullgraph=True)
        assert compiled(torch.ones(4)).shape == (4,)


def test_the_other_axes_of_such_a_tensor_are_checked() -> None:
    @checked
    def rows(x: Float[Tensor, "*batch 4 3"]) -> Float[Tensor, "*batch 4 3"]:
        return x * 2

    def graph(x: Tensor) -> Tensor:
        return rows(x[x[:, 0] > 0][None]) + 1

    with torch._dynamo.config.patch(capture_dynamic_output_shape_ops=True):
        compiled = torch.compile(graph, backend="eager", fullgraph=True)
        assert compiled(torch.ones(4, 3)).shape == (1, 4, 3)
        with pytest.raises(ShapeError, match="axis 2    expected 3, got 5"):
            compiled(torch.ones(4, 5))


def test_the_result_is_checked_against_the_arguments_as_they_came() -> None:
    @checked
    def turn(x: Float[Tensor, "height width"]) -> Float[Tensor, "height width"]:
        x.t_()
        return x + 0

    @checked
    def grow(
        cache: dict[str, Float[Tensor, "past 4"]], x: Float[Tensor, "new 4"]
    ) -> Float[Tensor, "past+new 4"]:
        cache["keys"] = torch.cat([cache["keys"], x])
        return cache["keys"]

    def turned(x: Tensor) -> Tensor:
        return turn(x.clone()) + 1

    def grown(x: Tensor) -> Tensor:
        return grow({"keys": x, "values": x}, x) + 1

    for function in (grown, torch.compile(grown, backend="eager", fullgraph=True)):
        assert function(torch.ones(3, 4)).shape == (6, 4)
    for function in (turned, torch.compile(turned, backend="eager")):
        assert function(torch.ones(3, 3)).shape == (3, 3)
        with pytest.raises(ShapeError, match="expected height = 3, got 4"):
            function(torch.ones(3, 4))


def test_a_literal_is_checked_by_value_where_it_may_change() -> None:
    @checked
    def power(x: Float[Tensor, "n"], exponent: Literal[1, 2]) -> Float[Tensor, "n"]:
        return x**exponent

    def graph(x: Tensor, exponent: Any) -> Tensor:
        return power(x, exponent) + 1

    compiled = torch.compile(graph, backend="eager", dynamic=True)
    compiled(torch.ones(3), 2)
    for wrong in (5, 6):
        with pytest.raises(ShapeError, match="argument 'exponent'"):
            compiled(torch.ones(3), wrong)


def test_what_cannot_be_looked_at_fits() -> None:
    @checked
    def mixed(
        size: torch.Size, items: Sequence[int], table: Mapping[str, int], x: Float[Tensor, "n"]
    ) -> Float[Tensor, "n"]:
        return x * len(items)

    def graph(x: Tensor) -> Tensor:
        return mixed(x.shape, deque([1, 2]), MappingProxyType({"a": 1}), x) + 1

    compiled = torch.compile(graph, backend="eager")
    assert compiled(torch.ones(3)).tolist() == [3, 3, 3]


def test_arrays_pass_while_a_graph_is_traced() -> None:
    @checked
    def double(x: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        return 2 * x

    def graph(x: Any) -> Any:
        return double(x) + 1

    for function in (graph, torch.compile(graph, backend="eager", fullgraph=True)):
        assert function(np.ones(3, np.float32)).tolist() == [3, 3, 3]


class Pair(NamedTuple):
    left: Float[Tensor, "batch"]
    right: Float[Tensor, "batch"]


@checked
@dataclass(frozen=True)
class Batch:
    images: Float[Tensor, "batch 4"]
    weights: Float[Tensor, "batch"]


def test_records_can_be_made_and_returned_in_a_graph() -> None:
    @checked
    def pair(batch: Batch, width: int) -> Pair:
        return Pair(batch.images.sum(1), batch.weights[:width])

    def graph(x: Tensor, width: int) -> Tensor:
        return pair(Batch(x, x[:, 0]), width).left

    compiled = torch.compile(graph, backend="eager", fullgraph=True)
    assert compiled(torch.zeros(3, 4), 3).shape == (3,)
    with pytest.raises(ShapeError, match=r"result\.right"):
        compiled(torch.zeros(3, 4), 2)
    with pytest.raises(ShapeError, match=r"Batch\.__init__: argument 'images'"):
        compiled(torch.zeros(3, 5), 3)


def later(x: "Unborn") -> "Unborn":  # type: ignore[name-defined]  # made in the test
    return x * 2


def test_names_that_come_later_are_found_while_a_graph_is_traced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    function = checked(later)

    def graph(x: Tensor) -> Tensor:
        result: Tensor = function(x)
        return result + 1

    compiled = torch.compile(graph, backend="eager", fullgraph=True)
    monkeypatch.setitem(globals(), "Unborn", Float[Tensor, "batch 4"])
    assert compiled(torch.zeros(2, 4)).shape == (2, 4)
    with pytest.raises(ShapeError):
        compiled(torch.zeros(2, 5))


def test_what_we_rely_on_in_dynamo() -> None:
    """Some of it is private; a change in PyTorch fails here first."""
    assert list(inspect.signature(ComptimeContext.get_local).parameters)[1:] == [
        "name",
        "stacklevel",
    ]
    assert {"as_proxy", "as_python_constant"} <= set(vars(ComptimeVar))
    action = eval_frame._FrameAction
    assert eval_frame._FrameExecStrategy(action.SKIP, action.DEFAULT).cur_action == action.SKIP
    seen: list[Any] = []

    def look(context: Any) -> None:
        translator = context._i_will_not_complain_if_bc_breaks_InstructionTranslator()
        seen.append([source for source, _ in translator.nn_module_stack.values()])

    class Looking(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            comptime(look)
            return x + 1

    torch.compile(Around(nn.Sequential(Looking())), backend="eager")(torch.zeros(1))
    assert seen == [["L['self'].inner", "L['self'].inner.0"]]


def test_a_function_is_called_while_a_graph_is_traced_and_only_then() -> None:
    calls: list[object] = []

    def call(context: Any) -> None:
        calls.append(context)

    def graph(x: Tensor) -> Tensor:
        at_trace_time(call)
        return x + 1

    graph(torch.zeros(1))
    assert calls == []
    torch.compile(graph, backend="eager", fullgraph=True)(torch.zeros(1))
    assert len(calls) == 1


def test_hidden_functions_make_no_graph() -> None:
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, _: object) -> torch.fx.GraphModule:
        graphs.append(graph)
        return graph

    def inner(x: Tensor) -> Tensor:
        return x + 1

    @skip_frame_only
    def outer(x: Tensor) -> Tensor:
        return inner(x)

    @skip_by_dynamo
    def hidden(x: Tensor) -> Tensor:
        return inner(x)

    torch.compile(outer, backend=backend)(torch.zeros(1))
    assert len(graphs) == 1
    torch.compiler.reset()
    torch.compile(hidden, backend=backend)(torch.zeros(1))
    assert len(graphs) == 1


def test_a_number_that_only_the_data_decide_may_be_any_literal() -> None:
    @checked
    def power(x: Float[Tensor, "batch"], n: Literal[1, 2]) -> Float[Tensor, "batch"]:
        return x**n

    def graph(x: Tensor) -> Tensor:
        n: Any = x.to(torch.int64).sum().item()
        return power(x, n)

    compiled = torch.compile(graph, backend="eager", fullgraph=True)
    with torch._dynamo.config.patch(capture_scalar_outputs=True):
        assert torch.equal(compiled(torch.ones(2)), torch.ones(2))


class Colour(enum.IntEnum):
    RED = 1


@dataclass
class Output(OrderedDict[str, Any]):
    """A record that is also a dictionary, like the results of Hugging Face's models."""

    logits: Float[Tensor, "batch"] | None = None

    def __post_init__(self) -> None:
        self["logits"] = self.logits


@checked
def ordered(x: OrderedDict[str, Float[Tensor, "n"]]) -> OrderedDict[str, Float[Tensor, "n"]]:
    return x


@checked
def defaulted(x: defaultdict[str, Float[Tensor, "n"]]) -> Float[Tensor, "n"]:
    return x["a"]


@checked
def coloured(x: Float[Tensor, "n"], colour: Colour) -> Float[Tensor, "n"]:
    return x + colour


@checked
def first_logits(x: Output) -> Float[Tensor, "batch"]:
    assert x.logits is not None
    return x.logits


@pytest.mark.parametrize(
    "call",
    [
        lambda x: ordered(OrderedDict(a=x))["a"],
        lambda x: defaulted(defaultdict(Tensor, a=x)),
        lambda x: coloured(x, Colour.RED),
        lambda x: first_logits(Output(x)),
    ],
)
def test_what_is_right_in_eager_code_is_right_in_a_graph(call: Callable[[Tensor], Tensor]) -> None:
    torch.compiler.reset()
    x = torch.ones(2)
    compiled = torch.compile(call, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x), call(x))


@checked
def queued(
    queue: deque[Float[Tensor, "batch"]], x: Float[Tensor, "batch 3"]
) -> Float[Tensor, "batch 3"]:
    return x[:, : x.shape[1] - (len(queue) > 1)]


def test_an_opaque_argument_leaves_the_others_checked() -> None:
    torch.compiler.reset()

    def call(x: Tensor, count: int) -> Tensor:
        return queued(deque([x[:, 0]] * count), x)

    compiled = torch.compile(call, backend="eager", fullgraph=True)
    assert compiled(torch.ones(2, 3), 1).shape == (2, 3)
    with pytest.raises(ShapeError, match="argument 'x'"):
        compiled(torch.ones(2, 4), 1)
    with pytest.raises(ShapeError, match="the result"):
        compiled(torch.ones(2, 3), 2)


@checked
def longer(
    queue: deque[Float[Tensor, "batch"]], x: Float[Tensor, "batch+1"]
) -> Float[Tensor, "batch+1"]:
    return x


def test_an_expression_over_an_axis_of_an_opaque_argument_passes() -> None:
    torch.compiler.reset()

    def call(x: Tensor) -> Tensor:
        return longer(deque([x[1:]]), x)

    compiled = torch.compile(call, backend="eager", fullgraph=True)
    assert compiled(torch.ones(3)).shape == call(torch.ones(3)).shape == (3,)
