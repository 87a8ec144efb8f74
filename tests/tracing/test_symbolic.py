"""Traces for all sizes: their expressions give what runs at those sizes record."""

import functools
import itertools
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo import Module, Trace, TraceError, trace
from shapezoo.tracing import SizesError
from shapezoo.tracing.polynomials import DifferenceError, generalise

Sizes = dict[str, int]


def at(size: object, sizes: Mapping[str, int]) -> Any:
    """Return the value of a size of a symbolic trace."""
    return eval(size, {"__builtins__": {}}, dict(sizes)) if isinstance(size, str) else size


def records(traced: Trace, sizes: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    """Yield the record of each call at these sizes."""
    for depth, call in traced.call.walk():
        shapes = [[at(size, sizes) for size in s.sizes] for s in (*call.inputs, *call.outputs)]
        counts = [at(n, sizes) for n in (call.macs, call.activation_bytes, call.times)]
        axes = {name: at(size, sizes) for name, size in call.axes.items()}
        yield depth, call.path, call.kind, shapes, call.parameters, counts, axes


def assert_agrees(symbolic: Trace, model: nn.Module, sizes: Sizes, *inputs: Tensor) -> None:
    """Compare a symbolic trace with a run."""
    real = trace(model, *inputs)
    assert list(records(symbolic, sizes)) == list(records(real, {}))


def suitable(traced: Trace, axis: str, least: int, number: int) -> int:
    """Return the smallest size from `least` on for which the expressions hold, or a later one."""
    multiple = traced.multiples.get(axis, 1)
    return (math.ceil(least / multiple) + number) * multiple


class Images(Module):
    """Layers over images of any size."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(
        self, images: Float[Tensor, "batch channels=2 height width"]
    ) -> Float[Tensor, "batch 2 ..."]:
        features: Tensor = self.layers(images)
        return features


@st.composite
def layers(draw: st.DrawFn, *strides: int) -> nn.Module:
    kernel, stride = draw(st.integers(1, 5)), draw(st.sampled_from(strides))
    padding = draw(st.integers(0, kernel // 2))
    match draw(st.sampled_from(["conv", "max", "average"])):
        case "conv":
            dilation = draw(st.integers(1, 2))
            return nn.Conv2d(2, 2, kernel, stride, padding, dilation, bias=draw(st.booleans()))
        case "max":
            return nn.MaxPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans()))
    return nn.AvgPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans()))


NETS = st.lists(layers(1, 2, 4), min_size=1, max_size=3) | st.tuples(
    layers(1, 2), layers(3, 5, 6), layers(1, 2)
)


@settings(max_examples=10)
@given(net=NETS, numbers=st.lists(st.integers(0, 5), min_size=2, max_size=2))
def test_images_of_all_sizes(net: list[nn.Module], numbers: list[int]) -> None:
    model = Images(*net)
    symbolic = trace(model, sizes={"batch": 2})
    height, width = (
        suitable(symbolic, axis, 200, number)
        for axis, number in zip(("height", "width"), numbers, strict=True)
    )
    inputs = torch.zeros(2, 2, height, width)
    assert_agrees(symbolic, model, {"height": height, "width": width}, inputs)


@pytest.mark.parametrize("kernel", [1, 2, 3, 5])
@pytest.mark.parametrize("stride", [3, 5, 6, 7, 9, 10, 11, 13])
def test_strides_are_not_mistaken_for_others(stride: int, kernel: int) -> None:
    """A fifth of 128, 192 and 256, rounded, looks like a line through them, but is none."""
    model = Images(nn.MaxPool2d(kernel, stride))
    symbolic = trace(model, sizes={"batch": 1, "width": 6})
    height = str(symbolic.call.outputs[0].sizes[2])
    if height == "f(height)":
        assert 26880 % stride
    else:
        for number in range(9):
            size = suitable(symbolic, "height", 30, number)
            assert at(height, {"height": size}) == (size - kernel) // stride + 1


class Patches(Module):
    """A vision transformer's embedding: patches as a sequence, after a token for the class."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(3, 8, size, size)
        self.token = nn.Parameter(torch.zeros(1, 1, 8))

    def forward(
        self, images: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch _ hidden=8"]:
        patches = self.project(images).flatten(2).transpose(1, 2)
        return torch.cat([self.token.expand(len(images), -1, -1), patches], 1)


@pytest.mark.parametrize(("size", "expression"), [(4, "height*width/16+1"), (1, "height*width+1")])
def test_patches(size: int, expression: str) -> None:
    model = Patches(size)
    symbolic = trace(model)
    assert symbolic.call.outputs[0].sizes == ("batch", expression, 8)
    assert symbolic.multiples == ({} if size == 1 else {"height": size, "width": size})
    sizes = {"batch": 3, "height": 3 * size, "width": 7 * size}
    assert_agrees(symbolic, model, sizes, torch.zeros(3, 3, sizes["height"], sizes["width"]))


class Recurrent(Module):
    """A cell that is stepped through time, and a recurrent layer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(9, 3)
        self.cell = nn.GRUCell(3, 4)
        self.layer = nn.LSTM(4, 2, bidirectional=True)

    def forward(self, tokens: Int64[Tensor, "seq batch"]) -> Float[Tensor, "seq batch 4"]:
        state = torch.zeros(tokens.shape[1], 4, device=tokens.device)
        states = []
        for step in self.embedding(tokens).unbind():
            state = self.cell(step, state)
            states.append(state)
        outputs: Tensor = self.layer(torch.stack(states))[0]
        return outputs


RECURRENT = Recurrent()


@functools.cache
def recurrent_trace() -> Trace:
    return trace(RECURRENT)


@settings(max_examples=20)
@given(seq=st.integers(2, 9), batch=st.integers(1, 5))
def test_sequences_of_all_sizes(seq: int, batch: int) -> None:
    assert recurrent_trace().multiples == {}
    tokens = torch.zeros(seq, batch, dtype=torch.int64)
    assert_agrees(recurrent_trace(), RECURRENT, {"seq": seq, "batch": batch}, tokens)


def test_rounds_are_as_many_as_an_axis_is_long() -> None:
    cell = recurrent_trace().call.calls[1]
    assert (cell.path, cell.times, cell.macs) == ("cell", "seq", "84*batch*seq")


def test_attention_between_all_positions() -> None:
    class Attending(Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(
            self, tokens: Float[Tensor, "batch seq hidden=8"]
        ) -> Float[Tensor, "batch seq hidden=8"]:
            result: Tensor = self.attention(tokens, tokens, tokens)[0]
            return result

    symbolic = trace(Attending(), sizes={"batch": 2})
    assert at(symbolic.macs, {"seq": 7}) == 2 * (4 * 7 * 64 + 2 * 49 * 8)
    assert at(symbolic.macs, {"seq": 1}) == 2 * (4 * 64 + 2 * 8)


def test_parameters_are_those_of_the_model() -> None:
    class Tied(Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(9, 3)
            self.linear = nn.Linear(3, 9)
            self.linear.weight = self.embedding.weight

        def forward(self, tokens: Int64[Tensor, "batch"]) -> Float[Tensor, "batch vocab=9"]:
            logits: Tensor = self.linear(self.embedding(tokens))
            return logits

    symbolic = trace(Tied())
    assert [call.parameters for _, call in symbolic.call.walk()] == [36, 27, 36]
    assert_agrees(symbolic, Tied(), {"batch": 5}, torch.zeros(5, dtype=torch.int64))


def test_some_sizes_may_be_given() -> None:
    model = Images(nn.Conv2d(2, 2, 3, 2, 1))
    for sizes in ({"height": 32}, {"height": 32, "batch": 3}, {"width": 8}):
        free = {"batch": 5, "height": 64, "width": 16}
        symbolic = trace(model, sizes=sizes)
        names = {axis for axis in free if any(axis in str(s) for s in symbolic.call.outputs)}
        assert names == free.keys() - sizes.keys()
        assert symbolic.multiples.keys() == {"height", "width"} - sizes.keys()
        full = free | sizes
        inputs = torch.zeros(full["batch"], 2, full["height"], full["width"])
        assert_agrees(symbolic, model, full, inputs)


def test_with_all_sizes_the_model_runs_once() -> None:
    model = Images(nn.Conv2d(2, 2, 3, 2, 1))
    numbers = trace(model, sizes={"batch": 3, "height": 7, "width": 9})
    assert numbers == trace(model, torch.zeros(3, 2, 7, 9))
    assert numbers.call.outputs[0].names == ("batch", None, None, None)


class Irregular(Module):
    def forward(self, images: Float[Tensor, "batch height width"]) -> Float[Tensor, "batch _ _"]:
        return images[:, : math.isqrt(images.shape[1]), : math.isqrt(sum(images.shape[1:]))]


def test_a_size_that_is_not_a_polynomial_is_a_function() -> None:
    outputs = trace(Irregular()).call.outputs
    assert outputs[0].sizes == ("batch", "f(height)", "f(height,width)")


class Values(Module):
    """Cannot run on the meta device, because it reads values."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 2"]:
        result: Tensor = self.linear(x if x.sum().item() == 0 else x / 2)
        return result


def test_a_model_that_reads_values_runs_on_real_tensors() -> None:
    symbolic = trace(Values())
    assert symbolic.call.outputs[0].sizes == ("batch", 2)
    assert_agrees(symbolic, Values(), {"batch": 7}, torch.zeros(7, 3))


class Certain(Module):
    """Accepts images of one size."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(224, 2)

    def forward(self, x: Float[Tensor, "batch height"]) -> Float[Tensor, "batch 2"]:
        result: Tensor = self.head(x)
        return result


def test_sizes_that_a_model_needs() -> None:
    with pytest.raises(TraceError, match=r"Certain failed in head \(Linear\)") as caught:
        trace(Certain())
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert str(caught.value).endswith(
        "give them: trace(model, sizes={'batch': ..., 'height': ...})"
    )
    symbolic = trace(Certain(), sizes={"height": 224})
    assert symbolic.call.outputs[0].sizes == ("batch", 2)
    assert symbolic.call.inputs[0].sizes == ("batch", 224)


class Growing(Module):
    """Has one layer at some sizes and two at others."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))

    def forward(self, x: Float[Tensor, "seq 3"]) -> Float[Tensor, "seq 3"]:
        for layer in self.layers[: 1 + math.isqrt(len(x)) % 2]:
            x = layer(x)
        return x


def test_a_model_with_other_layers_at_other_sizes() -> None:
    with pytest.raises(SizesError, match=r"(?s)not do the same at all sizes: .* give some: trace"):
        trace(Growing())
    assert [len(trace(Growing(), sizes={"seq": n}).call.calls) for n in (4, 9)] == [1, 2]


class Thirds(Module):
    def forward(
        self, x: Float[Tensor, "batch height"], y: Float[Tensor, "batch height/3"]
    ) -> Float[Tensor, "batch"]:
        return x.sum(1) + y.sum(1)


class Shorter(Module):
    def forward(
        self, x: Float[Tensor, "batch seq"], y: Float[Tensor, "batch seq-9"]
    ) -> Float[Tensor, "batch"]:
        return x.sum(1) + y.sum(1)


@pytest.mark.parametrize(("model", "size"), [(Thirds(), "height/3"), (Shorter(), "seq-9")])
def test_sizes_that_a_contract_does_not_allow_are_skipped(model: Module, size: str) -> None:
    assert trace(model).call.inputs[1].sizes == ("batch", size)


UNITS = {"height": 64, "width": 64, "batch": 2}


@settings(max_examples=30)
@given(
    c=st.lists(st.integers(-9, 9), min_size=7, max_size=7),
    numbers=st.lists(st.integers(0, 999), min_size=3, max_size=3),
)
def test_polynomials_are_found(c: list[int], numbers: list[int]) -> None:
    def run(sizes: Sizes) -> tuple[int, str]:
        height, width, batch = (sizes[axis] for axis in UNITS)
        low = c[0] + c[1] * height + c[2] * width * batch + c[3] * height**2
        return low + c[4] * batch**2 + c[5] * height * width * batch + c[6] * batch, "same"

    found = generalise(run, UNITS)
    sizes = dict(zip(UNITS, numbers, strict=True))
    assert (at(found.value[0], sizes), found.value[1]) == run(sizes)
    assert (found.multiples, found.irregular) == (dict.fromkeys(UNITS, 1), 0)


@given(
    divisor=st.sampled_from([1, 2, 4, 8, 16, 32]),
    offset=st.integers(0, 40),
    number=st.integers(0, 99),
)
def test_divisions_hold_at_multiples(divisor: int, offset: int, number: int) -> None:
    def run(sizes: Sizes) -> tuple[int, ...]:
        return (sizes["height"] + offset) // divisor, sizes["height"]

    found = generalise(run, {"height": 64})
    assert (found.multiples, found.irregular) == ({"height": divisor}, 0)
    sizes = {"height": number * divisor}
    assert tuple(at(value, sizes) for value in found.value) == run(sizes)


def test_expressions_that_hold_on_the_grid_only_say_so() -> None:
    found: Any = generalise(lambda sizes: (sizes["height"] // 5 * 5,), {"height": 60})
    assert (found.value, found.multiples) == (("height",), {"height": 60})


FUNCTIONS: dict[str, Callable[[int, int], int]] = {
    "a sum that is halved": lambda h, w: (h + w) // 2 * 2,
    "every other half": lambda h, w: h + (h // 2) % 2,
    "a threshold": lambda h, w: max(h, 20) + w,
    "a divided threshold": lambda h, w: max(h // 32, 4),
    "a limit": lambda h, w: min(h, 512),
    "a rounded product": lambda h, w: h * w // 7,
    "a ceiling": lambda h, w: -(-h // 3) * w,
}


@pytest.mark.parametrize("unit", [64, 26880, 2, 1])
@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS.keys())
def test_expressions_hold_at_their_multiples(
    function: Callable[[int, int], int], unit: int
) -> None:
    """Up to the largest size that was tried."""
    found: Any = generalise(
        lambda sizes: (function(sizes["height"], sizes["width"]),),
        {"height": unit, "width": unit},
    )
    (text,) = found.value
    height, width = found.multiples.values()
    if not isinstance(text, str) or not text.startswith("f("):
        for h, w in itertools.product(range(2, 12), repeat=2):
            sizes = {"height": h * height, "width": w * width}
            assert at(text, sizes) == function(*sizes.values()), sizes


def test_a_number_that_is_constant_on_the_grid_is_a_function_of_all_axes() -> None:
    found: Any = generalise(lambda sizes: (sizes["batch"] // 12, 1), {"batch": 2, "seq": 2})
    assert found.value == ("f(batch,seq)", 1)


@pytest.mark.parametrize("power", [3, 4])
def test_other_functions_are_shown_as_such(power: int) -> None:
    found: Any = generalise(lambda sizes: (sizes["height"] ** power, 1), {"height": 8, "width": 8})
    assert (found.value, found.irregular) == (("f(height)", 1), 1)


@pytest.mark.parametrize(
    "values", [[(1,), (1, 2)], [("a",), ("b",)], [({"a": 1},), ({"b": 1},)], [(1,), ("a",)]]
)
def test_runs_that_differ_otherwise_are_refused(values: list[tuple[Any, ...]]) -> None:
    with pytest.raises(DifferenceError, match=r"at some sizes, .* at others"):
        generalise(lambda sizes: values[sizes["batch"] > 2], {"batch": 1})


class States(Module):
    """Its outputs have the shape of its states where a sequence is as long as it has layers."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(3, 2, num_layers=4)

    def forward(self, x: Float[Tensor, "seq batch 3"]) -> Float[Tensor, "seq+4 batch 2"]:
        return torch.cat(self.rnn(x))


def test_results_that_look_alike_by_chance_are_distinguished() -> None:
    seen: list[int] = []
    model = States()
    model.register_forward_hook(lambda _, args, __: seen.append(args[0].shape[0]))
    traced = trace(model)
    assert traced.call.outputs[0].sizes == ("seq+4", "batch", 2)
    (joined,) = (o for o in traced.call.operations() if o.name == "cat")
    assert [flow.result for flow in joined.inputs] == [0, 1]
    assert 4 in seen
    assert max(seen) < 60  # otherwise the first attempt has failed


def test_small_sizes_with_another_structure_are_skipped() -> None:
    """As where the outputs of a recurrent layer have the shape of its state, by chance."""
    found: Any = generalise(lambda s: ("few",) if s["seq"] == 2 else (s["seq"],), {"seq": 2})
    assert (found.value, found.multiples) == (("seq",), {"seq": 1})


def test_a_function_of_nothing_runs_once() -> None:
    calls: list[Sizes] = []
    assert generalise(calls.append, {}).value is None
    assert calls == [{}]
