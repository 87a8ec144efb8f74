"""The weights that torchvision publishes, by the names of its enums.

torchvision is imported only when they are used, because importing it takes seconds.
"""

import math
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlparse

import torch

from shapezoo.weights.downloading import download_to
from shapezoo.weights.strict_loading import WeightsError
from shapezoo.weights.weights_reading import read_weights

DEFAULT = "DEFAULT"
"""The name that stands for the best weights of a model."""

_LICENCES = {
    None: "BSD-3-Clause",  # torchvision's own
    "https://github.com/facebookresearch/SWAG/blob/main/LICENSE": "CC-BY-NC-4.0",
}
"""The SPDX identifier of a licence, by the address in the metadata of weights."""

_HALVES = (0.5, 0.5, 0.5)

_FROM_TENSORFLOW = {"googlenet", "inception_v3"}
"""Models whose weights expect pixels from -1 to 1.

torchvision's models expect the usual normalisation and convert it (``transform_input``); ours
expect what the weights were trained with.
"""


@dataclass(frozen=True)
class PublishedWeights:
    """Published weights of a model, and the preprocessing of images that they expect.

    Attributes:
        model: The name of the model.
        name: Their name, to pass to `create_model`.
        is_default: Whether ``"DEFAULT"`` stands for them.
        accuracy: The top-1 accuracy on the validation images of ImageNet-1K, in percent, as the
            publisher measured it; None where only the features are trained.
        licence: The SPDX identifier of their licence: the publisher's own, unless it names another.
            ImageNet has terms of its own.
        recipe: The address of a description of their training.
        url: The address of the file, whose name holds the start of its SHA-256 sum.
        megabytes: The size of the file, in 2^20 bytes.
        classes: The names of the classes; empty where only the features are trained.
        resize_size: The length to which the shorter side of an image is resized, in pixels.
        image_size: The height and width of the centre crop that the model reads, in pixels.
        interpolation: How images are resized.
        mean: The means to subtract from red, green and blue, for pixels from 0 to 1.
        std: The standard deviations to divide by afterwards.
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
        """The path of the file in the cache of torch.hub, whether it is there yet or not."""
        return Path(torch.hub.get_dir(), "checkpoints", Path(urlparse(self.url).path).name)


def published_weights(model: str) -> tuple[PublishedWeights, ...]:
    """Return the weights that torchvision publishes for its model of this name."""
    from torchvision.models import get_model_weights

    enum = get_model_weights(model)
    halves = {"mean": _HALVES, "std": _HALVES} if model in _FROM_TENSORFLOW else {}
    published = []
    for member in enum:
        transforms = member.transforms(**halves)
        # torchvision has no other place for the accuracy and the size of a file
        accuracy = member.meta["_metrics"]["ImageNet-1K"]["acc@1"]
        published.append(
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
    return tuple(published)


def find_published(model: str, name: str, hint: str = "") -> PublishedWeights:
    """Return the published weights of a model by their name.

    Args:
        model: A model of torchvision.
        name: The name of the weights, or ``"DEFAULT"``.
        hint: What the error should add.

    Raises:
        WeightsError: There are none of this name; the message lists the names.
    """
    published = published_weights(model)
    for weights in published:
        if name == weights.name or (name == DEFAULT and weights.is_default):
            return weights
    names = ", ".join([*(weights.name for weights in published), DEFAULT])
    raise WeightsError(f"no weights of {model} are called {name!r}; there are {names}{hint}")


def model_of_enum(enum: str) -> str | None:
    """Return the model whose weights an enum of torchvision lists; None for any other enum."""
    import torchvision
    from torchvision.models import get_model_weights, list_models

    names = list_models(module=torchvision.models)
    return next((name for name in names if get_model_weights(name).__name__ == enum), None)


def download(weights: PublishedWeights) -> Any:
    """Return the content of published weights, downloading them unless torch.hub's cache has them.

    A download gets its name in the cache only when its SHA-256 sum has been verified. A file that
    is in the cache already is trusted to be what its name says, but the checksums inside it are
    verified.

    Raises:
        WeightsError: The file cannot be downloaded, or is damaged.
    """
    file = weights.file
    title = f"{weights.name} of {weights.model}"
    if not file.exists():
        download_to(file, weights.url, hash_prefix=file.stem.rpartition("-")[2], title=title)
    try:
        return read_weights(file)
    except WeightsError as error:
        raise WeightsError(
            f"{title} cannot be read from the cache of torch.hub; delete {os.fspath(file)!r}, and "
            f"it is downloaded again\n  {error}"
        ) from error
