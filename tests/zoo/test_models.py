"""What holds for every registered model."""

import inspect
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from shapezoo import ShapeError, create_model, list_models, model_info, models, signature, weights
from shapezoo.contracts import Signature, TensorType, Type
from shapezoo.contracts.types import tensors
from shapezoo.registry import Entry, entries
from shapezoo.train import choose_device


def example(contract: Signature, sizes: Sequence[int] = range(2, 20)) -> list[Tensor]:
    """Random tensors for the required arguments; each axis name has a size of its own."""
    size = dict(zip(contract.axes, sizes, strict=False))
    tensors = []
    for argument in contract.inputs:
        if argument.is_required:
            assert isinstance(argument.type, TensorType)
            shape = [axis.fixed or size[axis.name or ""] for axis in argument.type.axes]
            if argument.type.dtype == "Float":
                tensors.append(torch.randn(shape))
            elif argument.name == "lengths":
                tensors.append(torch.randint(1, size["seq"] + 1, shape))
            else:  # indices, small enough for any vocabulary
                tensors.append(torch.randint(2, shape))
    return tensors


def batch_axis(kind: Type) -> int:
    assert isinstance(kind, TensorType)
    return [axis.name for axis in kind.axes].index("batch")


def leaves(output: object) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [output]
    assert isinstance(output, tuple)
    return [leaf for part in output for leaf in leaves(part)]


@pytest.mark.parametrize("name", list_models())
def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    model = create_model(name)
    outputs = leaves(model(*example(signature(model))))
    torch.autograd.backward([output.square().sum() for output in outputs])
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("name", list_models())
@settings(max_examples=20)
@given(sizes=st.lists(st.integers(1, 5), min_size=10, max_size=10))
def test_every_size_that_the_contract_allows_is_taken(name: str, sizes: list[int]) -> None:
    model = create_model(name)
    model(*example(signature(model), sizes))  # its own check compares the result


@pytest.mark.parametrize("name", list_models())
def test_every_fixed_size_is_enforced_and_so_is_the_number_of_axes(name: str) -> None:
    model = create_model(name)
    contract = signature(model)
    for argument, (position, tensor) in zip(
        contract.inputs, enumerate(example(contract)), strict=False
    ):
        assert isinstance(argument.type, TensorType)
        inputs = example(contract)
        inputs[position] = tensor[None]
        with pytest.raises(ShapeError) as error:
            model(*inputs)
        assert error.value.argument == argument.name
        for axis, part in enumerate(argument.type.axes):
            if part.fixed is not None:
                inputs = example(contract)
                inputs[position] = torch.cat([tensor, tensor.narrow(axis, 0, 1)], axis)
                with pytest.raises(ShapeError) as error:
                    model(*inputs)
                assert (error.value.argument, error.value.axis) == (argument.name, axis)


@pytest.mark.parametrize("name", list_models())
def test_an_example_does_not_depend_on_its_batch_mates(name: str) -> None:
    model = create_model(name).double().eval()
    contract = signature(model)
    together = [x.double() if x.is_floating_point() else x for x in example(contract)]
    alone = [
        x.narrow(batch_axis(argument.type), 0, 1)
        for argument, x in zip(contract.inputs, together, strict=False)
    ]
    kinds = tensors(contract.output)
    for kind, all_, one in zip(kinds, leaves(model(*together)), leaves(model(*alone)), strict=True):
        torch.testing.assert_close(all_.narrow(batch_axis(kind), 0, 1), one)


@pytest.mark.parametrize("device", sorted({"meta", str(choose_device())} - {"cpu"}))
@pytest.mark.parametrize("name", list_models())
def test_a_model_computes_where_it_is(name: str, device: str) -> None:
    """Like an accelerator, the meta device refuses to mix its tensors with others."""
    model = create_model(name, device=device)
    contract = signature(model)
    inputs = [
        tensor if argument.name == "lengths" else tensor.to(device)
        for argument, tensor in zip(contract.inputs, example(contract), strict=False)
    ]
    for output in leaves(model(*inputs)):
        assert output.device.type == torch.device(device).type


@pytest.mark.parametrize("name", list_models())
def test_weights_survive_a_file(name: str, tmp_path: Path) -> None:
    model = create_model(name).eval()
    weights.save(model, tmp_path / "weights.safetensors")
    twin = create_model(name, weights=tmp_path / "weights.safetensors").eval()
    inputs = example(signature(model))
    for output, copy in zip(leaves(model(*inputs)), leaves(twin(*inputs)), strict=True):
        assert torch.equal(output, copy)


@pytest.mark.parametrize("name", list_models())
def test_information_is_true(name: str) -> None:
    info, model = model_info(name), create_model(name)
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert info.signature == signature(model)
    assert info.summary.endswith(".")
    assert info.paper
    assert create_model(name, **info.hyperparameters)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_builders_and_classes_can_be_imported_by_name(entry: Entry) -> None:
    name = entry.name
    assert getattr(models, name).__name__ == name
    assert name in models.__all__
    assert type(create_model(name)).__name__ in models.__all__


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_hyperparameters_are_keywords_with_simple_defaults(entry: Entry) -> None:
    builder = entry.builder
    for keyword in inspect.signature(builder).parameters.values():
        assert keyword.kind is keyword.KEYWORD_ONLY
        values = keyword.default if isinstance(keyword.default, tuple) else (keyword.default,)
        assert all(isinstance(value, bool | int | float | str | None) for value in values)
        assert f"    {keyword.name}: " in (inspect.getdoc(builder) or "")
