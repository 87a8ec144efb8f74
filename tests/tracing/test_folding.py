"""Flows of tensors, and loops, whose iterations become one."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from shapezoo import Trace, scan, trace
from shapezoo.tracing import Call, Flow, Operation

SEQ, BATCH, IN, HIDDEN = 5, 4, 3, 2


class Free(nn.Module):
    """A function over layers, without a contract."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*self.layers, *args, **kwargs)


def found(traced: Trace, name: str) -> Operation:
    """The only operation of this name."""
    (operation,) = (o for o in traced.call.operations() if o.name == name)
    return operation


def sources(traced: Trace, flows: Sequence[Flow]) -> list[str]:
    """The names of the operations that flows come from."""
    names = {o.id: o.name for o in (*traced.inputs, *traced.call.operations())}
    return [names[flow.source] for flow in flows]


def steps(traced: Trace) -> list[tuple[str, int]]:
    """Return the steps of the model itself, and how often each was called."""
    found = (s.path if isinstance(s, Call) else s.name for s in traced.call.steps)
    return list(zip(found, (int(step.times) for step in traced.call.steps), strict=True))


def z(*shape: int) -> Tensor:
    return torch.zeros(shape)


def test_a_residual_block_adds_its_input() -> None:
    layers = nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4)
    traced = trace(Free(lambda a, b, c, x: c(b(a(x))) + x, *layers), z(2, 4))
    last = [*traced.call.operations()][-2]
    added = found(traced, "add").inputs
    assert [flow.source for flow in added] == [last.id, traced.inputs[0].id]
    assert [flow.shape.sizes for flow in added] == [(2, 4)] * 2


def test_branches_end_in_one_concatenation() -> None:
    branches = [nn.Conv2d(3, width, 1) for width in (1, 2, 3, 4)]
    model = Free(lambda *given: torch.cat([f(given[-1]) for f in given[:-1]], 1), *branches)
    traced = trace(model, z(2, 3, 5, 5))
    joined = found(traced, "cat")
    assert [flow.shape.sizes[1] for flow in joined.inputs] == [1, 2, 3, 4]
    assert sources(traced, joined.inputs) == ["conv2d"] * 4
    assert len({flow.source for flow in joined.inputs}) == 4
    assert [flow.source for flow in traced.outputs] == [joined.id]


def test_parameters_and_constants_do_not_flow() -> None:
    layer = nn.Linear(3, 3)
    traced = trace(Free(lambda f, x: x @ f.weight + torch.ones(3), layer), z(2, 3))
    assert sources(traced, found(traced, "matmul").inputs) == ["args"]
    assert sources(traced, found(traced, "add").inputs) == ["matmul", "ones"]


def stepped(cell: nn.RNNCell, x: Tensor) -> Tensor:
    h = x.new_zeros(x.shape[1], HIDDEN)
    outputs = torch.zeros(*x.shape[:2], HIDDEN)
    for t in range(len(x)):
        h = cell(x[t], h)
        outputs[t] = h
    return outputs


def iterated(cell: nn.RNNCell, x: Tensor) -> Tensor:
    h = x.new_zeros(x.shape[1], HIDDEN)
    for step in x:
        h = cell(step, h)
    return h


