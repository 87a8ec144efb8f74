"""Building the models of the zoo by name.

`create_model` has an overload for each class of models, so that type checkers know the class that a
name builds. `tools/overloads.py` writes the overloads from the registry; a test fails if they are
out of date.
"""

import inspect
from typing import Any, Literal, TypeAlias, overload

import torch

from shapezoo import models
from shapezoo._names import did_you_mean
from shapezoo.contracts import Module
from shapezoo.registry import Entry, entries
from shapezoo.weights.pretrained import build_pretrained
from shapezoo.weights.weights_argument import Weights


class UnknownModelError(LookupError):
    """No model has this name; the message suggests the nearest ones."""

    __module__ = "shapezoo"


# overloads: written by `python tools/overloads.py`
_Weights: TypeAlias = Weights | None
_Device: TypeAlias = torch.device | str | None
_AlexNet: TypeAlias = Literal["alexnet", "alexnet_micro"]
_ConvNeXt: TypeAlias = Literal[
    "convnext_base", "convnext_large", "convnext_micro", "convnext_small", "convnext_tiny"
]
_DenseNet: TypeAlias = Literal[
    "densenet121", "densenet161", "densenet169", "densenet201", "densenet_micro"
]
_EfficientNet: TypeAlias = Literal[
    "efficientnet_b0",
    "efficientnet_b1",
    "efficientnet_b2",
    "efficientnet_b3",
    "efficientnet_b4",
    "efficientnet_b5",
    "efficientnet_b6",
    "efficientnet_b7",
    "efficientnet_micro",
    "efficientnet_v2_l",
    "efficientnet_v2_m",
    "efficientnet_v2_micro",
    "efficientnet_v2_s",
]
_EmbeddingTagger: TypeAlias = Literal["character_rnn", "embedding_tagger"]
_FeatureClassifier: TypeAlias = Literal["conv_linear", "fourier_linear", "haar_linear"]
_Forecaster: TypeAlias = Literal["rnn_forecaster"]
_GRU: TypeAlias = Literal["gru"]
_GoogLeNet: TypeAlias = Literal["googlenet", "googlenet_micro"]
_InceptionV3: TypeAlias = Literal["inception_v3", "inception_v3_micro"]
_LSTM: TypeAlias = Literal["lstm"]
_LeNet: TypeAlias = Literal["lenet"]
_LinearRegression: TypeAlias = Literal["linear_regression"]
_LogisticRegression: TypeAlias = Literal["logistic_regression"]
_MLP: TypeAlias = Literal["mlp"]
_MaxViT: TypeAlias = Literal["maxvit_micro", "maxvit_t"]
_MnasNet: TypeAlias = Literal[
    "mnasnet0_5", "mnasnet0_75", "mnasnet1_0", "mnasnet1_3", "mnasnet_micro"
]
_MobileNetV2: TypeAlias = Literal["mobilenet_v2", "mobilenet_v2_micro"]
_MobileNetV3: TypeAlias = Literal["mobilenet_v3_large", "mobilenet_v3_micro", "mobilenet_v3_small"]
_NameClassifier: TypeAlias = Literal["name_classifier"]
_OneHotTagger: TypeAlias = Literal["onehot_cell_tagger", "onehot_tagger"]
_RNN: TypeAlias = Literal["rnn"]
_RegNet: TypeAlias = Literal[
    "regnet_micro",
    "regnet_x_16gf",
    "regnet_x_1_6gf",
    "regnet_x_32gf",
    "regnet_x_3_2gf",
    "regnet_x_400mf",
    "regnet_x_800mf",
    "regnet_x_8gf",
    "regnet_y_128gf",
    "regnet_y_16gf",
    "regnet_y_1_6gf",
    "regnet_y_32gf",
    "regnet_y_3_2gf",
    "regnet_y_400mf",
    "regnet_y_800mf",
    "regnet_y_8gf",
]
_ResNet: TypeAlias = Literal[
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet_micro",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "resnext50_32x4d",
    "wide_resnet101_2",
    "wide_resnet50_2",
]
_ShuffleNetV2: TypeAlias = Literal[
    "shufflenet_v2_micro",
    "shufflenet_v2_x0_5",
    "shufflenet_v2_x1_0",
    "shufflenet_v2_x1_5",
    "shufflenet_v2_x2_0",
]
_SmallInception: TypeAlias = Literal["inception_small"]
_SmallLeNet: TypeAlias = Literal["lenet_small"]
_SmallResNet: TypeAlias = Literal["resnet_small"]
_SoftmaxClassifier: TypeAlias = Literal["softmax_classifier"]
_SqueezeNet: TypeAlias = Literal[
    "squeezenet1_0", "squeezenet1_0_micro", "squeezenet1_1", "squeezenet1_1_micro"
]
_SteppedRNN: TypeAlias = Literal["stepped_rnn"]
_SwinTransformer: TypeAlias = Literal[
    "swin_b",
    "swin_micro",
    "swin_s",
    "swin_t",
    "swin_v2_b",
    "swin_v2_micro",
    "swin_v2_s",
    "swin_v2_t",
]
_VGG: TypeAlias = Literal[
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "vgg_bn_micro",
    "vgg_micro",
]
_VisionTransformer: TypeAlias = Literal[
    "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32", "vit_micro"
]


