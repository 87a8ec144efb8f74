import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shapezoo import ShapeError
from shapezoo.train import correct, cross_entropy


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


def test_labels_in_a_column_are_refused() -> None:
    """Broadcasting would compare every label with every example."""
    with pytest.raises(ShapeError, match=r"use labels\.squeeze\(-1\)"):
        correct(torch.zeros(4, 3), torch.zeros(4, 1, dtype=torch.int64))


def test_one_hot_labels_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"use labels\.argmax\(-1\)"):
        cross_entropy(torch.zeros(4, 3), torch.zeros(4, 3))
