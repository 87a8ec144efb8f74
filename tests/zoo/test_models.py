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
from shapezoo.contracts import Signature, TensorType
from shapezoo.contracts.types import tensors
from shapezoo.registry import Entry, entries


def example(contract: Signature, sizes: Sequence[int] = range(2, 20)) -> list[Tensor]:
    """Random tensors for the required arguments; each axis name has a size of its own."""
    required = [argument.type for argument in contract.inputs if argument.default is None]
    kinds = [kind for kind in required if isinstance(kind, TensorType)]
    assert len(kinds) == len(required)
    size = dict(zip(contract.axes, sizes, strict=False))
    shapes = [[a.fixed or size[a.name or ""] for a in kind.axes] for kind in kinds]
    return [torch.randn(shape) for shape in shapes]


def leaves(output: object) -> list[Tensor]:
    return [output] if isinstance(output, Tensor) else list(output)  # type: ignore[call-overload]  # a tuple


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
def test_every_fixed_size_is_enforced(name: str) -> None:
    model = create_model(name)
    contract = signature(model)
    spoiled = 0
    for argument, (position, tensor) in zip(
        contract.inputs, enumerate(example(contract)), strict=False
    ):
        assert isinstance(argument.type, TensorType)
        for axis, part in enumerate(argument.type.axes):
            if part.fixed is not None:
                inputs = example(contract)
                inputs[position] = torch.cat([tensor, tensor.narrow(axis, 0, 1)], axis)
                with pytest.raises(ShapeError) as error:
                    model(*inputs)
                assert (error.value.argument, error.value.axis) == (argument.name, axis)
                spoiled += 1
    assert spoiled


@pytest.mark.parametrize("name", list_models())
def test_an_example_does_not_depend_on_its_batch_mates(name: str) -> None:
    model = create_model(name).double().eval()
    contract = signature(model)
    (tensor,) = (given.double() for given in example(contract))
    kind = contract.inputs[0].type
    assert isinstance(kind, TensorType)
    place = [axis.name for axis in kind.axes].index("batch")
    (first, *_), (alone, *_) = leaves(model(tensor)), leaves(model(tensor.narrow(place, 0, 1)))
    out = next(tensors(contract.output))
    at = [axis.name for axis in out.axes].index("batch")
    torch.testing.assert_close(first.narrow(at, 0, 1), alone)


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
        assert isinstance(keyword.default, bool | int | float | str | None)
        assert f"    {keyword.name}: " in (inspect.getdoc(builder) or "")