@overload
def create_model(
    name: _AlexNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.AlexNet: ...
@overload
def create_model(
    name: _ConvNeXt, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.ConvNeXt: ...
@overload
def create_model(
    name: _DenseNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.DenseNet: ...
@overload
def create_model(
    name: _EfficientNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.EfficientNet: ...
@overload
def create_model(
    name: _EmbeddingTagger,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.EmbeddingTagger: ...
@overload
def create_model(
    name: _FeatureClassifier,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.FeatureClassifier: ...
@overload
def create_model(
    name: _Forecaster, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.Forecaster: ...
@overload
def create_model(
    name: _GRU, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.GRU | models.BatchFirstGRU: ...
@overload
def create_model(
    name: _GoogLeNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.GoogLeNet: ...
@overload
def create_model(
    name: _InceptionV3, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.InceptionV3: ...
@overload
def create_model(
    name: _LSTM, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.LSTM | models.BatchFirstLSTM: ...
@overload
def create_model(
    name: _LeNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.LeNet: ...
@overload
def create_model(
    name: _LinearRegression,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.LinearRegression: ...
@overload
def create_model(
    name: _LogisticRegression,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.LogisticRegression: ...
@overload
def create_model(
    name: _MLP, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.MLP: ...
@overload
def create_model(
    name: _MaxViT, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.MaxViT: ...
@overload
def create_model(
    name: _MnasNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.MnasNet: ...
@overload
def create_model(
    name: _MobileNetV2, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.MobileNetV2: ...
@overload
def create_model(
    name: _MobileNetV3, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.MobileNetV3: ...
@overload
def create_model(
    name: _NameClassifier,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.NameClassifier: ...
@overload
def create_model(
    name: _OneHotTagger, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.OneHotTagger: ...
@overload
def create_model(
    name: _RNN, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.RNN | models.BatchFirstRNN: ...
@overload
def create_model(
    name: _RegNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.RegNet: ...
@overload
def create_model(
    name: _ResNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.ResNet: ...
@overload
def create_model(
    name: _ShuffleNetV2, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.ShuffleNetV2: ...
@overload
def create_model(
    name: _SmallInception,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.SmallInception: ...
@overload
def create_model(
    name: _SmallLeNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.SmallLeNet: ...
@overload
def create_model(
    name: _SmallResNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.SmallResNet: ...
@overload
def create_model(
    name: _SoftmaxClassifier,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.SoftmaxClassifier: ...
@overload
def create_model(
    name: _SqueezeNet, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.SqueezeNet: ...
@overload
def create_model(
    name: _SteppedRNN, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.SteppedRNN | models.BatchFirstSteppedRNN: ...
@overload
def create_model(
    name: _SwinTransformer,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.SwinTransformer: ...
@overload
def create_model(
    name: _VGG, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> models.VGG: ...
@overload
def create_model(
    name: _VisionTransformer,
    *,
    weights: _Weights = None,
    device: _Device = None,
    **hyperparameters: Any,
) -> models.VisionTransformer: ...
@overload
def create_model(
    name: str, *, weights: _Weights = None, device: _Device = None, **hyperparameters: Any
) -> Module: ...
# end of overloads
def create_model(
    name: str,
    *,
    weights: Weights | None = None,
    device: torch.device | str | None = None,
    **hyperparameters: Any,
) -> Module:
    """Build a model of the zoo.

    Args:
        name: The name of the model, one of `list_models`.
        weights: Published weights: their name, as ``model_info(name).weights`` lists them, or
            ``"DEFAULT"`` for the best of them; one of the `PublishedWeights` listed; or a member of
            torchvision's enum, such as ``ResNet18_Weights.DEFAULT``. Or the path of a file, as for
            `shapezoo.weights.load`; a string that could be a Python identifier is a name, so write
            ``"./name"`` for such a file. Without it the weights are random, drawn from torch's
            global generator.
        device: The device to move the model to; its random weights do not depend on it. Without
            it the model is on torch's default device.
        **hyperparameters: Keywords of the builder, as `model_info` lists them.

    Published weights are downloaded once, into the cache of `torch.hub`. Weights can be used with
    other hyper-parameters than they were made for:

    - If ``num_classes`` is given, and differs from that of the weights, the layers that score the
      classes are new, with random weights. This also holds for files of any model of the zoo,
      unless a recurrent layer scores the classes.

    For models with published weights, these and files with the same keys also fit these arguments:

    - If ``in_channels`` is given, the first convolution, which must read three channels, is
      adapted: one or two channels share the sum of its weights for red, green and blue; with more,
      the first is treated as red, the next as green, then blue, then red again, and those of one
      colour share its weight.
    - ``image_size`` is that of published weights unless it is given; position embeddings are
      interpolated. For a file of another size than the default it must be given.
    - With ``aux_logits=False`` the weights of auxiliary classifiers are ignored.

    To remove the layers that score the classes, pass the model to `shapezoo.models.Headless`.

    Raises:
        UnknownModelError: There is no such model.
        TypeError: The builder has no such keyword, or a value has the wrong type.
        ValueError: A size is less than 1, or a number is infinite or NaN.
        WeightsError: There are no such weights, they cannot be downloaded or read, or do not fit
            the model.

    Example:
        ```pycon
        >>> import torch
        >>> from shapezoo import create_model
        >>> model = create_model("lenet", num_classes=26)
        >>> model(torch.zeros(2, 1, 28, 28)).shape
        torch.Size([2, 26])

        ```
    """
    entry = find_entry(name)
    accepted = inspect.signature(entry.builder).parameters
    if unknown := [keyword for keyword in hyperparameters if keyword not in accepted]:
        hint = did_you_mean(unknown[0], accepted)
        if "pretrained" in unknown and entry.published_by is not None:
            hint = "for published weights, pass weights='DEFAULT'"
        raise TypeError(
            f"unexpected argument {unknown[0]!r} for model {name!r} "
            f"(accepts {', '.join(accepted)}){hint and f'; {hint}'}"
        )
    if weights is None:
        model = entry.builder(**hyperparameters)
    else:
        model = build_pretrained(entry, weights, hyperparameters)
    return model if device is None else model.to(device)


def find_entry(name: str) -> Entry:
    """Return the registered model of this name.

    Raises:
        UnknownModelError: There is no such model.
    """
    models_by_name = {entry.name: entry for entry in entries()}
    if name not in models_by_name:
        hint = did_you_mean(name, models_by_name) or "see list_models()"
        raise UnknownModelError(f"unknown model {name!r}; {hint}")
    return models_by_name[name]
