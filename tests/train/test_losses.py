import itertools

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shapezoo import ShapeError
from shapezoo.train import (
    auxiliary_cross_entropy,
    binary_correct,
    binary_cross_entropy,
    confusion_matrix,
    correct,
    cross_entropy,
    mean_squared_error,
)


@given(batch=st.integers(1, 6), classes=st.integers(1, 6))
def test_cross_entropy_follows_its_formula(batch: int, classes: int) -> None:
    logits = torch.randn(batch, classes, dtype=torch.float64)
    labels = torch.randint(classes, (batch,))
    chances = logits.exp() / logits.exp().sum(1, keepdim=True)
    expected = -chances[torch.arange(batch), labels].log().mean()
    torch.testing.assert_close(cross_entropy(logits, labels), expected)


def test_correct_counts() -> None:
    logits = torch.tensor([[0.1, 0.9], [0.8, 0.2], [0.3, 0.7]])
    assert correct(logits, torch.tensor([1, 0, 0])).item() == 2


@given(count=st.integers(0, 30), num_classes=st.integers(1, 5))
def test_a_confusion_matrix_counts_every_pair(count: int, num_classes: int) -> None:
    predicted, labels = torch.randint(num_classes, (2, count))
    matrix = confusion_matrix(predicted, labels, num_classes)
    for row, column in itertools.product(range(num_classes), repeat=2):
        both = (labels == row) & (predicted == column)
        assert matrix[row, column] == both.sum()


@pytest.mark.parametrize(("predicted", "labels"), [(3, 0), (-1, 0), (0, 3), (0, -100)])
def test_classes_that_are_none_are_refused(predicted: int, labels: int) -> None:
    with pytest.raises(ValueError, match=r"has class .*; there are 3, from 0"):
        confusion_matrix(torch.tensor([predicted]), torch.tensor([labels]), 3)


@given(batch=st.integers(1, 6))
def test_two_classes_are_the_binary_case(batch: int) -> None:
    logits = torch.randn(batch, 1, dtype=torch.float64)
    labels = torch.randint(2, (batch,))
    both = torch.cat([torch.zeros_like(logits), logits], dim=1)
    torch.testing.assert_close(binary_cross_entropy(logits, labels), cross_entropy(both, labels))
    assert binary_correct(logits, labels) == correct(both, labels)


@given(seq=st.integers(1, 4), batch=st.integers(1, 4))
def test_every_position_of_a_sequence_counts(seq: int, batch: int) -> None:
    logits = torch.randn(seq, batch, 3, dtype=torch.float64)
    labels = torch.randint(3, (seq, batch))
    flat = logits.view(-1, 3), labels.view(-1)
    assert cross_entropy(logits, labels) == cross_entropy(*flat)
    assert correct(logits, labels) == correct(*flat)
    assert cross_entropy(logits[0, 0], labels[0, 0]) == cross_entropy(*(x[:1] for x in flat))


@given(count=st.integers(0, 3), batch=st.integers(1, 4), weight=st.floats(-1, 1))
def test_auxiliary_logits_count_by_their_weight(count: int, batch: int, weight: float) -> None:
    logits, *auxiliary = torch.randn(1 + count, batch, 3, dtype=torch.float64)
    labels = torch.randint(3, (batch,))
    main, *others = (cross_entropy(scores, labels) for scores in (logits, *auxiliary))
    expected = main + weight * sum(others)
    loss = auxiliary_cross_entropy((logits, *auxiliary), labels, weight=weight)
    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12)


def test_logits_alone_have_no_auxiliary_ones() -> None:
    logits, labels = torch.randn(2, 4, 3), torch.tensor([0, 2, 1, 1])
    assert auxiliary_cross_entropy(logits[0], labels) == cross_entropy(logits[0], labels)
    expected = cross_entropy(logits[0], labels) + 0.3 * cross_entropy(logits[1], labels)
    assert auxiliary_cross_entropy((logits[0], logits[1]), labels) == expected


def test_auxiliary_logits_are_for_the_same_examples_and_classes() -> None:
    labels = torch.tensor([0, 1])
    for other in (torch.zeros(3, 4), torch.zeros(2, 5)):
        with pytest.raises(ShapeError, match=r"argument 'outputs"):
            auxiliary_cross_entropy((torch.zeros(2, 4), other), labels)
    with pytest.raises(ValueError, match="not enough values"):
        auxiliary_cross_entropy((), labels)


@pytest.mark.parametrize("label", [-100, -1, 2])
def test_labels_out_of_range_raise(label: int) -> None:
    labels = torch.tensor([0, label])
    with pytest.raises(IndexError, match="out of bounds"):
        cross_entropy(torch.zeros(2, 2), labels)
    with pytest.raises(IndexError, match="out of bounds"):
        binary_cross_entropy(torch.zeros(2, 1), labels)
    assert binary_correct(torch.tensor([[-1.0], [1.0]]), labels) == 1


def test_nan_scores_are_not_correct() -> None:
    nan = torch.full((2, 3), torch.nan)
    assert correct(nan, torch.zeros(2).long()) == 0
    assert binary_correct(nan[:, :1], torch.zeros(2).long()) == 0


def test_errors_are_squared_and_averaged() -> None:
    predictions, targets = torch.tensor([[1.0, 2.0]]), torch.tensor([[2.0, 4.0]])
    assert mean_squared_error(predictions, targets).item() == 2.5


def test_a_column_and_a_row_are_not_broadcast() -> None:
    with pytest.raises(ShapeError, match="argument 'targets'"):
        mean_squared_error(torch.zeros(4, 1), torch.zeros(4))
    with pytest.raises(ShapeError, match="argument 'logits'"):
        binary_cross_entropy(torch.zeros(4), torch.zeros(4, dtype=torch.int64))


def test_labels_in_a_column_are_refused() -> None:
    """Broadcasting would compare every label with every example."""
    with pytest.raises(ShapeError, match=r"use labels\.squeeze\(-1\)"):
        correct(torch.zeros(4, 3), torch.zeros(4, 1, dtype=torch.int64))


def test_one_hot_labels_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"use labels\.argmax\(-1\)"):
        cross_entropy(torch.zeros(4, 3), torch.zeros(4, 3))
