"""What a trace of real inputs records, and that it leaves no trace in the model."""

import contextlib
import math
from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence

from shapezoo import Module, Trace, trace
from shapezoo.tracing import Flow, Operation, Shape
from shapezoo.tracing.counting import flop_counter
from shapezoo.tracing.recording import shares_memory

FLOAT = 4
"""The bytes of a float32."""


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
    (operation,) = (o for o in (*traced.inputs, *traced.call.operations()) if o.name == name)
    return operation


def sources(traced: Trace, flows: tuple[Flow, ...]) -> list[str]:
    """The names of the operations that flows come from."""
    names = {o.id: o.name for o in (*traced.inputs, *traced.call.operations())}
    return [names[flow.source] for flow in flows]


def sizes(shapes: tuple[Shape, ...]) -> list[tuple[Any, ...]]:
    return [shape.sizes for shape in shapes]


def z(*shape: int) -> Tensor:
    return torch.zeros(shape)


def test_calls_are_nested_and_in_order() -> None:
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    model = nn.Sequential(body, nn.Identity(), nn.Flatten(), nn.Linear(4 * 6 * 6, 2))
    traced = trace(model, z(5, 3, 8, 8))
    records = [
        (depth, c.path, c.kind, c.inputs[0].sizes, c.outputs[0].sizes)
        for depth, c in traced.call.walk()
    ]
    assert records == [
        (0, "", "Sequential", (5, 3, 8, 8), (5, 2)),
        (1, "0", "Sequential", (5, 3, 8, 8), (5, 4, 6, 6)),
        (2, "0.0", "Conv2d", (5, 3, 8, 8), (5, 4, 6, 6)),
        (2, "0.1", "ReLU", (5, 4, 6, 6), (5, 4, 6, 6)),
        (1, "1", "Identity", (5, 4, 6, 6), (5, 4, 6, 6)),
        (1, "2", "Flatten", (5, 4, 6, 6), (5, 144)),
        (1, "3", "Linear", (5, 144), (5, 2)),
    ]
    assert traced.call.calls[1].steps == ()
    assert [o.name for o in traced.call.operations()] == ["conv2d", "relu", "flatten", "linear"]
    assert not any(c.has_failed or c.axes or c.times != 1 for _, c in traced.call.walk())


