"""Weights that torchvision publishes, by the names of its enums.

torchvision is asked when they are used; it takes seconds to import.
"""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

import torch

from shapezoo.weights.downloading import download_to
from shapezoo.weights.weights_reading import read
from shapezoo.weights.strict_loading import WeightsError

DEFAULT = "DEFAULT"
"""What stands for the best weights of a model."""

_LICENCES = {
    None: "BSD-3-Clause",  # torchvision's own
    "https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "CC-BY-NC-4.0",
}
"""The licence of weights, by what their metadata says."""

_HALVES = (0.5, 0.5, 0.5)

_FROM_TENSORFLOW = {"googlenet", "inception_v3"}
"""Models whose weights take pixels from -1 to 1.

torchvision's models normalise twice for that (``transform_input``); ours take what comes out.
"""


@dataclass(frozen=True)
class PublishedWeights:
    """Weights of a model, with the preprocessing of images that they were trained with.

    Attributes:
        model: The name of the model.
        name: Their name, which `create_model` takes.
        is_default: Whether ``"DEFAULT"`` stands for them.
        accuracy: How often the best guess is right on the validation images of ImageNet-1K, in
            percent, as the publisher measured it; None where only the features are trained.
        licence: The SPDX identifier of their licence: the publisher's own, unless it names another.
            ImageNet has terms of its own.
        recipe: The address of how they were trained.
        url: The address of the file, whose name holds the start of its SHA-256 sum.
        megabytes: The size of the file, in 2^20 bytes.
        classes: The names of the labels; none where only the features are trained.
        resize_size: To how many pixels the shorter side of an image is scaled.
        image_size: The height and width of the part in the middle that the model gets, in pixels.
        interpolation: How images are scaled.
        mean: What is subtracted from red, green and blue, of pixels from 0 to 1.
        std: By what they are divided then.
    """

    model: str
    name: str
    is_default: bool
    accuracy: float | None
    licence: str
    recipe: str
    url: str
    megabytes: float
    classes: tuple[str, ...] = field(repr=False)
    resize_size: int
    image_size: int
    interpolation: Literal["bilinear", "bicubic"]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    def __str__(self) -> str:
        default = " (default)" if self.is_default else ""
        quality = "features only"
        if self.accuracy is not None:
            quality = f"{self.accuracy:.2f} % top-1 accuracy"
        size = f"{self.image_size}x{self.image_size}"
        return f"{self.name}{default}: {quality} at {size}, {self.megabytes:.0f} MB, {self.licence}"

    @property
    def file(self) -> Path:
        """Where torch.hub's cache has the file, or would have it."""
        return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(self.url).path).name)


def published(model: str) -> tuple[PublishedWeights, ...]:
    """Return the weights that torchvision publishes for its model of this name."""
    from torchvision.models import get_model_weights

    enum = get_model_weights(model)
    halves = {"mean": _HALVES, "std": _HALVES} if model in _FROM_TENSORFLOW else {}
    found = []
    for member in enum:
        transforms = member.transforms(**halves)
        accuracy = member.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        found.append(
            PublishedWeights(
                model=model,
                name=member.name,
                is_default=member is enum["DEFAULT"],
                accuracy=None if math.isnan(accuracy) else accuracy,
                licence=_LICENCES[member.meta.get("license")],
                recipe=member.meta["recipe"],
                url=member.url,
                megabytes=member.meta["_file_size"],
                classes=tuple(member.meta["categories"] or ()),
                resize_size=transforms.resize_size[0],
                image_size=transforms.crop_size[0],
                interpolation=transforms.interpolation.value,
                mean=tuple(transforms.mean),
                std=tuple(transforms.std),
            )
        )
    return tuple(found)


def find(model: str, name: str, hint: str = "") -> PublishedWeights:
    """Return the published weights of a model that have a name.

    Args:
        model: A model of torchvision.
        name: One of their names, or ``"DEFAULT"``.
        hint: What the error should add.

    Raises:
        WeightsError: There are none of this name; the message lists the names.
    """
    known = published(model)
    for weights in known:
        if name == weights.name or (name == DEFAULT and weights.is_default):
            return weights
    names = ", ".join([*(weights.name for weights in known), DEFAULT])
    raise WeightsError(f"no weights of {model} are called {name!r}; there are {names}{hint}")


def owner(enum: str) -> str | None:
    """Return the model whose weights are in an enum of torchvision; None for any other."""
    import torchvision
    from torchvision.models import get_model_weights, list_models

    names = list_models(module=torchvision.models)
    return next((name for name in names if get_model_weights(name).__name__ == enum), None)


def download(weights: PublishedWeights) -> Any:
    """What is in the file of published weights, downloaded unless torch.hub's cache has the file.

    What is downloaded is verified by its SHA-256 sum before it gets its name in the cache. A file
    that is there is taken for what its name says; the checksums inside it are verified.

    Raises:
        WeightsError: The file cannot be downloaded, or is damaged.
    """
    file = weights.file
    called = f"{weights.name} of {weights.model}"
    if not file.exists():
        download_to(file, weights.url, hash_prefix=file.stem.rpartition("-")[2], called=called)
    try:
        return read(file)
    except WeightsError as error:
        raise WeightsError(
            f"{called} cannot be read from the cache of torch.hub; delete {os.fspath(file)!r}, and "
            f"it is downloaded again\n  {error}"
        ) from error
