"""Graphs of traces: blocks with arrows between them."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from shapezoo import Trace, TraceError, create_model, trace
from shapezoo.models import ResidualBlock
from shapezoo.models.course.inception_small import InceptionBlock
from shapezoo.tracing.blocks import MOST_BLOCKS, Arrow, Graph, graph_of

HEAD, TAIL = nn.Linear(3, 3), nn.Linear(3, 3)


class Written(nn.Module):
    """Two layers around a function, with an input that nothing reads."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.head, self.tail, self._function = HEAD, TAIL, function

    def forward(self, x: Tensor, unused: Tensor) -> Tensor:
        y: Tensor = self.tail(self._function(self.head(x)))
        return y


class Halves(nn.Module):
    """A loop with a state of two tensors of different shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.step = Step()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        wide, narrow = x.new_zeros(4), x.new_zeros(2)
        for row in x:
            wide, narrow = self.step(row, wide, narrow)
        return wide, narrow


class Step(nn.Module):
    def forward(self, x: Tensor, wide: Tensor, narrow: Tensor) -> tuple[Tensor, Tensor]:
        return wide * x.sum(), narrow + wide[:2]


class Powers(nn.Module):
    """A loop inside of a layer."""

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(5):
            x = x * x
        return x


class Selects(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 4)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layer(x[0])
        return y


def graph_at(traced: Trace, depth: int | None = None) -> Graph:
    return graph_of(traced.call, traced.inputs, traced.outputs, depth)


def edges(graph: Graph) -> set[tuple[str, str, str]]:
    """Return the names of two blocks and the shape between them, wherever it is shown."""
    found = set()
    for first in graph.arrows:
        middle = graph.blocks[first.target]
        ways = [a.target for a in graph.arrows if a.source == first.target]
        targets, label = [first.target], first.label
        if middle.type_ == "tensor":
            targets, label = ways, middle.name
        if graph.blocks[first.source].type_ != "tensor":
            name = graph.blocks[first.source].name
            found |= {(name, graph.blocks[target].name, label) for target in targets}
    return found


def names(graph: Graph) -> list[str]:
    return [block.name for block in graph.blocks if block.type_ != "tensor"]


def written(function: Callable[[Tensor], Tensor]) -> Graph:
    return graph_at(trace(Written(function), torch.zeros(2, 3), torch.zeros(1)))


@pytest.fixture(scope="module")
def classifier() -> Trace:
    return trace(create_model("resnet_small").eval())


def test_an_inception_block_has_four_branches() -> None:
    graph = graph_at(trace(InceptionBlock(10)))
    image = "batch 10 height width"
    assert {target for source, target, _ in edges(graph) if source == "x"} == {
        "branch1x1",
        "branch5x5.0",
        "branch3x3.0",
        "branch_pool.0",
    }
    assert {label for source, _, label in edges(graph) if source == "x"} == {image}
    assert {e for e in edges(graph) if e[1] == "cat"} == {
        ("branch1x1", "cat", "batch 16 height width"),
        ("branch5x5.1", "cat", "batch 24 height width"),
        ("branch3x3.2", "cat", "batch 24 height width"),
        ("branch_pool.1", "cat", "batch 24 height width"),
    }
    assert [e for e in edges(graph) if e[0] == "cat"] == [
        ("cat", "output", "batch 88 height width")
    ]
    assert len(edges(graph)) == 13


def test_a_tensor_that_several_read_has_one_label() -> None:
    graph = graph_at(trace(InceptionBlock(10)))
    (tensor,) = (i for i, block in enumerate(graph.blocks) if block.type_ == "tensor")
    assert graph.blocks[tensor].name == "batch 10 height width"
    assert [a for a in graph.arrows if a.target == tensor] == [Arrow(0, tensor)]
    assert len([a for a in graph.arrows if a.source == tensor]) == 4
    assert len(graph.arrows) == 14


def test_a_loop_is_apart_from_what_others_read() -> None:
    """An arrow back from a label that leads on is read as one from a block further down."""
    graph = graph_at(trace(create_model("stepped_rnn").eval()))
    cell = names(graph).index("cell ×seq")
    assert Arrow(cell, cell, "batch 2") in graph.arrows


def test_a_residual_block_has_a_shortcut() -> None:
    graph = graph_at(trace(ResidualBlock(8)))
    types = {block.name: block.type_ for block in graph.blocks}
    assert types["x"] == "input"
    assert types["conv1"] == "layer"
    assert types["add"] == "function"
    assert types["output"] == "output"
    shape = "batch 8 height width"
    assert {("x", "conv1", shape), ("x", "add", shape), ("conv2", "add", shape)} <= edges(graph)
    assert len(edges(graph)) == 7


def test_a_loop_is_an_arrow_from_a_block_to_itself() -> None:
    graph = graph_at(trace(create_model("stepped_rnn").eval()))
    assert {source for source, target, _ in edges(graph) if source == target} == {"cell ×seq"}
    assert ("cell ×seq", "cell ×seq", "batch 2") in edges(graph)
    assert ("inputs", "cell ×seq", "batch 4") in edges(graph)
    assert ("cell ×seq", "stack", "batch 2") in edges(graph)


def test_all_that_a_loop_carries_is_one_arrow() -> None:
    """Two would be drawn on top of each other."""
    graph = graph_at(trace(Halves(), torch.zeros(6, 3)), 1)
    loops = [arrow for arrow in graph.arrows if arrow.source == arrow.target]
    assert [graph.blocks[arrow.source].name for arrow in loops] == ["step ×6"]
    assert [set(arrow.label.split(", ")) for arrow in loops] == [{"4", "2"}]


def test_a_loop_within_a_block_has_no_arrow() -> None:
    traced = trace(nn.Sequential(nn.Linear(3, 3), Powers(), nn.ReLU()), torch.zeros(2, 3))
    graph = graph_at(traced, 1)
    assert names(graph) == ["input", "0", "1", "2", "output"]
    assert [(a.source, a.target) for a in graph.arrows] == [(0, 1), (1, 2), (2, 3), (3, 4)]
    model = create_model("haar_linear").eval()
    assert not [a for a in graph_at(trace(model), 1).arrows if a.source == a.target]


def test_functions_are_blocks_between_layers() -> None:
    graph = written(lambda x: x.tanh() + 1)
    assert names(graph) == ["x", "unused", "head", "tanh", "add", "tail", "output"]
    assert ("head", "tanh", "2 3") in edges(graph)
    assert not [e for e in edges(graph) if "unused" in e]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.to(torch.float64).float(),
        lambda x: x[:, :],
        lambda x: x.detach().clone().contiguous(),
        nn.Identity(),
    ],
)
def test_functions_that_compute_nothing_are_left_out(function: Callable[[Tensor], Tensor]) -> None:
    graph = written(function)
    assert names(graph) == ["x", "unused", "head", "tail", "output"]
    assert edges(graph) == {
        ("x", "head", "2 3"),
        ("head", "tail", "2 3"),
        ("tail", "output", "2 3"),
    }


def test_a_check_of_values_is_a_dead_end() -> None:
    def checked(x: Tensor) -> Tensor:
        if x.isnan().any().logical_not().sum() < 0:
            raise ValueError
        return x

    assert names(written(checked)) == ["x", "unused", "head", "tail", "output"]


def test_the_shape_of_a_selection_is_the_selected_one() -> None:
    graph = graph_at(trace(Selects(), torch.zeros(5, 3)))
    assert edges(graph) == {("x", "layer", "3"), ("layer", "output", "4")}


def test_depth_opens_blocks(classifier: Trace) -> None:
    assert [(b.name, b.detail) for b in graph_at(classifier, 1).blocks] == [
        ("images", ""),
        ("features", "Sequential"),
        ("classifier", "Linear"),
        ("output", ""),
    ]
    second = names(graph_at(classifier, 2))
    assert "features.3" in second
    assert "features" not in second
    third = names(graph_at(classifier, 3))
    assert {"features.3.conv1", "features.3.conv2", "add"} <= set(third)
    assert graph_at(classifier, 3) == graph_at(classifier, 99) == graph_at(classifier)


def test_every_block_is_reached_from_the_input(classifier: Trace) -> None:
    for depth in (1, 2, 3):
        graph = graph_at(classifier, depth)
        reached = {0}
        for _ in graph.blocks:
            reached |= {arrow.target for arrow in graph.arrows if arrow.source in reached}
        assert reached == set(range(len(graph.blocks)))
        assert [arrow.label for arrow in graph.arrows if arrow.source == 0] == ["batch 1 28 28"]


@pytest.mark.parametrize(("layers", "deepest"), [(36, True), (38, True), (39, False)])
def test_by_itself_a_picture_has_at_most_forty_blocks(layers: int, deepest: bool) -> None:
    model = nn.Sequential(nn.Sequential(*(nn.ReLU() for _ in range(layers))))
    graph = graph_at(trace(model, torch.zeros(1)))
    assert len(graph.blocks) == (layers + 2 if deepest else 3)
    assert len(graph.blocks) <= MOST_BLOCKS
    assert len(graph_at(trace(model, torch.zeros(1)), 2).blocks) == layers + 2


def test_a_flat_model_shows_its_layers_however_many() -> None:
    model = nn.Sequential(*(nn.ReLU() for _ in range(60)))
    assert len(graph_at(trace(model, torch.zeros(1))).blocks) == 62


def test_several_outputs_are_several_arrows() -> None:
    graph = graph_at(trace(create_model("gru").eval()))
    assert edges(graph) == {
        ("inputs", "rnn", "seq batch 4"),
        ("rnn", "output", "seq batch 2"),
        ("rnn", "output", "1 batch 2"),
    }


def test_an_output_may_be_an_input() -> None:
    graph = graph_at(trace(nn.Identity(), torch.zeros(2)))
    assert edges(graph) == {("input", "output", "2")}


def test_the_graph_of_a_model_that_failed_ends_with_the_layer_that_did() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Linear(5, 6))
    with pytest.raises(TraceError) as caught:
        trace(model, torch.zeros(2, 3))
    graph = graph_at(caught.value.trace)
    assert ("input", "0", "2 3") in edges(graph)
    assert names(graph) == ["input", "0", "1"]


def test_axes_of_a_given_size_are_numbers() -> None:
    graph = graph_at(trace(InceptionBlock(3), sizes={"batch": 8}))
    assert ("cat", "output", "8 88 height width") in edges(graph)
