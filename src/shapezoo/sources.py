"""The datasets that a run can name, and what each means for the job of training on it."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from shapezoo.data import (
    COUNTRIES,
    digits,
    encode_names,
    names,
    read_digit,
)
from shapezoo.data.handwriting import CLASSES
from shapezoo.registry import Task
from shapezoo.train import Dataset


@dataclass(frozen=True)
class Source:
    """A dataset of a run.

    Attributes:
        task: What it can teach a model.
        model: The model that is trained on it where none is named.
        classes: The names of its labels.
        noun: What its examples are called.
        load: Gives the examples to learn from and those to test on, split in a way and by a seed
            as `digits` knows them.
        read: Turns what a user has (a file, a text) into the inputs of a model.
    """

    task: Task
    model: str
    classes: tuple[str, ...]
    noun: str
    load: Callable[[Literal["example", "writer"], int], tuple[Dataset, Dataset]]
    read: Callable[[str | os.PathLike[str]], tuple[Tensor, ...]]


def _encode(name: str | os.PathLike[str]) -> tuple[Tensor, ...]:
    encoded = encode_names([os.fspath(name)])
    return encoded.tokens, encoded.lengths


SOURCES = {
    "digits": Source(
        task="image-classification",
        model="lenet",
        classes=CLASSES,
        noun="images",
        load=lambda split_by, seed: digits(split_by=split_by, seed=seed),
        read=lambda path: (read_digit(path),),
    ),
    "names": Source(
        task="text-classification",
        model="name_classifier",
        classes=COUNTRIES,
        noun="names",
        load=lambda _, seed: names(seed=seed),
        read=_encode,
    ),
}
"""The datasets by name."""
