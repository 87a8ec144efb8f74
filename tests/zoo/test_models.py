"""What holds for every registered model."""

import inspect
from pathlib import Path

import pytest
import torch
from torch import Tensor

from shapezoo import create_model, list_models, model_info, models, signature, weights
from shapezoo.contracts import Signature, TensorType
from shapezoo.registry import Entry, entries


def example(contract: Signature) -> list[Tensor]:
    """Random tensors for the required arguments, with 2 for every size that is free."""
    required = [argument.type for argument in contract.inputs if argument.default is None]
    tensors = [kind for kind in required if isinstance(kind, TensorType)]
    assert len(tensors) == len(required)
    return [torch.randn([axis.size or 2 for axis in tensor.axes]) for tensor in tensors]


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
