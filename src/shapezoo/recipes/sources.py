"""The datasets that a run can name, and how to train and predict on each."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from shapezoo.creating import find_entry
from shapezoo.data import (
    ImageDataset,
    NameDataset,
    SeriesDataset,
    Split,
    TableDataset,
    TextDataset,
    breast_cancer,
    cifar10,
    diabetes,
    digits,
    encode_names,
    encode_text,
    fashion_mnist,
    mnist,
    names,
    read_digit,
    read_picture,
    text,
    weather,
)
from shapezoo.data.surnames import fold
from shapezoo.layers import SequenceError
from shapezoo.recipes.familiarity import unlike_digits, unlike_names
from shapezoo.registry import Task

Example = str | os.PathLike[str]
"""What a user wants a prediction for: the path of a file, or a text."""


@dataclass(frozen=True)
class Source:
    """A dataset of a run.

    Attributes:
        model: The model to train on it if none is named.
        noun: What its test examples are, for reports.
        load: Returns the training and test examples. Its keywords are ``split_by`` and ``seed`` as
            of `digits`, and ``root`` and ``download`` as of `mnist`.
        classes: Returns the names of the classes; empty for a regression.
        read: Turns an example of a user into the inputs of a model for these classes; None if
            there is no way.
        example: What such an example looks like on the command line.
        unlike: Returns why the inputs of a model are unlike the training examples, or None if they
            are not; it is itself None if this is not known for the dataset.
        defaults: How its model is trained, where this differs from `RunConfig`.
    """

    model: str
    noun: str
    load: Callable[..., Split[Any]]
    classes: Callable[[Any], tuple[str, ...]] = lambda examples: examples.classes
    read: Callable[[Example, tuple[str, ...]], tuple[Tensor, ...]] | None = None
    example: str = ""
    unlike: Callable[[tuple[Tensor, ...], Any], str | None] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)

    @property
    def task(self) -> Task:
        """The task that it teaches, which is that of its model."""
        return find_entry(self.model).task


def sizes_of(examples: object) -> dict[str, int]:
    """Return the hyper-parameters that the examples of a dataset determine."""
    match examples:
        case ImageDataset(images=images, classes=classes):
            _, channels, height, _ = images.shape
            return {"in_channels": channels, "num_classes": len(classes), "image_size": height}
        case NameDataset(classes=classes):
            return {"num_classes": len(classes)}
        case SeriesDataset(targets=targets):
            return {"num_features": targets.shape[1]}
        case TableDataset(features=features):
            return {"in_features": features.shape[1]}
        case TextDataset(classes=classes):
            return {"vocab_size": len(classes), "num_classes": len(classes)}
    raise TypeError(f"not a dataset of a run: {type(examples).__name__}")


def _crop(images: Tensor) -> Tensor:
    """Crop images of 32 x 32 pixels to the size of handwritten digits."""
    return images[..., 2:-2, 2:-2]


def _load_cropped_cifar10(*, root: str, download: bool, **_: Any) -> Split[ImageDataset]:
    return Split(
        *(replace(part, images=_crop(part.images)) for part in cifar10(root, download=download))
    )


def _read_clothes(path: Example) -> Tensor:
    return read_picture(path, height=28, width=28, channels=1, background="black")


def _read_name(name: Example, classes: tuple[str, ...]) -> tuple[Tensor, ...]:
    spelling = fold(os.fspath(name))
    if not any(map(str.isalpha, spelling)):
        raise SequenceError(f"the name {os.fspath(name)!r} has no letters; give at least one")
    if spelling in (spelling.lower(), spelling.upper()):  # the training names have capitals
        spelling = spelling.title()
    encoded = encode_names([spelling])
    return encoded.tokens, encoded.lengths


def _read_text(beginning: Example, classes: tuple[str, ...]) -> tuple[Tensor, ...]:
    if not os.fspath(beginning):
        raise SequenceError("the text is empty; give at least one character")
    return (encode_text(os.fspath(beginning), classes)[:, None],)


SOURCES = {
    "digits": Source(
        model="lenet",
        noun="images",
        load=lambda *, split_by, seed, **_: digits(split_by=split_by, seed=seed),
        read=lambda path, _: (read_digit(path),),
        example="IMAGE.png",
        unlike=unlike_digits,
    ),
    "mnist": Source(
        model="lenet",
        noun="images",
        load=lambda *, root, download, **_: mnist(root, download=download),
        read=lambda path, _: (read_digit(path),),
        example="IMAGE.png",
    ),
    "fashion_mnist": Source(
        model="lenet",
        noun="images",
        load=lambda *, root, download, **_: fashion_mnist(root, download=download),
        read=lambda path, _: (_read_clothes(path),),
        example="IMAGE.png",
    ),
    "cifar10": Source(
        model="resnet_small",
        noun="images",
        load=_load_cropped_cifar10,
        read=lambda path, _: (_crop(read_picture(path, height=32, width=32, channels=3)),),
        example="IMAGE.png",
    ),
    "names": Source(
        model="name_classifier",
        noun="names",
        load=lambda *, seed, **_: names(seed=seed),
        read=_read_name,
        example="Papadopoulos",
        unlike=unlike_names,
        defaults={
            "epochs": 8,
            "batch_size": 64,
            "lr": 0.004,
            "schedule": "cosine",
            "patience": 3,  # it overfits after about five epochs
        },
    ),
    "text": Source(
        model="character_rnn",
        noun="characters",
        load=lambda **_: text(),
        read=_read_text,
        example="Alice was beginning to",
        defaults={"batch_size": 16, "lr": 0.004, "schedule": "cosine", "clip_norm": 1.0},
    ),
    "breast_cancer": Source(
        model="logistic_regression",
        noun="tumours",
        load=lambda *, seed, **_: breast_cancer(seed=seed),
        defaults={"epochs": 30, "lr": 0.01},
    ),
    "diabetes": Source(
        model="linear_regression",
        noun="patients",
        load=lambda *, seed, **_: diabetes(seed=seed),
        defaults={"epochs": 50, "lr": 1.0},  # the target is about 150
    ),
    "weather": Source(
        model="rnn_forecaster",
        noun="values",
        load=lambda *, seed, **_: weather(seed=seed),
        classes=lambda _: (),
        defaults={"lr": 0.01},
    ),
}
"""The datasets by name."""