def scanned(cell: nn.RNNCell, x: Tensor) -> Tensor:
    def step(h: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        h = cell(x, h)
        return h, h

    return scan(step, x.new_zeros(x.shape[1], HIDDEN), x)[1]


@pytest.mark.parametrize("function", [stepped, iterated, scanned])
def test_a_state_is_carried_through_time(function: Callable[..., Tensor]) -> None:
    traced = trace(Free(function, nn.RNNCell(IN, HIDDEN)), z(SEQ, BATCH, IN))
    (cell,) = traced.call.calls
    assert cell.times == SEQ
    step = found(traced, "rnn_tanh_cell")
    assert [flow.is_carried for flow in step.inputs] == [False, False, True]
    assert step.inputs[2].source == step.id


def test_what_is_written_into_a_tensor_flows_into_it() -> None:
    traced = trace(Free(stepped, nn.RNNCell(IN, HIDDEN)), z(SEQ, BATCH, IN))
    written = found(traced, "setitem")
    assert sources(traced, written.inputs) == ["zeros", "rnn_tanh_cell", "setitem"]
    assert sources(traced, traced.outputs) == ["setitem"]
    in_place = trace(Free(lambda x: (y := x.clone()).relu_().add_(1) is y and y), z(2))
    assert sources(in_place, in_place.outputs) == ["add_"]


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(4, 3)

    def forward(self, a: Tensor, b: Tensor, c: Tensor, d: Tensor) -> Any:
        return self.encoder(a), self.encoder(b), self.encoder(c), self.encoder(d)


def test_what_comes_from_outside_of_a_loop_is_not_carried() -> None:
    traced = trace(Siamese(), z(2, 4), z(2, 4), z(2, 4), z(2, 4))
    flows = found(traced, "linear").inputs
    assert sources(traced, flows) == ["a", "b", "c", "d"]
    assert not any(flow.is_carried for flow in flows)


def test_two_equal_calls_are_not_a_loop_if_neither_needs_the_other() -> None:
    traced = trace(Free(lambda e, a, b: e(a) - e(b), nn.Linear(4, 3)), z(2, 4), z(2, 4))
    assert steps(traced) == [("layers.0", 1), ("layers.0", 1), ("sub", 1)]
    assert len(found(traced, "sub").inputs) == 2
    needed = trace(Free(lambda e, a: e(e(a)), nn.Linear(4, 4)), z(2, 4))
    assert steps(needed) == [("layers.0", 2)]


BODIES: dict[str, Callable[[nn.Module, Tensor], Tensor]] = {
    "linear": lambda layer, x: layer(x),
    "relu": lambda _, x: x.relu(),
    "sin": lambda _, x: x.sin(),
    "softmax": lambda _, x: x.softmax(1),
}


def looped(layer: nn.Module, x: Tensor, body: Sequence[str], rounds: int) -> Tensor:
    for _ in range(rounds):
        for name in body:
            x = BODIES[name](layer, x)
    return x


def a_round(call: Call, rounds: int, *, is_whole: bool = True) -> Call:
    """Return a call in a loop with the costs of one iteration."""
    inner: list[Call | Operation] = []
    for step in call.steps:
        assert int(step.times) % rounds == 0, step
        if isinstance(step, Call):
            inner.append(a_round(step, rounds, is_whole=False))
        else:
            inner.append(replace(step, times=int(step.times) // rounds))
    assert int(call.macs) % rounds == int(call.activation_bytes) % rounds == 0
    return replace(
        call,
        macs=int(call.macs) // rounds,
        activation_bytes=int(call.activation_bytes) // rounds,
        times=1 if is_whole else int(call.times) // rounds,
        steps=tuple(inner),
    )


@settings(max_examples=60)
@given(
    body=st.lists(st.sampled_from(sorted(BODIES)), min_size=1, max_size=6),
    rounds=st.lists(st.integers(3, 7), min_size=2, max_size=2, unique=True),
)
def test_more_iterations_change_counts_only(body: list[str], rounds: list[int]) -> None:
    model = Free(looped, nn.Linear(3, 3))
    one, other = (trace(model, z(3, 3), body=body, rounds=n) for n in rounds)
    assert a_round(one.call, rounds[0]) == a_round(other.call, rounds[1])
    assert (one.inputs, one.outputs) == (other.inputs, other.outputs)
    assert len(one.call.steps) <= len(body)


def test_an_iteration_may_begin_with_two_equal_steps() -> None:
    def stepped(cell: nn.RNNCell, x: Tensor, h: Tensor) -> Tensor:
        for t in range(len(x)):
            h = cell(torch.cat([x[t], x[-t]], 1), h)
        return h

    traced = trace(Free(stepped, nn.RNNCell(2 * IN, HIDDEN)), z(SEQ, BATCH, IN), z(BATCH, HIDDEN))
    assert steps(traced) == [("getitem", SEQ), ("getitem", SEQ), ("cat", SEQ), ("layers.0", SEQ)]


@pytest.mark.parametrize(("outer", "inner"), [(2, 3), (3, 2), (4, 5)])
def test_loops_in_loops(outer: int, inner: int) -> None:
    body = ["linear"] * inner + ["relu"]
    traced = trace(Free(looped, nn.Linear(3, 3)), z(3, 3), body=body, rounds=outer)
    assert steps(traced) == [("layers.0", outer * inner), ("relu", outer)]
    assert traced.macs == outer * inner * 27


def test_loops_in_modules_in_loops() -> None:
    block = Free(looped, nn.Linear(3, 3))
    model = Free(lambda f, x: f(f(x, ["linear", "relu"], 4), ["linear", "relu"], 4), block)
    (outer,) = trace(model, z(3, 3)).call.calls
    (inner,) = outer.calls
    assert (outer.path, outer.times, outer.macs) == ("layers.0", 2, 8 * 27)
    assert (inner.path, inner.times, inner.macs) == ("layers.0.layers.0", 8, 8 * 27)
    assert [step.times for step in outer.steps] == [8, 8]


def test_calls_in_different_places_are_not_one() -> None:
    layer = nn.Linear(3, 3)
    traced = trace(Free(lambda f, x: f(f(x).relu()).sin(), layer), z(2, 3))
    assert steps(traced) == [("layers.0", 1), ("relu", 1), ("layers.0", 1), ("sin", 1)]
    twins = trace(Free(lambda f, g, x: g(f(x)), layer, nn.Linear(3, 3)), z(2, 3))
    assert steps(twins) == [("layers.0", 1), ("layers.1", 1)]


@pytest.mark.parametrize(
    "function",
    [
        lambda x: [x[:n] for n in (1, 2, 3)],
        lambda x: [part.sum(1) for part in x.split([1, 2, 3], 1)],
        lambda x: [part @ part.T for part in x.split([1, 2, 3], 1)],
        lambda x: [x.float(), x.double()],
        lambda x: [x[0].relu(), x.relu()],
    ],
)
def test_nothing_that_differs_is_folded(function: Callable[[Tensor], Any]) -> None:
    traced = trace(Free(function), z(6, 6))
    assert all(times == 1 for _, times in steps(traced))


def test_a_state_may_begin_as_a_parameter() -> None:
    class Learned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.cell = nn.RNNCell(IN, HIDDEN)
            self.start = nn.Parameter(z(BATCH, HIDDEN))

        def forward(self, x: Tensor) -> Tensor:
            h: Tensor = self.start
            for step in x.unbind():
                h = self.cell(step, h)
            return h

    traced = trace(Learned(), z(SEQ, BATCH, IN))
    assert steps(traced) == [("unbind", 1), ("cell", SEQ)]
    assert [flow.is_carried for flow in found(traced, "rnn_tanh_cell").inputs] == [False, True]


def test_a_step_before_a_loop_is_not_part_of_it() -> None:
    def stepped(cell: nn.RNNCell, x: Tensor) -> Tensor:
        h = x[0]
        for t in range(len(x)):
            h = cell(x[t], h)
        return h

    traced = trace(Free(stepped, nn.RNNCell(IN, IN)), z(SEQ, BATCH, IN))
    assert steps(traced) == [("getitem", 1), ("getitem", SEQ), ("layers.0", SEQ)]


def test_an_iteration_that_fails_is_not_folded() -> None:
    def fail(layer: nn.Module, x: Tensor) -> Tensor:
        for n in (3, 3, 3, 3, 4):
            layer(x.expand(2, n) if n == 3 else x.new_zeros(2, n))
        return x

    with pytest.raises(RuntimeError) as error:
        trace(Free(fail, nn.Linear(3, 3)), z(2, 3))
    calls = error.value.trace.call.calls  # type: ignore[attr-defined]  # it is a TraceError
    assert [(call.times, call.has_failed) for call in calls] == [(4, False), (1, True)]


def test_iterations_of_any_length_up_to_a_limit() -> None:
    model = Free(looped, nn.Linear(3, 3))
    body = ["relu"] + ["softmax", "sin"] * 10
    long = trace(model, z(3, 3), body=body, rounds=4)
    assert steps(long) == [("relu", 4), ("softmax", 40), ("sin", 40)]
    too_long = trace(model, z(3, 3), body=body + body[::-1] + body[1:] + body[::-1], rounds=2)
    assert len(too_long.call.steps) > 4
