"""Kernels that refuse values: what sizes may do to those is not proved."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor, eye, ones
from torch.nn import functional

from shapezoo import Proof, Proved, Unknown, prove
from shapezoo.proving.rules.values import value_checks

LIMIT = 30
"""Calls with more rows raise, or those with just as many."""

BY_SIZE: dict[str, Callable[[int], Any]] = {
    "bernoulli": lambda n: torch.bernoulli(ones(3) * (n / LIMIT)),
    "binary_cross_entropy": lambda n: functional.binary_cross_entropy(
        ones(3) * (n / LIMIT), ones(3)
    ),
    "multinomial": lambda n: (ones(3) * (LIMIT - n)).multinomial(1),
    "poisson": lambda n: torch.poisson(ones(3) * (LIMIT - n)),
    "normal": lambda n: torch.normal(0.0, ones(3) * (LIMIT - n)),
    "cholesky": lambda n: torch.linalg.cholesky(eye(3) * (LIMIT - n)),
    "inv": lambda n: torch.linalg.inv(eye(3) * (LIMIT - n)),
    "solve": lambda n: torch.linalg.solve(eye(3) * (LIMIT - n), ones(3)),
    "svdvals": lambda n: torch.linalg.svdvals(eye(3) / (LIMIT - n)),
    "eigvalsh": lambda n: torch.linalg.eigvalsh(eye(3) / (LIMIT - n)),
}

FIXED: dict[str, Callable[[Tensor], Any]] = {
    "bernoulli of a constant": lambda x: torch.bernoulli(torch.full((3,), 0.5)),
    "bernoulli of an argument": lambda x: torch.bernoulli(x.sigmoid()),
    "as many ones as rows": lambda x: torch.bernoulli(x.new_ones(x.shape[0])),
    "noise of a constant share": lambda x: torch.empty_like(x).bernoulli_(0.5),
    "inverse of a constant": lambda x: torch.linalg.inv(eye(3)),
    "samples of ones": lambda x: x.new_ones(x.shape[0], 4).multinomial(2),
}


def proof_of(use: Callable[[Any], Any]) -> Proof:
    def call(x: Float[Tensor, "rows 4"]) -> Float[Tensor, "rows 4"]:
        result: Tensor = x + use(x).sum()
        return result

    return prove(call, budget=10)


@pytest.mark.parametrize("name", BY_SIZE)
def test_values_made_from_sizes_are_not_taken_to_be_valid(name: str) -> None:
    BY_SIZE[name](LIMIT - 1)
    with pytest.raises((RuntimeError, ValueError)):
        [BY_SIZE[name](size) for size in (LIMIT, LIMIT + 1)]
    assert isinstance(proof_of(lambda x: BY_SIZE[name](x.shape[0])), Unknown)


@pytest.mark.parametrize("name", FIXED)
def test_values_that_sizes_do_not_change_are_tried_on_real_kernels(name: str) -> None:
    assert isinstance(proof_of(FIXED[name]), Proved)


def test_a_check_that_is_missing_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(value_checks, "_CHECKED", {})
    with pytest.raises(AssertionError):
        test_values_made_from_sizes_are_not_taken_to_be_valid("inv")
