"""Models that fail while they are traced; models are left unchanged."""

import pickle
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import ContractError, Module, ShapeError, TraceError, create_model, trace
from shapezoo.tracing import Call, SizesError


def z(*shape: int) -> Tensor:
    return torch.zeros(shape)


def statuses(call: Call) -> dict[str, bool]:
    return {call.path: call.has_failed for _, call in call.walk()}


def failure(model: nn.Module, *inputs: Any, **keywords: Any) -> TraceError:
    with pytest.raises(TraceError) as caught:
        trace(model, *inputs, **keywords)
    return caught.value


def wrong_inside() -> nn.Module:
    inner = nn.Sequential(nn.ReLU(), nn.Linear(5, 6), nn.Tanh())
    return nn.Sequential(nn.Linear(3, 4), inner, nn.ReLU())


def test_the_error_names_the_layer_and_its_inputs() -> None:
    error = failure(wrong_inside(), z(2, 3))
    cause = error.__cause__
    assert type(cause) is RuntimeError
    first, second, *table = str(error).splitlines()
    assert first == "Sequential failed in 1.1 (Linear), which got 2 4"
    assert second.strip() == f"RuntimeError: {cause}"
    assert "0: ReLU" in table[-2]
    assert "failed" in table[-1]
    assert len(table) <= 2 + 8


def test_the_trace_up_to_there_is_kept() -> None:
    traced = failure(wrong_inside(), z(2, 3)).trace
    assert statuses(traced.call) == {
        "": True,
        "0": False,
        "1": True,
        "1.0": False,
        "1.1": True,
    }
    assert not traced.call.outputs
    assert not traced.outputs
    assert traced.call.calls[0].outputs[0].sizes == (2, 4)
    assert traced.call.calls[1].calls[1].inputs[0].sizes == (2, 4)
    assert traced.macs == 2 * 3 * 4


def test_an_error_can_be_pickled() -> None:
    error = failure(wrong_inside(), z(2, 3))
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is TraceError
    assert str(copy) == str(error)
    assert copy.trace == error.trace


class Free(nn.Module):
    """A function over layers, without a contract."""

    def __init__(self, function: Callable[..., Any], *layers: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.layers = nn.ModuleList(layers)

    def forward(self, *args: Any) -> Any:
        return self.function(*self.layers, *args)


def test_a_failure_between_layers_is_that_of_the_model() -> None:
    error = failure(Free(lambda f, x: f(x) @ x, nn.Linear(3, 4)), z(2, 3))
    assert str(error).startswith("Free failed, called with 2 3\n  RuntimeError: ")
    assert statuses(error.trace.call) == {"": True, "layers.0": False}


def test_wrong_arguments() -> None:
    error = failure(nn.Linear(3, 4), z(2, 3), z(2))
    assert isinstance(error.__cause__, TypeError)
    assert str(error).startswith("Linear failed, called with 2 3, 2\n")
    assert str(failure(Free(lambda x: x + z(3)), 1, z(2))).startswith(
        "Free failed, called with 2\n"
    )
    assert str(failure(Free(lambda x: x.no), 1)).startswith("Free failed, called with no tensor\n")


class Strict(Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.width = width

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch {self.width}"]:
        return x


def test_a_contract_may_be_what_fails() -> None:
    result = failure(nn.Sequential(nn.ReLU(), Strict(4)), z(2, 3))
    assert isinstance(result.__cause__, ShapeError)
    assert str(result).startswith("Sequential failed in 1 (Strict), which got batch=2 3\n")
    assert "ShapeError: " in str(result)
    argument = failure(Strict(3), z(2, 4))
    assert isinstance(argument.__cause__, ShapeError)
    assert argument.trace.call.inputs[0].sizes == (2, 4)


def one_or_the_other(bad: nn.Module, good: nn.Module, x: Tensor) -> Tensor:
    try:
        x = bad(x)
    except RuntimeError:
        x = good(x)
    return x * 2


def test_a_caught_error_ends_only_its_layer() -> None:
    traced = trace(Free(one_or_the_other, wrong_inside(), nn.Linear(3, 2)), z(5, 3))
    bad, good = traced.call.calls
    assert [bad.path, good.path] == ["layers.0", "layers.1"]
    assert [bad.has_failed, good.has_failed, traced.call.has_failed] == [True, False, False]
    assert (bad.macs, good.macs, traced.macs) == (60, 30, 90)
    assert traced.outputs[0].shape.sizes == (5, 2)


def test_an_error_after_one_that_was_caught() -> None:
    layers = nn.Linear(9, 2), nn.Linear(3, 2)
    error = failure(Free(lambda f, g, x: one_or_the_other(f, g, x) @ x, *layers), z(5, 3))
    assert str(error).startswith("Free failed, called with 5 3\n")
    assert statuses(error.trace.call) == {"": True, "layers.0": True, "layers.1": False}


def test_inputs_and_sizes_exclude_each_other() -> None:
    with pytest.raises(SizesError, match=r"^sizes \{'batch': 2\} are for a trace without inputs$"):
        trace(Strict(3), z(2, 3), sizes={"batch": 2})


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"seq": 2}, "^the contract has no axis 'seq' of free size; it has: batch$"),
        ({"channels": 1}, "'channels'"),
        ({"batch": 0}, "^the size of axis 'batch' must be 1 or more, got 0$"),
    ],
)
def test_sizes_must_be_those_of_axes(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(SizesError, match=message):
        trace(create_model("lenet"), sizes=sizes)


class Bare(nn.Module):
    def forward(self, x):  # type: ignore[no-untyped-def]  # the fault under test
        return x


@pytest.mark.parametrize("model", [nn.GRU(3, 2), nn.Linear(3, 2), Bare()])
def test_a_model_without_shapes_needs_inputs(model: nn.Module) -> None:
    with pytest.raises(ContractError, match=r"give inputs: trace\(model, \.\.\.\)"):
        trace(model)
    assert trace(model, z(2, 3)).call.outputs[0].sizes[0] == 2


def test_models_that_cannot_be_looked_into() -> None:
    with pytest.raises(TypeError, match=r"0 \(LazyLinear\) has no parameters yet"):
        trace(nn.Sequential(nn.LazyLinear(3)), z(2, 3))


class Everything(Module):
    """Changes statistics, buffers, random numbers and state in a call."""

    count: Tensor

    def __init__(self, *, is_wrong: bool = False) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)
        self.rest = nn.Sequential(nn.Dropout(), nn.ReLU(True), nn.Linear(1, 2))
        self.register_buffer("count", torch.zeros((), dtype=torch.int64), persistent=False)
        self.is_wrong = is_wrong

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 4 2"]:
        self.count += 1
        features = self.norm(self.conv(images)) + torch.randn(())
        pooled = features.mean((2, 3))[..., None]
        result: Tensor = self.rest(pooled.squeeze(2) if self.is_wrong else pooled)
        return result


