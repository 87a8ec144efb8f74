from pathlib import Path
from typing import Any

import pytest
import torch

from shapezoo import UnknownModelError, create_model, list_models, model_info, weights
from shapezoo.models import LeNet, lenet, resnet18
from shapezoo.registry import register


def test_names_are_sorted_and_matched_like_files() -> None:
    assert list_models() == sorted(list_models())
    assert list_models("l?net") == ["lenet"]
    assert list_models("L*") == []


def test_several_patterns_are_alternatives() -> None:
    assert list_models(["lenet*", "gru", "le*"]) == ["gru", "lenet", "lenet_small"]
    assert list_models(iter(("gru", "lenet"))) == ["gru", "lenet"]
    assert list_models([]) == []
    assert list_models(("resnet*", "lenet*"), published=False) == [
        "lenet",
        "lenet_small",
        "resnet_micro",
        "resnet_small",
    ]


def test_models_are_found_by_task_and_by_what_they_accept() -> None:
    assert "gru" in list_models(task="sequence-encoding")
    assert "lenet" not in list_models(task="sequence-encoding")
    assert "lenet" in list_models(accepts=(None, 1, 28, 28))
    assert "gru" in list_models(accepts=(7, None, 4))
    assert list_models(accepts=(None, 1, 27, 28)) == []


def test_a_model_is_built_with_its_hyperparameters() -> None:
    model = create_model("lenet", in_channels=3, num_classes=5)
    assert isinstance(model, LeNet)
    assert model(torch.zeros(2, 3, 28, 28)).shape == (2, 5)


def test_a_model_is_built_with_weights_from_a_file(tmp_path: Path) -> None:
    model = lenet()
    weights.save(model, tmp_path / "w.safetensors")
    twin = create_model("lenet", weights=tmp_path / "w.safetensors")
    assert torch.equal(twin.state_dict()["classifier.weight"], model.classifier.weight)


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(UnknownModelError, match=r"'lent'; did you mean 'lenet'"):
        create_model("lent")
    with pytest.raises(UnknownModelError, match=r"'zzzzz'; see list_models\(\)"):
        model_info("zzzzz")


def test_an_unknown_hyperparameter_gets_those_that_exist() -> None:
    accepted = r"model 'lenet' \(accepts in_channels, num_classes\); did you mean 'num_classes'\?$"
    with pytest.raises(TypeError, match=f"^unexpected argument 'classes' for {accepted}"):
        create_model("lenet", classes=3)


def test_who_asks_for_weights_as_elsewhere_is_told_how_to_get_them() -> None:
    accepted = r"\(accepts in_channels, num_classes\)"
    hint = r"\(accepts .*\); for published weights, pass weights='DEFAULT'$"
    with pytest.raises(TypeError, match=f"'pretrained' for model 'resnet18' {hint}"):
        create_model("resnet18", pretrained=True)
    with pytest.raises(TypeError, match=f"'pretrained' for model 'lenet' {accepted}$"):
        create_model("lenet", pretrained=True)  # nobody publishes any


@pytest.mark.parametrize("keyword", ["pretrained", "weights"])
def test_a_builder_says_what_gives_published_weights(keyword: str) -> None:
    builder: Any = resnet18
    with pytest.raises(
        TypeError, match=r"use shapezoo\.create_model\('resnet18', weights='DEFAULT"
    ):
        builder(**{keyword: True})
    builder = lenet
    with pytest.raises(TypeError, match="unexpected keyword argument"):
        builder(**{keyword: True})


def test_what_is_known_of_lenet() -> None:
    info = model_info("lenet")
    assert info.parameters == (25 + 1) * 10 + (250 + 1) * 20 + (320 + 1) * 10
    assert info.hyperparameters == {"in_channels": 1, "num_classes": 10}
    assert info.task == "image-classification"
    assert "1998" in info.paper


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("lenet", "one program for all sizes"),
        ("gru", "one program for each seq"),
        ("name_classifier", "not possible"),
        (
            "resnet18",
            "one program for all sizes, except those that reduce a map to one row or column",
        ),
    ],
)
def test_what_can_be_exported(name: str, words: str) -> None:
    info = model_info(name)
    assert info.export == words
    assert f"\n  export      {words}\n" in str(info)


def test_a_name_can_be_taken_only_once() -> None:
    with pytest.raises(ValueError, match=r"shapezoo\.models.*already registered a model 'lenet'"):
        register(task="image-classification", paper="")(lenet)
