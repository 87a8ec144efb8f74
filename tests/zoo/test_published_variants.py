"""Published weights are loaded into models with other strides, dropout and auxiliary classifiers.

Files with random weights lie in torch.hub's cache under the right names; nothing is downloaded.
"""

import inspect
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.zoo.subjects import shell
from torch import Tensor, nn

from shapezoo import create_model, list_models, model_info
from shapezoo.layers import StochasticDepth
from shapezoo.models import Backbone
from shapezoo.weights import WeightsError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def publish(name: str) -> dict[str, Tensor]:
    """Put a file of random weights where the default weights of a model would be."""
    weights = next(weights for weights in model_info(name).weights if weights.is_default)
    tensors = {
        key: torch.rand(tensor.shape).to(tensor.dtype)
        for key, tensor in shell(name).state_dict().items()
    }
    weights.file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(tensors, weights.file)
    return tensors


def assert_loaded(published: dict[str, Tensor], name: str, **hyperparameters: Any) -> set[str]:
    """What the model has is what was published; returns the keys that were left out."""
    loaded = create_model(name, weights="DEFAULT", **hyperparameters).state_dict()
    assert all(torch.equal(tensor, published[key]) for key, tensor in loaded.items())
    return published.keys() - loaded.keys()


@pytest.mark.parametrize("strides", [(4, 8, 8, 8), [4, 4, 4, 4], (2, 4, 8, 16), (2, 4, 4, 8)])
def test_strides_with_the_same_stem_take_published_weights(strides: Any) -> None:
    assert assert_loaded(publish("resnet18"), "resnet18", strides=strides) == set()


@pytest.mark.parametrize("in_channels", [1, 3])
def test_a_stem_for_small_images_takes_no_published_weights(in_channels: int) -> None:
    publish("resnet18")
    with pytest.raises(
        WeightsError,
        match=r"does not fit ResNet: strides=\(1, 2, 4, 8\) make the first convolution "
        r"3x3, but that of the weights is 7x7; pass strides that begin with 2 or 4",
    ):
        create_model("resnet18", weights="DEFAULT", strides=(1, 2, 4, 8), in_channels=in_channels)


@pytest.mark.slow
def test_weights_of_auxiliary_classifiers_are_left_out() -> None:
    for name, prefixes in {"googlenet": {"aux1", "aux2"}, "inception_v3": {"AuxLogits"}}.items():
        left_out = assert_loaded(publish(name), name, aux_logits=False, dropout=0.0)
        assert {key.partition(".")[0] for key in left_out} == prefixes


@pytest.mark.slow
def test_only_weights_of_auxiliary_classifiers_are_left_out() -> None:
    published = publish("googlenet")
    (weights,) = model_info("googlenet").weights
    torch.save({**published, "aux3.fc1.weight": torch.zeros(1)}, weights.file)
    with pytest.raises(WeightsError, match=r"aux3\.fc1\.weight: in the file, not in the model"):
        create_model("googlenet", weights="DEFAULT", aux_logits=False)
    del published["fc.weight"]
    torch.save(published, weights.file)
    with pytest.raises(WeightsError, match=r"fc\.weight: in the model, not in the file"):
        create_model("googlenet", weights="DEFAULT", aux_logits=False)


OPTIONS = {"dropout", "stochastic_depth", "aux_logits", "strides"}
"""Hyper-parameters that mean the same in every family, and change no shape of a result."""


def test_builders_have_the_options_of_their_class() -> None:
    with_options = set()
    for name in list_models():
        of_class = inspect.signature(type(shell(name))).parameters
        of_builder = model_info(name).hyperparameters
        for option in OPTIONS & of_class.keys():
            assert option in of_builder, f"{name} has no keyword {option}"
            with_options.add(option)
    assert with_options == OPTIONS


def test_a_rate_reaches_the_layers() -> None:
    layers: dict[str, Any] = {"dropout": nn.Dropout, "stochastic_depth": StochasticDepth}
    for name in list_models(published=False):
        for option in layers.keys() & model_info(name).hyperparameters:
            if isinstance(shell(name), Backbone):  # others begin without a layer to drop from
                keywords: dict[str, Any] = {option: 0.35}
                model = create_model(name, **keywords)
                found = [m for m in model.named_modules() if isinstance(m[1], layers[option])]
                rates = [module.p for path, module in found if not path.startswith("aux")]
                # some families give it to a block after the last one, so none has all of it
                least = 0.35 if option == "dropout" else 0.2
                assert least <= max(rates) < 0.35 + 1e-9, name
