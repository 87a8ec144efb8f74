import sys

import pytest
import torch

from shapezoo import ShapeError
from shapezoo.data import TableBatch, TableDataset, breast_cancer, diabetes


def test_the_tables_have_their_published_sizes() -> None:
    train, test = breast_cancer()
    assert (len(train), len(test)) == (456, 113)
    assert test.classes == ("malignant", "benign")
    assert train.columns[0] == "mean radius"
    assert int(train.targets.sum() + test.targets.sum()) == 357
    train, test = diabetes()
    assert (len(train), len(test)) == (354, 88)
    assert train.columns == ("age", "sex", "bmi", "bp", "s1", "s2", "s3", "s4", "s5", "s6")
    targets = torch.cat([train.targets, test.targets])
    assert (targets.min().item(), targets.max().item(), test.classes) == (25, 346, ())


def test_features_are_standardised_by_the_training_part_alone() -> None:
    train, test = breast_cancer()
    deviation, mean = torch.std_mean(train.features, dim=0)
    torch.testing.assert_close(mean, torch.zeros(30), atol=1e-5, rtol=0)
    torch.testing.assert_close(deviation, torch.ones(30))
    assert test.features.mean(0).abs().max() > 0.01
    radius = train.features[:, 0] * train.deviation[0] + train.mean[0]
    assert 6 < radius.min() < radius.max() < 30  # micrometres
    assert torch.equal(train.mean, test.mean)


def test_the_seed_decides_the_split() -> None:
    assert torch.equal(diabetes().test.targets, diabetes().test.targets)
    assert not torch.equal(diabetes().test.targets, diabetes(seed=1).test.targets)


def test_a_batch_holds_numbers_or_classes_for_each_row() -> None:
    features = torch.zeros(3, 2)
    for targets in (torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64)):
        unit = torch.zeros(2), torch.ones(2)
        batch = TableDataset(features, targets, *unit, ("a", "b"), ("no",)).select(
            torch.tensor([2, 0])
        )
        assert batch.inputs == (batch.features,)
        assert batch.to(torch.device("meta")).targets.is_meta
    for wrong in (torch.zeros(3), torch.zeros(2, dtype=torch.int64)):
        with pytest.raises(ShapeError, match="argument 'targets'"):
            TableBatch(features, wrong)


def test_a_missing_package_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(ImportError, match=r"use pip install 'shapezoo\[data\]'"):
        diabetes()
