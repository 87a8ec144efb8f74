"""Tables of numbers: one example per row, with a class or a number to predict.

They are part of scikit-learn, which ``pip install 'shapezoo[data]'`` installs.
"""

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
    """Rows of a table, with the value to predict for each.

    Attributes:
        features: The features.
        targets: Numbers for a regression, indices of classes for a classification.
    """

    features: Float[Tensor, "batch features"]
    targets: Float[Tensor, "batch _"] | Int64[Tensor, "batch"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments of the model."""
        return (self.features,)

    def to(self, device: torch.device) -> Self:
        """Return the same examples on a device."""
        return replace(self, features=self.features.to(device), targets=self.targets.to(device))


@checked
@dataclass(frozen=True, eq=False)
class TableDataset(InMemory[TableBatch]):
    """A table in memory.

    Attributes:
        features: The features, each with mean 0 and standard deviation 1 over the training
            examples.
        targets: Numbers for a regression, indices into `classes` for a classification.
        mean: The mean of each feature over the training examples, in its own unit.
        deviation: The standard deviation of each feature over the training examples, in its own
            unit.
        columns: The names of the features.
        classes: The names of the classes; empty for a regression.

    Raises:
        ValueError: A target is not an index into `classes`.
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
        """Return the examples at these indices as a batch."""
        return TableBatch(self.features[indices], self.targets[indices])

    def subset(self, indices: Tensor) -> Self:
        """Return the examples at these indices as a dataset."""
        return replace(self, features=self.features[indices], targets=self.targets[indices])


def breast_cancer(*, seed: int = 0) -> Split[TableDataset]:
    """Return 569 tumours with 30 measures of cell nuclei: are they malignant (0) or benign (1)?

    Wolberg, Mangasarian, Street, "Breast Cancer Wisconsin (Diagnostic)", UCI Machine Learning
    Repository, 1995.

    Args:
        seed: Seeds the choice of the fifth that is for testing.

    Raises:
        ImportError: scikit-learn is not installed.
    """
    table = _fetch("load_breast_cancer")
    classes = tuple(str(name) for name in table.target_names)
    return _prepared(table, torch.from_numpy(table.target).long(), classes, seed)


def diabetes(*, seed: int = 0) -> Split[TableDataset]:
    """Return 442 patients with 10 measures each: how far has diabetes progressed after a year?

    The target is a score from 25 to 346. Efron, Hastie, Johnstone, Tibshirani,
    "Least angle regression", Annals of Statistics 32(2), 2004.

    Args:
        seed: Seeds the choice of the fifth that is for testing.

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
            "this table is part of scikit-learn, which is not installed; "
            "use pip install 'shapezoo[data]'"
        ) from error
    return getattr(sklearn.datasets, loader)()


def _prepared(
    table: Any, targets: Tensor, classes: tuple[str, ...], seed: int
) -> Split[TableDataset]:
    """Split a table, and standardise both parts with the statistics of the first."""
    features = torch.from_numpy(table.data).float()
    columns = tuple(str(name) for name in table.feature_names)
    generator = torch.Generator().manual_seed(seed)
    train, test = order(len(features), generator).tensor_split([len(features) - len(features) // 5])
    deviation, mean = torch.std_mean(features[train], dim=0)
    whole = TableDataset((features - mean) / deviation, targets, mean, deviation, columns, classes)
    return Split(whole.subset(train), whole.subset(test))
