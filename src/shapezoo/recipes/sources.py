"""The datasets that a run can name, and what each means for the job of training on it."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

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
from shapezoo.layers import SequenceError
from shapezoo.registry import Task

Example = str | os.PathLike[str]
"""What a user has: a file, or a text."""


@dataclass(frozen=True)
class Source:
    """A dataset of a run.

    Attributes:
        task: What it can teach a model.
        model: The model that is trained on it where none is named.
        noun: What its answers are called.
        load: Gives the examples to learn from and those to test on. Its keywords are
            ``split_by`` and ``seed`` as `digits` knows them, and ``root`` and ``download`` as
            `mnist` does.
        sizes: The keywords of builders that the examples decide.
        classes: The names of the labels; none where numbers are to be predicted.
        read: Turns an example of a user into the inputs of a model for these classes; None where
            there is no way.
        defaults: How its model is trained, where that is not as in `RunConfig`.
    """

    task: Task
    model: str
    noun: str
    load: Callable[..., Split[Any]]
    sizes: Callable[[Any], dict[str, int]]
    classes: Callable[[Any], tuple[str, ...]] = lambda examples: examples.classes
    read: Callable[[Example, tuple[str, ...]], tuple[Tensor, ...]] | None = None
    defaults: Mapping[str, Any] = field(default_factory=dict)


def _sizes_of_images(examples: ImageDataset) -> dict[str, int]:
    _, channels, height, _ = examples.images.shape
    return {"in_channels": channels, "num_classes": len(examples.classes), "image_size": height}


def _sizes_of_names(examples: NameDataset) -> dict[str, int]:
    return {"num_classes": len(examples.classes)}


def _sizes_of_series(examples: SeriesDataset) -> dict[str, int]:
    return {"num_features": examples.targets.shape[1]}


def _sizes_of_tables(examples: TableDataset) -> dict[str, int]:
    return {"in_features": examples.features.shape[1]}


def _sizes_of_text(examples: TextDataset) -> dict[str, int]:
    return {"vocab_size": len(examples.classes), "num_classes": len(examples.classes)}


def _cropped(photographs: Split[ImageDataset]) -> Split[ImageDataset]:
    return Split(*(replace(part, images=_middle(part.images)) for part in photographs))


def _middle(images: Tensor) -> Tensor:
    """The middle of images of 32 x 32 pixels, in the size of handwritten digits."""
    return images[..., 2:-2, 2:-2]


def _read_name(name: Example, classes: tuple[str, ...]) -> tuple[Tensor, ...]:
    encoded = encode_names([os.fspath(name)])
    return encoded.tokens, encoded.lengths


def _read_text(beginning: Example, classes: tuple[str, ...]) -> tuple[Tensor, ...]:
    if not os.fspath(beginning):
        raise SequenceError("the text is empty; give at least one character")
    return (encode_text(os.fspath(beginning), classes)[:, None],)


SOURCES = {
    "digits": Source(
        task="image-classification",
        model="lenet",
        noun="images",
        load=lambda *, split_by, seed, **_: digits(split_by=split_by, seed=seed),
        sizes=_sizes_of_images,
        read=lambda path, _: (read_digit(path),),
    ),
    "mnist": Source(
        task="image-classification",
        model="lenet",
        noun="images",
        load=lambda *, root, download, **_: mnist(root, download=download),
        sizes=_sizes_of_images,
        read=lambda path, _: (read_digit(path),),
    ),
    "fashion_mnist": Source(
        task="image-classification",
        model="lenet",
        noun="images",
        load=lambda *, root, download, **_: fashion_mnist(root, download=download),
        sizes=_sizes_of_images,
        read=lambda path, _: (read_picture(path, height=28, width=28, channels=1),),
    ),
    "cifar10": Source(
        task="image-classification",
        model="resnet_small",
        noun="images",
        load=lambda *, root, download, **_: _cropped(cifar10(root, download=download)),
        sizes=_sizes_of_images,
        read=lambda path, _: (_middle(read_picture(path, height=32, width=32, channels=3)),),
    ),
    "names": Source(
        task="text-classification",
        model="name_classifier",
        noun="names",
        load=lambda *, seed, **_: names(seed=seed),
        sizes=_sizes_of_names,
        read=_read_name,
    ),
    "text": Source(
        task="token-classification",
        model="character_rnn",
        noun="characters",
        load=lambda **_: text(),
        sizes=_sizes_of_text,
        read=_read_text,
        defaults={"batch_size": 16, "lr": 0.004, "schedule": "cosine", "clip_norm": 1.0},
    ),
    "breast_cancer": Source(
        task="tabular-classification",
        model="logistic_regression",
        noun="tumours",
        load=lambda *, seed, **_: breast_cancer(seed=seed),
        sizes=_sizes_of_tables,
        defaults={"epochs": 30, "lr": 0.01},
    ),
    "diabetes": Source(
        task="tabular-regression",
        model="linear_regression",
        noun="patients",
        load=lambda *, seed, **_: diabetes(seed=seed),
        sizes=_sizes_of_tables,
        defaults={"epochs": 50, "lr": 1.0},  # the score lies around 150
    ),
    "weather": Source(
        task="forecasting",
        model="rnn_forecaster",
        noun="values",
        load=lambda *, seed, **_: weather(seed=seed),
        sizes=_sizes_of_series,
        classes=lambda _: (),
        defaults={"lr": 0.01},
    ),
}
"""The datasets by name."""
