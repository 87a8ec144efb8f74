"""Cross-entropy is the logarithm of softmax followed by the negative log-likelihood."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shapezoo.train import cross_entropy


@given(
    batch=st.integers(1, 4),
    classes=st.integers(1, 5),
    extra=st.lists(st.integers(1, 3), max_size=2),
    weighted=st.booleans(),
    ignored=st.sampled_from([-100, 0, 7]),
    share=st.sampled_from([0.0, 0.5, 1.0]),
    reduction=st.sampled_from(["mean", "sum", "none"]),
)
def test_the_law(
    batch: int,
    classes: int,
    extra: list[int],
    weighted: bool,
    ignored: int,
    share: float,
    reduction: str,
) -> None:
    logits = 10 * torch.randn(batch, classes, *extra, dtype=torch.float64)
    labels = torch.randint(classes, (batch, *extra))
    labels[torch.rand(labels.shape) < share] = ignored
    weight = torch.rand(classes, dtype=torch.float64) if weighted else None
    together = nn.CrossEntropyLoss(weight, ignore_index=ignored, reduction=reduction)
    after = nn.NLLLoss(weight, ignore_index=ignored, reduction=reduction)

    loss = together(logits, labels)
    expected = after(nn.functional.log_softmax(logits, dim=1), labels)

    torch.testing.assert_close(loss, expected, rtol=1e-12, atol=1e-12, equal_nan=True)
    nothing_is_left = reduction == "mean" and bool((labels == ignored).all())
    assert bool(loss.isnan().any()) == nothing_is_left


@given(
    batch=st.lists(st.integers(1, 3), min_size=1, max_size=3),
    classes=st.integers(1, 5),
)
def test_ours_agrees_with_classes_last(batch: list[int], classes: int) -> None:
    logits = 10 * torch.randn(*batch, classes, dtype=torch.float64)
    labels = torch.randint(classes, batch)
    expected = nn.NLLLoss()(nn.LogSoftmax(1)(logits.movedim(-1, 1)), labels)
    torch.testing.assert_close(cross_entropy(logits, labels), expected, rtol=1e-12, atol=1e-12)


def test_a_weighted_mean_divides_by_the_weights() -> None:
    weight = torch.tensor([1.0, 3.0])
    losses = torch.tensor([[0.0, 1.0], [2.0, 0.0]]).log_softmax(1)[[0, 1], [0, 1]].neg()
    loss = nn.CrossEntropyLoss(weight)(torch.tensor([[0.0, 1.0], [2.0, 0.0]]), torch.arange(2))
    assert loss.item() == pytest.approx((losses @ weight / 4).item())


def test_softmax_before_cross_entropy_breaks_the_law() -> None:
    logits, labels = 10 * torch.randn(8, 3), torch.randint(3, (8,))
    expected = nn.NLLLoss()(logits.log_softmax(1), labels)
    assert not torch.isclose(cross_entropy(logits.softmax(1), labels), expected, rtol=1e-2)
