"""Unusual models: threads, writes through views, attributes set in a call, errors."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo import ContractError, Module, TraceError, trace
from shapezoo.tracing import SizesError


class Free(nn.Module):
    """A function over layers, without a contract."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.function(*self.layers, *args, **kwargs)


def z(*shape: int) -> Tensor:
    return torch.zeros(shape)


def in_a_thread(function: Callable[[], object]) -> None:
    thread = threading.Thread(target=function)
    thread.start()
    thread.join()


def test_other_threads_are_not_recorded() -> None:
    def both(one: nn.Module, two: nn.Module, x: Tensor) -> Tensor:
        in_a_thread(lambda: two(x))
        result: Tensor = one(x)
        return result

    call = trace(Free(both, nn.Linear(3, 3), nn.Linear(3, 3)), z(2, 3)).call
    assert [inner.path for inner in call.calls] == ["layers.0"]


def test_the_error_names_where_it_was_raised() -> None:
    def careless(layer: nn.Module, x: Tensor) -> Tensor:
        with contextlib.suppress(RuntimeError):
            layer(x)
        raise ValueError("of its own")

    with pytest.raises(TraceError, match=r"^Free failed, called with 2 4") as error:
        trace(Free(careless, nn.Linear(3, 3)), z(2, 4))
    assert [call.has_failed for _, call in error.value.trace.call.walk()] == [True, True]