def picture(model: nn.Module) -> list[Any]:
    """Return everything that a trace could change."""
    modules = list(model.modules())
    tensors = [*model.named_parameters(), *model.named_buffers()]
    return [
        [(name, id(t), t.tolist(), t.requires_grad, t.grad is None) for name, t in tensors],
        [p.grad.tolist() for p in model.parameters() if p.grad is not None],
        [(m.training, list(m._forward_hooks), list(m._forward_pre_hooks)) for m in modules],
        torch.get_rng_state().tolist(),
        torch.is_grad_enabled(),
    ]


def test_a_line_of_code_without_a_file_is_named() -> None:
    names: dict[str, Any] = {"nn": nn}
    code = "class Typed(nn.Module):\n    def forward(self, x):\n        return x.view(7)\n"
    exec(code, names)
    assert "at: <string>:3" in str(failure(names["Typed"](), torch.zeros(2, 3)))


def everything(*, is_wrong: bool) -> Everything:
    model = Everything(is_wrong=False)
    model(torch.randn(2, 3, 5, 5)).sum().backward()  # type: ignore[no-untyped-call]  # torch's
    model.rest[2].bias.requires_grad_(False)
    model.norm.eval().register_forward_hook(lambda module, args, result: None)
    model.conv.register_forward_pre_hook(lambda module, args: None)
    model.is_wrong = is_wrong
    return model


@pytest.mark.parametrize("is_wrong", [False, True])
@pytest.mark.parametrize("inputs", [(), (torch.ones(2, 3, 5, 5, requires_grad=True),)])
def test_a_model_is_left_as_it_was(is_wrong: bool, inputs: tuple[Tensor, ...]) -> None:
    model = everything(is_wrong=is_wrong)
    twin = deepcopy(model)
    before = picture(model)
    if is_wrong:
        failure(model, *inputs)
    else:
        trace(model, *inputs)
    assert picture(model) == before
    model.is_wrong = twin.is_wrong = False
    torch.manual_seed(1)
    expected = twin(torch.ones(2, 3, 5, 5))
    torch.manual_seed(1)
    assert torch.equal(model(torch.ones(2, 3, 5, 5)), expected)
    assert picture(model) != before  # the picture shows what a run changes


def test_only_the_model_itself_is_recorded() -> None:
    """Torch's flop counter would call functions on inputs that require gradients."""
    traced = trace(nn.Sequential(nn.Linear(3, 2)), z(2, 3).requires_grad_())
    assert traced == trace(nn.Sequential(nn.Linear(3, 2)), z(2, 3))


def test_a_recurrent_module_keeps_its_flat_weights() -> None:
    model = create_model("gru")
    x = torch.randn(5, 2, 4)
    before = model(x)[0]
    trace(model)
    assert torch.equal(model(x)[0], before)


def test_hooks_of_the_user_run() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    seen: list[str] = []
    model[0].register_forward_pre_hook(lambda module, args: seen.append("before"))
    model[0].register_forward_hook(lambda module, args, result: torch.cat([result, result]))
    traced = trace(model, z(2, 3))
    assert seen == ["before"]
    assert traced.call.outputs[0].sizes == (4, 2)
    assert traced.call.calls[0].outputs[0].sizes == (4, 2)


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_compiled_models_are_traced_eagerly(is_wrapped: bool) -> None:
    graphs: list[object] = []

    def backend(graph: torch.fx.GraphModule, inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    model: Any = create_model("lenet")
    plain = trace(model, z(2, 1, 28, 28))
    if is_wrapped:
        model = torch.compile(model, backend=backend)
    else:
        model.compile(backend=backend)
    traced = trace(model, z(2, 1, 28, 28))
    assert graphs == []
    assert traced == plain
    assert trace(model).call.outputs[0].sizes == ("batch", 10)
    model(z(2, 1, 28, 28))
    assert len(graphs) == 1  # it is still compiled


def test_gradients_and_modes_around_do_not_matter() -> None:
    model, x = nn.Linear(3, 4), z(2, 3)
    plain = trace(model, x)
    with torch.no_grad():
        assert trace(model, x) == plain
        assert not torch.is_grad_enabled()
    with torch.inference_mode():
        assert trace(model, x) == plain
        assert torch.is_inference_mode_enabled()
