"""What holds for every registered model."""

import inspect
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings

from shapezoo import create_model, list_models, model_info, models, signature, weights
from shapezoo._containers import tensors_of
from shapezoo.registry import Entry, entries
from shapezoo.testing import Call, inputs
from shapezoo.train import choose_device

SMALL = list_models(published=False)


@pytest.mark.parametrize("device", sorted({"meta", str(choose_device())} - {"cpu"}))
@pytest.mark.parametrize("name", SMALL)
def test_a_model_computes_where_it_is(name: str, device: str) -> None:
    """Like an accelerator, the meta device refuses to mix its tensors with others."""
    model = create_model(name, device=device)

    @settings(max_examples=5)
    @given(inputs(model))
    def check(call: Call) -> None:
        for output in tensors_of(call()):
            assert output.device.type == torch.device(device).type

    check()


@pytest.mark.parametrize("name", SMALL)
def test_weights_survive_a_file(name: str, tmp_path: Path) -> None:
    model = create_model(name).eval()
    weights.save(model, tmp_path / "weights.safetensors")
    twin = create_model(name, weights=tmp_path / "weights.safetensors").eval()

    @settings(max_examples=3)
    @given(inputs(model))
    def check(call: Call) -> None:
        for output, copy in zip(
            tensors_of(call()), tensors_of(twin(*call.args, **call.kwargs)), strict=True
        ):
            assert torch.equal(output, copy)

    check()


@pytest.mark.parametrize("name", list_models())
def test_information_is_true(name: str) -> None:
    info = model_info(name)
    with torch.device("meta"):
        model = create_model(name)
    assert info.parameters == sum(parameter.numel() for parameter in model.parameters())
    assert info.signature == signature(model)
    assert info.summary.endswith(".")
    assert info.paper
    with torch.device("meta"):
        assert str(create_model(name, **info.hyperparameters)) == str(model)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_builders_and_classes_can_be_imported_by_name(entry: Entry) -> None:
    name = entry.name
    assert getattr(models, name).__name__ == name
    assert name in models.__all__
    with torch.device("meta"):
        assert type(create_model(name)).__name__ in models.__all__


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_hyperparameters_are_keywords_with_simple_defaults(entry: Entry) -> None:
    builder = entry.builder
    for keyword in inspect.signature(builder).parameters.values():
        assert keyword.kind is keyword.KEYWORD_ONLY
        values = keyword.default if isinstance(keyword.default, tuple) else (keyword.default,)
        assert all(isinstance(value, bool | int | float | str | None) for value in values)
        assert f"    {keyword.name}: " in (inspect.getdoc(builder) or "")