class Tagger(Module):
    """A module with a contract around layers without one."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding = nn.Embedding(9, 6)
        self.linear = nn.Linear(6, num_classes)

    def forward(
        self, tokens: Int64[Tensor, "seq batch"], bias: Float[Tensor, "batch 1"] | None = None
    ) -> Float[Tensor, "seq batch classes={self.num_classes}"]:
        logits: Tensor = self.linear(self.embedding(tokens))
        return logits if bias is None else logits + bias


def test_axes_have_the_names_of_the_contract() -> None:
    traced = trace(nn.Sequential(Tagger(5)), torch.zeros(7, 3, dtype=torch.int64))
    tagger = traced.call.calls[0]
    assert tagger.axes == {"seq": 7, "batch": 3}
    assert tagger.inputs == (Shape((7, 3), "int64", ("seq", "batch")),)
    assert tagger.outputs == (Shape((7, 3, 5), "float32", ("seq", "batch", "classes")),)
    assert [shape.names for c in (traced.call, *tagger.calls) for shape in c.inputs] == [()] * 3
    assert str(tagger.outputs[0]) == "seq=7 batch=3 classes=5"


def test_optional_arguments_are_recorded_if_they_are_passed() -> None:
    tokens = torch.zeros(7, 3, dtype=torch.int64)
    assert sizes(trace(Tagger(5), tokens, None).call.inputs) == [(7, 3)]
    assert sizes(trace(Tagger(5), tokens, bias=z(3, 1)).call.inputs) == [(7, 3), (3, 1)]
    assert [i.name for i in trace(Tagger(5), bias=z(3, 1), tokens=tokens).inputs] == [
        "tokens",
        "bias",
    ]


class Choice(Module):
    def forward(
        self, x: Float[Tensor, "batch features"] | Int64[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch"]:
        return x.sum(1).float()


class Leading(Module):
    def forward(self, x: Float[Tensor, "*batch seq 2"]) -> Float[Tensor, "*batch 2"]:
        return x.sum(-2)


class Broadcast(Module):
    def forward(
        self, x: Float[Tensor, "batch hidden"], y: Float[Tensor, "#batch hidden"]
    ) -> Float[Tensor, "batch hidden"]:
        return x + y


@pytest.mark.parametrize(
    ("model", "inputs", "axes", "names"),
    [
        (Choice(), (z(2, 3),), {"batch": 2, "features": 3}, ("batch", "features")),
        (Choice(), (z(2, 3).long(),), {"batch": 2, "seq": 3}, ("batch", "seq")),
        (Leading(), (z(4, 5, 3, 2),), {"seq": 3}, (None, None, "seq", None)),
        (Leading(), (z(3, 2),), {"seq": 3}, ("seq", None)),
        (Broadcast(), (z(4, 3), z(1, 3)), {"batch": 4, "hidden": 3}, ("batch", "hidden")),
    ],
)
def test_special_axes(
    model: nn.Module, inputs: tuple[Tensor, ...], axes: dict[str, int], names: tuple[str, ...]
) -> None:
    call = trace(model, *inputs).call
    assert call.axes == axes
    assert call.inputs[0].names == names


def tied() -> nn.Module:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    return model


def shared() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer)


@pytest.mark.parametrize(
    ("build", "total"),
    [(tied, 24), (shared, 20), (lambda: Free(lambda a, b, x: a(x), *tied().children()), 24)],
)
def test_parameters_are_counted_once(build: Callable[[], nn.Module], total: int) -> None:
    model = build()
    traced = trace(model, z(2, 4))
    assert traced.parameters == total
    for _, call in traced.call.walk():
        module = model.get_submodule(call.path)
        assert call.parameters == sum(p.numel() for p in module.parameters())


def doubled_in_place(x: Tensor) -> Tensor:
    y = x + 1
    y *= 2
    return y.relu_().transpose(0, 1).unsqueeze(0)


@pytest.mark.parametrize(
    ("model", "inputs", "numbers"),
    [
        (nn.ReLU(), (z(2, 3),), 6),
        (nn.ReLU(inplace=True), (z(2, 3),), 0),
        (nn.Flatten(), (z(2, 3, 4),), 0),
        (nn.Linear(3, 5), (z(2, 3),), 10),
        (nn.Linear(3, 5), (z(2, 4, 3),), 40),
        (Free(lambda x: x.T + x.T), (z(3, 3),), 9),
        (Free(doubled_in_place), (z(2, 3),), 6),
        (Free(lambda x: x.chunk(3, 1)), (z(2, 3),), 0),
        (Free(lambda x: x.expand(7, 3)), (z(1, 3),), 0),
        (Free(lambda x: torch.cat([x, x])), (z(2, 3),), 12),
        (nn.Sequential(nn.Linear(3, 5), nn.Dropout(), nn.ReLU(True)).eval(), (z(2, 3),), 10),
        (nn.Sequential(nn.Linear(3, 5), nn.Dropout(), nn.ReLU(True)), (z(2, 3),), 20),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("inference", [False, True])
def test_activation_bytes(
    model: nn.Module, inputs: tuple[Tensor, ...], numbers: int, device: str, inference: bool
) -> None:
    with torch.inference_mode(inference):
        copy = deepcopy(model).to(device)
        traced = trace(copy, *(x.to(device) for x in inputs))
    assert traced.activation_bytes == FLOAT * numbers


@pytest.mark.parametrize(("dtype", "size"), [(torch.float64, 8), (torch.bfloat16, 2)])
def test_other_dtypes(dtype: torch.dtype, size: int) -> None:
    traced = trace(nn.Linear(3, 5, dtype=dtype), torch.zeros(2, 3, dtype=dtype))
    assert traced.activation_bytes == size * 10
    assert traced.call.outputs[0].dtype == str(dtype).removeprefix("torch.")


@given(data=st.data(), groups=st.integers(1, 3), kernel=st.integers(1, 3))
def test_macs_of_convolutions(data: st.DataObject, groups: int, kernel: int) -> None:
    few = st.integers(1, 3)
    inner, outer, stride = (data.draw(few, name) for name in ("inner", "outer", "stride"))
    conv = nn.Conv2d(groups * inner, groups * outer, kernel, stride, groups=groups)
    traced = trace(conv, z(2, groups * inner, 7, 5))
    outputs = math.prod(int(size) for size in traced.call.outputs[0].sizes)
    assert traced.macs == outputs * inner * kernel**2


SEQ, BATCH, IN, HIDDEN = 5, 4, 3, 2
STEPS = SEQ * BATCH * HIDDEN


@pytest.mark.parametrize(
    ("model", "inputs", "macs"),
    [
        (nn.Linear(3, 5), (z(2, 7, 3),), 2 * 7 * 3 * 5),
        (nn.ReLU(), (z(2, 3),), 0),
        (Free(torch.matmul), (z(2, 3, 4), z(2, 4, 5)), 2 * 3 * 4 * 5),
        (nn.ConvTranspose1d(4, 6, 3, groups=2), (z(2, 4, 8),), 2 * 4 * 8 * 3 * 3),
        (nn.RNN(IN, HIDDEN), (z(SEQ, BATCH, IN),), STEPS * (IN + HIDDEN)),
        (nn.GRU(IN, HIDDEN), (z(SEQ, BATCH, IN),), 3 * STEPS * (IN + HIDDEN)),
        (nn.LSTM(IN, HIDDEN), (z(SEQ, BATCH, IN),), 4 * STEPS * (IN + HIDDEN)),
        (
            nn.LSTM(IN, HIDDEN, 2, bidirectional=True),
            (z(SEQ, BATCH, IN),),
            2 * 4 * STEPS * (IN + HIDDEN) + 2 * 4 * STEPS * (2 * HIDDEN + HIDDEN),
        ),
        (nn.GRU(IN, HIDDEN), (pack_sequence([z(3, IN), z(1, IN)]),), 3 * 4 * 2 * (IN + HIDDEN)),
        (
            Free(scaled_dot_product_attention),
            (z(2, 3, 5, 4), z(2, 3, 6, 4), z(2, 3, 6, 4)),
            2 * 2 * 3 * 5 * 6 * 4,
        ),
    ],
)
def test_macs(model: nn.Module, inputs: tuple[Any, ...], macs: int) -> None:
    assert trace(model, *inputs).macs == macs
    with torch.inference_mode():
        assert trace(model.eval(), *inputs).macs == macs


@pytest.mark.parametrize("is_training", [False, True])
def test_transformers(is_training: bool) -> None:
    """No fast path hides the layers, and attention is counted."""
    batch, seq, hidden, inner = 4, 5, 8, 16
    layer = nn.TransformerEncoderLayer(hidden, 2, inner, batch_first=True).train(is_training)
    traced = trace(layer, z(batch, seq, hidden))
    calls = [call.path for call in traced.call.calls]
    assert calls[:3] == ["self_attn", "dropout1", "norm1"]
    projections, feedforward = 4 * seq * hidden**2, 2 * seq * hidden * inner
    attention = traced.call.calls[0]
    assert attention.macs == batch * (projections + 2 * seq**2 * hidden)
    assert traced.macs == batch * feedforward + int(attention.macs)
    weights = trace(layer.self_attn, *[z(batch, seq, hidden)] * 3).call
    assert sizes(weights.outputs) == [(batch, seq, hidden), (batch, seq, seq)]


class Pair(NamedTuple):
    left: Float[Tensor, "batch"]
    right: Float[Tensor, "batch seq"]


@dataclass(frozen=True)
class Batch:
    images: Float[Tensor, "batch height"]
    labels: Int64[Tensor, "batch"]


class Containers(Module):
    """Containers of every type, in arguments and results."""

    def forward(
        self,
        pair: Pair,
        batch: Batch,
        more: tuple[Float[Tensor, "batch"], int],
        *rest: Float[Tensor, "seq"],
        **named: Float[Tensor, "batch 2"],
    ) -> tuple[Pair, dict[str, Float[Tensor, "batch 2"]], list[Float[Tensor, "seq"]], Batch]:
        return Pair(pair.left + 1, pair.right), named, list(rest), batch


def test_containers() -> None:
    batch = Batch(z(2, 5), z(2).long())
    traced = trace(Containers(), Pair(z(2), z(2, 3)), batch, (z(2), 1), z(3), z(3), a=z(2, 2))
    assert [" ".join(map(str, shape.names)) for shape in traced.call.inputs] == [
        *("batch", "batch seq", "batch height", "batch", "batch", "seq", "seq", "batch None")
    ]
    assert [" ".join(map(str, shape.names)) for shape in traced.call.outputs] == [
        *("batch", "batch seq", "batch None", "seq", "seq", "batch height", "batch")
    ]
    assert traced.call.axes == {"batch": 2, "seq": 3, "height": 5}
    assert [operation.name for operation in traced.inputs] == [
        *("pair", "batch", "more", "rest", "named")
    ]
    assert sources(traced, traced.outputs) == [
        *("add", "pair", "named", "rest", "rest", "batch", "batch")  # one for each tensor
    ]


def packed(gru: nn.GRU, x: Tensor) -> tuple[PackedSequence, Tensor]:
    result: tuple[PackedSequence, Tensor] = gru(pack_padded_sequence(x, torch.tensor([3, 1])))
    return result


def test_packed_sequences() -> None:
    gru = trace(Free(packed, nn.GRU(IN, HIDDEN)), z(3, 2, IN)).call.calls[0]
    assert sizes(gru.inputs) == [(4, IN)]
    assert sizes(gru.outputs) == [(4, HIDDEN), (1, 2, HIDDEN)]


def test_a_shared_module_is_called_twice() -> None:
    traced = trace(shared(), z(2, 4))
    assert [call.path for call in traced.call.calls] == ["0", "1", "0"]
    siamese = trace(Free(lambda e, a, b: e(a) - e(b), nn.Linear(4, 3)), z(2, 4), z(5, 4)[:2])
    assert [call.times for call in siamese.call.calls] == [1, 1]


def test_results_that_are_not_tensors() -> None:
    assert trace(Free(lambda x: None), z(2)).call.outputs == ()
    assert sizes(trace(Free(lambda x: (x.shape[0], "a", [x])), z(2)).call.outputs) == [(2,)]


def test_huge_models_on_the_meta_device() -> None:
    with torch.device("meta"):
        model = nn.Sequential(*[nn.Linear(100_000, 100_000, bias=False) for _ in range(3)])
    traced = trace(model, torch.zeros(2, 100_000, device="meta"))
    assert (traced.parameters, traced.macs) == (3 * 10**10, 6 * 10**10)


@pytest.mark.parametrize("device", ["cpu", "meta"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
def test_views_share_memory(device: str, mode: Callable[[], Any]) -> None:
    """We rely on a private function of torch that says which tensors share memory."""
    with mode():
        x = z(2, 4, 3).to(device)
        for view in (x, x[0], x.flatten(1), x.mT, x.expand(7, 2, 4, 3), x.chunk(2)[0], x.relu_()):
            assert shares_memory(view, [z(2), x])
        layer = nn.Linear(3, 5, device=device)
        for other in (x + 1, x.clone(), layer(x)):
            assert not shares_memory(other, [x, *layer.parameters()])


def test_the_flop_counter_calls_no_functions_of_its_own() -> None:
    """We rely on a private attribute of torch's flop counter that tracks modules."""
    layer = nn.Linear(3, 2)
    x = z(4, 3).requires_grad_()
    assert [o.name for o in trace(nn.Sequential(layer), x).call.operations()] == ["linear"]
    assert isinstance(flop_counter().mod_tracker, contextlib.nullcontext)


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (lambda x: 1 - x, "sub"),
        (lambda x: 1 / x, "truediv"),
        (lambda x: x @ x, "matmul"),
        (lambda x: 3 // x, "floordiv"),
        (lambda x: 3 % x, "mod"),
        (lambda x: torch.ops.aten.mul.Tensor(x, x), "mul"),
        (lambda x: x.T, "T"),
    ],
)
def test_operations_are_named_after_functions(
    function: Callable[[Tensor], Tensor], name: str
) -> None:
    (operation,) = trace(Free(function), torch.ones(2, 2)).call.operations()
    assert operation.name == name
