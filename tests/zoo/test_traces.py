"""Every registered model can be traced, for all sizes and with inputs, and both agree."""

import functools
import itertools
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from shapezoo import Trace, create_model, list_models, model_info, signature, trace
from shapezoo.contracts import Signature, TensorType, UnionType
from shapezoo.contracts.examples.arguments import example_arguments, free_axes
from shapezoo.contracts.language.types import tensors
from shapezoo.tracing import Flow, Operation
from shapezoo.verdicts import verdicts

pytestmark = pytest.mark.slow

NAMES = list_models(published=False)
SIZES, FEW_SIZES = (3, 5, 4), (2, 3, 2)


@functools.cache
def symbolic(name: str) -> Trace:
    return trace(create_model(name))


def some_sizes(name: str) -> dict[str, int]:
    """Small sizes that the model takes, for which the expressions hold."""
    axes = free_axes(signature(create_model(name)))
    multiples, limits = symbolic(name).multiples, verdicts(name)["train"].preconditions
    numbers = FEW_SIZES if max(multiples.values(), default=1) > 128 else SIZES
    for more in itertools.count():
        sizes = {
            axis: (number if axis == "batch" else number + more) * multiples.get(axis, 1)
            for axis, number in zip(axes, numbers, strict=False)
        }
        if all(condition.holds(sizes) for condition in limits):
            return sizes
    raise AssertionError


def real(name: str, sizes: Mapping[str, int], device: str = "cpu") -> Trace:
    model = create_model(name, device=device)
    args, kwargs = example_arguments(signature(model), sizes, device=device)
    return trace(model, *args, **kwargs)


def at(size: object, sizes: Mapping[str, int]) -> Any:
    """The value of a size of a symbolic trace."""
    return eval(size, {"__builtins__": {}}, dict(sizes)) if isinstance(size, str) else size


def records(traced: Trace, sizes: Mapping[str, int]) -> Iterator[tuple[object, ...]]:
    """What a trace says of each call and operation at these sizes."""
    for depth, call in traced.call.walk():
        shapes = [[at(size, sizes) for size in s.sizes] for s in (*call.inputs, *call.outputs)]
        counts = [at(n, sizes) for n in (call.macs, call.times)]
        yield depth, call.path, call.kind, shapes, call.parameters, counts
        for step in call.steps:
            if isinstance(step, Operation):
                flows = [(flow.source, flow.is_carried) for flow in step.inputs]
                yield step.id, step.name, flows, at(step.times, sizes)


@pytest.mark.parametrize("name", NAMES)
def test_expressions_are_what_a_run_records(name: str) -> None:
    sizes = some_sizes(name)
    expected = list(records(symbolic(name), sizes))
    for device in ("cpu", "meta"):
        traced = real(name, sizes, device)
        assert list(records(traced, {})) == expected
        assert traced.call.axes == sizes
    # on the CPU, lengths need not be copied to where the model is
    assert traced.activation_bytes == at(symbolic(name).activation_bytes, sizes)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_traced_whole(name: str) -> None:
    model = create_model(name)
    assert symbolic(name).parameters == model_info(name).parameters
    called = {call.path for _, call in symbolic(name).call.walk()}
    idle = [path for path, _ in model.named_modules() if path not in called]
    holders = (nn.ModuleList, nn.ModuleDict)
    assert [p for p in idle if not isinstance(model.get_submodule(p), holders)] == []
    for _, call in symbolic(name).call.walk():
        module = model.get_submodule(call.path)
        assert call.kind == type(module).__name__
        assert call.parameters == sum(parameter.numel() for parameter in module.parameters())


def leaves(value: object) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    assert isinstance(value, tuple)
    return [leaf for part in value for leaf in leaves(part)]


@pytest.mark.parametrize("name", NAMES)
def test_shapes_are_those_of_the_contract_and_of_the_results(name: str) -> None:
    model, sizes = create_model(name), some_sizes(name)
    args, kwargs = example_arguments(signature(model), sizes)
    outputs = real(name, sizes).call.outputs
    assert [s.sizes for s in outputs] == [tuple(t.shape) for t in leaves(model(*args, **kwargs))]
    kinds = given(signature(model), len(outputs))
    for shape, kind in zip(outputs, kinds, strict=True):
        assert shape.names == tuple(axis.name or axis.label for axis in kind.axes)
    for shape, kind in zip(symbolic(name).call.outputs, kinds, strict=True):
        assert shape.sizes == tuple(axis.name or axis.fixed for axis in kind.axes)


def given(contract: Signature, count: int) -> list[TensorType]:
    """What a contract says of so many results: of a union, one part does."""
    output = contract.output
    parts = output.parts if isinstance(output, UnionType) else (output,)
    (found,) = [kinds for kinds in (list(tensors(part)) for part in parts) if len(kinds) == count]
    return found


def seen_by_hooks(model: nn.Module, sizes: Mapping[str, int]) -> dict[str, list[torch.Size]]:
    """The shapes of single results of each module, by hooks of our own."""
    seen: dict[str, list[torch.Size]] = {}

    def look(path: str) -> Any:
        def hook(module: nn.Module, args: object, result: object) -> None:
            if isinstance(result, Tensor):
                seen.setdefault(path, []).append(result.shape)

        return hook

    for path, module in model.named_modules():
        module.register_forward_hook(look(path))
    args, kwargs = example_arguments(signature(model), sizes)
    model(*args, **kwargs)
    return seen


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_gives_what_hooks_see(name: str) -> None:
    sizes = some_sizes(name)
    recorded: dict[str, list[Any]] = {}
    for _, call in real(name, sizes).call.walk():
        if len(call.outputs) == 1:
            shapes = recorded.setdefault(call.path, [])
            shapes += [call.outputs[0].sizes] * int(call.times)
    assert recorded == seen_by_hooks(create_model(name), sizes)


def from_nowhere(traced: Trace) -> list[Flow]:
    """Flows that nothing before them, or before them in an earlier round, gives."""
    operations = [*traced.inputs, *traced.call.operations()]
    order = {operation.id: position for position, operation in enumerate(operations)}
    assert len(order) == len(operations)
    wrong = [
        flow
        for position, operation in enumerate(operations)
        for flow in operation.inputs
        if flow.source not in order or (order[flow.source] >= position and not flow.is_carried)
    ]
    return [*wrong, *(flow for flow in traced.outputs if flow.source not in order)]


@pytest.mark.parametrize("name", NAMES)
def test_tensors_come_from_somewhere(name: str) -> None:
    for traced in (symbolic(name), real(name, some_sizes(name))):
        assert from_nowhere(traced) == []
        given = {operation.id for operation in traced.inputs}
        assert given <= {flow.source for o in traced.call.operations() for flow in o.inputs}
        assert len(traced.outputs) == len(set(traced.outputs)) >= 1