class Deep(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(*[nn.ReLU() for _ in range(9)])

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        return x[:, :6] * x[:, :5]


def test_the_error_names_operation_shapes_line_and_all_failed_layers() -> None:
    with pytest.raises(TraceError) as error:
        trace(nn.Sequential(nn.Identity(), Deep()), z(2, 8))
    first, cause, of, at, _, _, *rows = str(error.value).splitlines()
    assert first == "Sequential failed in 1 (Deep), which got 2 8"
    assert cause.startswith("  RuntimeError: The size of tensor a (6) must match")
    assert of == "  of: mul, which got 2 6, 2 5"
    assert at.startswith(f"  at: {__file__}:")
    assert [" failed " in row for row in rows] == [True, True, *[False] * 8]
    assert "Sequential" in rows[0]
    text = error.value.trace.to_mermaid(depth=2)
    assert '["mul"]:::failed' in text
    assert "  classDef failed" in text
    assert 'class="failed"' in error.value.trace.to_svg(depth=2)


class Positions(Module):
    """Keeps a tensor that it makes in its first call, as many models do."""

    def __init__(self) -> None:
        super().__init__()
        self.positions: Tensor | None = None
        self.calls = 0
        self.seen: list[Tensor] = []
        self.cache: dict[str, Tensor] = {}
        self.register_buffer("mask", None)
        self.mask: Tensor | None

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        if self.positions is None or len(self.positions) != x.shape[1]:
            self.positions = torch.arange(x.shape[1], device=x.device)
        if self.mask is None:
            self.mask = torch.ones(1, device=x.device)
        self.cache["last"] = x
        self.seen.append(x)
        self.calls += 1
        return x + self.positions


def test_attributes_are_left_as_they_were() -> None:
    model = Positions()
    trace(model)
    trace(model, z(2, 3))
    assert (model.positions, model.calls, model.seen, model.cache) == (None, 0, [], {})
    assert (model.mask, list(model.buffers())) == (None, [])
    model(z(2, 3))
    assert model.calls == 1


def test_a_write_through_a_view_flows_into_its_base() -> None:
    def written(layer: nn.Module, x: Tensor) -> Tensor:
        outputs = torch.zeros(2, 3)
        outputs[0].copy_(layer(x))
        return outputs

    traced = trace(Free(written, nn.Linear(3, 3)), z(3))
    (copied,) = (o for o in traced.call.operations() if o.name == "copy_")
    assert [flow.source for flow in traced.outputs] == [copied.id]
    assert "layers.0" in traced.to_mermaid()


@pytest.mark.parametrize("depth", [None, 0, 1, 3])
def test_models_without_tensors_have_a_picture(depth: int | None) -> None:
    traced = trace(Free(lambda number: number + 1), 1)
    assert traced.to_mermaid(depth=depth) == 'flowchart TD\n  n0["Free"]\n'
    assert "</svg>" in traced.to_svg(depth=depth)
    assert "Free" in traced._repr_html_()


def test_a_picture_of_the_model_alone() -> None:
    text = trace(nn.Sequential(nn.Linear(3, 2), nn.ReLU()), z(4, 3)).to_mermaid(depth=0)
    assert text.splitlines()[1:4] == ['  n0(["input"])', '  n1["Sequential"]', '  n2(["output"])']


def test_depths_below_the_model_are_refused() -> None:
    traced = trace(nn.Linear(3, 2), z(4, 3))
    for show in (traced.to_text, traced.to_markdown, traced.to_mermaid, traced.to_svg):
        with pytest.raises(ValueError, match="depth must be 0, which is the model alone, or more"):
            show(depth=-1)


def test_nested_tensors_have_no_sizes() -> None:
    nested = torch.nested.nested_tensor([z(2, 3), z(4, 3)], layout=torch.jagged)
    traced = trace(Free(lambda x: x), nested)
    assert [shape.sizes for shape in traced.call.outputs] == [("?", "?", "?")]
    assert "? ? ?" in str(traced)


def test_the_same_code_twice_is_not_a_loop() -> None:
    traced = trace(Free(lambda q, k, v: q @ k @ v), z(3, 3), z(3, 3), z(3, 3))
    assert [step.times for step in traced.call.steps] == [1, 1]


def test_long_chains() -> None:
    def chain(x: Tensor) -> Tensor:
        for n in range(300):
            x = (x + 1).relu() if n % 2 else (x * 2).sin().cos()[: len(x)]
            x.sum()
        return x

    traced = trace(Free(chain), z(3))
    assert sum(int(o.times) for o in traced.call.operations()) == 150 * 3 + 150 * 5
    assert traced.to_mermaid().count("sum") == 0


@dataclass(frozen=True, kw_only=True)
class Pair:
    left: Float[Tensor, "batch"]
    right: Float[Tensor, "batch"]


class Sum(Module):
    def forward(self, pair: Pair) -> Float[Tensor, "batch"]:
        return pair.left + pair.right


class Loose(Module):
    def forward(self, x: Float[Tensor, "batch _"]) -> Float[Tensor, "batch"]:
        return x.sum(1)


class Many(Module):
    def forward(self, *xs: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        return torch.stack(xs).sum(0)


class Ragged(Module):
    def forward(
        self, x: Float[Tensor, "batch seq"], lengths: tuple[Int64[Tensor, "batch"], ...]
    ) -> Float[Tensor, "batch"]:
        return x.sum(1) + lengths[0]


@pytest.mark.parametrize("model", [Sum(), Many(), Ragged()])
def test_arguments_of_many_types_are_made(model: Module) -> None:
    assert trace(model).call.outputs[0].sizes[0] == "batch"


def test_an_axis_without_a_name_cannot_be_made() -> None:
    with pytest.raises(ContractError, match=r"size of axis '_' is not known\n.* give inputs"):
        trace(Loose())


class Repeated(Module):
    def forward(
        self, times: int, x: Float[Tensor, "batch seq"], *, is_long: bool = False
    ) -> Float[Tensor, "batch width={times*2}"]:
        return x[:, :1].expand(-1, 2 * times)


def test_keywords_without_tensors_go_with_symbolic_shapes() -> None:
    for traced in (trace(Repeated(), times=3), trace(Repeated(), times=3, is_long=True)):
        assert traced.call.inputs[0].sizes == ("batch", "seq")
        assert traced.call.outputs[0].sizes == ("batch", 6)
    with pytest.raises(ContractError, match="times: int"):
        trace(Repeated())


class Lookup(Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(16, 2)

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "seq features=2"]:
        embedded: Tensor = self.embedding(torch.arange(x.shape[1], device=x.device))
        return embedded


def test_with_all_sizes_the_model_runs_on_real_tensors() -> None:
    assert trace(Lookup(), sizes={"batch": 1, "seq": 16}).call.outputs[0].sizes == (16, 2)
    with pytest.raises(TraceError, match="IndexError"):
        trace(Lookup(), sizes={"batch": 1, "seq": 17})


class Shallow(Module):
    """Has as many layers as positions, up to thirty."""

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        for n in range(min(30, x.shape[1])):
            x = x.sin() if n % 2 else x.cos()
        return x


def test_expressions_that_hold_from_some_size_on_are_not_shown_for_all_sizes() -> None:
    assert trace(Shallow()).multiples["seq"] >= 30


@pytest.mark.parametrize(
    ("model", "sizes", "error", "message"),
    [
        (Sum, None, TypeError, "a builder has to be called first"),
        ("lenet", None, TypeError, "got 'lenet'"),
        (Sum(), 8, TypeError, "sizes must be a mapping"),
        (Sum(), {"batch": "8"}, SizesError, "must be 1 or more, got '8'"),
        (Sum(), {"batch": 2.5}, SizesError, "must be 1 or more, got 2"),
        (Sum(), {"batch": 0}, SizesError, "must be 1 or more, got 0"),
        (Sum(), {"batch": 10**20}, SizesError, "no tensors of these sizes"),
        (nn.DataParallel(nn.Linear(3, 2)), None, TypeError, "give its .module"),
    ],
)
def test_mistakes_raise_errors(
    model: Any, sizes: Any, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        trace(model, sizes=sizes)


def test_data_have_a_type_for_calls_and_operations() -> None:
    data = trace(nn.Sequential(nn.ReLU()), z(2)).to_dict()
    (inner,) = data["call"]["steps"]
    assert (data["call"]["type"], inner["type"], inner["steps"][0]["type"]) == (
        "call",
        "call",
        "operation",
    )


def test_numbers_are_rounded_to_the_next_prefix() -> None:
    model = Free(lambda x: x + 1)
    assert "1.00 MB" in str(trace(model, torch.zeros(999_999, dtype=torch.uint8)))
    assert "999 B" in str(trace(model, torch.zeros(999, dtype=torch.uint8)))
