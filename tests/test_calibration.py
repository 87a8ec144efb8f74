import math

import pytest
import torch
from torch.nn.functional import cross_entropy

from shapezoo.recipes.calibration import fit_temperature


def drawn(count: int = 20_000) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits, and labels drawn with the probabilities that the logits stand for."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(count, 5, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]


@pytest.mark.parametrize("factor", [0.25, 1.0, 3.0])
def test_the_temperature_undoes_a_factor_of_the_logits(factor: float) -> None:
    logits, labels = drawn()
    assert fit_temperature(factor * logits, labels) == pytest.approx(factor, rel=0.03)


def test_no_other_temperature_has_a_lower_cross_entropy() -> None:
    logits, labels = drawn(200)
    best = fit_temperature(logits, labels)
    losses = [cross_entropy(logits.double() / (best * f), labels) for f in (1.0, 0.99, 1.01)]
    assert losses[0] == min(losses)


def test_the_temperature_stays_finite_for_a_perfect_and_for_a_useless_model() -> None:
    labels = torch.tensor([0, 1])
    perfect = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    assert fit_temperature(perfect, labels) == pytest.approx(0.05)
    assert fit_temperature(perfect.flip(1), labels) == pytest.approx(20)
    assert fit_temperature(perfect * math.nan, labels) == 1
