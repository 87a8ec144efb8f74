import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import precision_recall_fscore_support

from shapezoo import ShapeError
from shapezoo.train import confusion_matrix, per_class

#: Class 2 is never chosen, and class 3 neither is nor is chosen.
CONFUSION = torch.tensor([[3, 1, 0, 0], [2, 4, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]])


def test_the_figures_of_each_class() -> None:
    figures = per_class(CONFUSION)
    assert figures.precision.tolist() == [3 / 6, 4 / 6, 0, 0]
    assert figures.recall.tolist() == [3 / 4, 4 / 6, 0, 0]
    assert figures.f1.tolist() == [6 / 10, 8 / 12, 0, 0]
    assert figures.support.tolist() == [4, 6, 2, 0]


@pytest.mark.parametrize(
    ("row", "column", "changed"),
    [
        (0, 0, {"precision", "recall", "f1", "support"}),
        (0, 1, {"recall", "f1", "support"}),
        (1, 0, {"precision", "f1"}),
        (1, 1, set()),
    ],
)
def test_one_example_more_changes_what_it_should(row: int, column: int, changed: set[str]) -> None:
    more = CONFUSION.clone()
    more[row, column] += 1
    before, after = vars(per_class(CONFUSION)), vars(per_class(more))
    assert {name for name in before if before[name][0] != after[name][0]} == changed


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_the_figures_are_those_of_scikit_learn(pairs: list[tuple[int, int]]) -> None:
    predicted, labels = torch.tensor(pairs).unbind(1)
    figures = per_class(confusion_matrix(predicted, labels, 5))
    expected = precision_recall_fscore_support(
        labels.numpy(), predicted.numpy(), labels=range(5), zero_division=0
    )
    ours = (figures.precision, figures.recall, figures.f1, figures.support)
    for figure, theirs in zip(ours, expected, strict=True):
        np.testing.assert_allclose(figure.numpy(), theirs, rtol=1e-14)


def test_a_matrix_that_is_not_square_is_refused() -> None:
    with pytest.raises(ShapeError):
        per_class(CONFUSION[:2])
