"""Tables of numbers: one example a row, with a class or a number to predict.

They come with scikit-learn, which ``pip install 'shapezoo[data]'`` installs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from shapezoo._seeding import draws_nothing
from shapezoo.contracts import checked
from shapezoo.data.memory import InMemory, Split, order, require_classes


@checked
@dataclass(frozen=True, eq=False)
class TableBatch:
    """Rows of a table, with what to predict for each.

    Attributes:
        features: What is known.
        targets: Numbers for a regression, indices of classes for a classification.
    """

    features: Float[Tensor, "batch features"]
    targets: Float[Tensor, "batch _"] | Int64[Tensor, "batch"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a model takes."""
        return (self.features,)

    def to(self, device: torch.device) -> Self:
        """The same examples on a device."""
        return replace(self, features=self.features.to(device), targets=self.targets.to(device))


@checked
@dataclass(frozen=True, eq=False)
class TableDataset(InMemory[TableBatch]):
    """A table in memory.

    Attributes:
        features: What is known, each feature with mean 0 and standard deviation 1 over the
            training examples.
        targets: Numbers for a regression, indices into `classes` for a classification.
        mean: The mean of each feature over the training examples, in its own unit.
        deviation: The standard deviation of each feature over these, in its own unit.
        columns: The names of the features.
        classes: The names of the classes; none for a regression.

    Raises:
        ValueError: A target has no class.
    """

    features: Float[Tensor, "batch features"]
    targets: Float[Tensor, "batch _"] | Int64[Tensor, "batch"]
    mean: Float[Tensor, "features"]
    deviation: Float[Tensor, "features"]
    columns: tuple[str, ...]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not self.targets.is_floating_point():
            require_classes(self.targets, self.classes)

    def __len__(self) -> int:
        return len(self.features)

    @draws_nothing
    def select(self, indices: Tensor) -> TableBatch:
        """The examples at these indices, as a batch."""
        return TableBatch(self.features[indices], self.targets[indices])

    def subset(self, indices: Tensor) -> Self:
        """The examples at these indices, as a dataset."""
        return replace(self, features=self.features[indices], targets=self.targets[indices])


def breast_cancer(*, seed: int = 0) -> Split[TableDataset]:
    """569 tumours, each with 30 measures of its cell nuclei: malignant (0) or benign (1)?

    Wolberg, Mangasarian, Street, "Breast Cancer Wisconsin (Diagnostic)", UCI Machine Learning
    Repository, 1995.

    Args:
        seed: Seeds the draw of the fifth that is set aside for testing.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    table = _fetch("load_breast_cancer")
    classes = tuple(str(name) for name in table.target_names)
    return _prepared(table, torch.from_numpy(table.target).long(), classes, seed)


def diabetes(*, seed: int = 0) -> Split[TableDataset]:
    """442 patients, each with 10 measures: how far has diabetes progressed a year later?

    The target is a score from 25 to 346, in its own unit. Efron, Hastie, Johnstone, Tibshirani,
    "Least angle regression", Annals of Statistics 32(2), 2004.

    Args:
        seed: Seeds the draw of the fifth that is set aside for testing.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    table = _fetch("load_diabetes")
    return _prepared(table, torch.from_numpy(table.target).float()[:, None], (), seed)


def _fetch(loader: str) -> Any:
    try:
        import sklearn.datasets  # an extra, and slow to import
    except ImportError as error:
        raise ImportError(
            "this table comes with scikit-learn, which is not installed; "
            "use pip install 'shapezoo[data]'"
        ) from error
    load: Callable[[], Any] = getattr(sklearn.datasets, loader)
    return load()


def _prepared(
    table: Any, targets: Tensor, classes: tuple[str, ...], seed: int
) -> Split[TableDataset]:
    """The table in two parts, standardised by the first."""
    features = torch.from_numpy(table.data).float()
    columns = tuple(str(name) for name in table.feature_names)
    generator = torch.Generator().manual_seed(seed)
    train, test = order(len(features), generator).tensor_split([len(features) - len(features) // 5])
    deviation, mean = torch.std_mean(features[train], dim=0)
    whole = TableDataset((features - mean) / deviation, targets, mean, deviation, columns, classes)
    return Split(whole.subset(train), whole.subset(test))
