"""Real kernels refuse some numbers that are made of sizes; fake ones refuse none."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from shapezoo import Module, Proved, prove

Compute = Callable[[Tensor, Any], Any]

MOST = 150
"""All sizes up to here are run."""


class Computing(Module):
    """Adds a number that it computes from its size, which may be refused."""

    def __init__(self, compute: Compute) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        return x + torch.as_tensor(self.compute(x, x.shape[0])).sum()


def small() -> Tensor:
    return torch.zeros(3, dtype=torch.int8)


def whole() -> Tensor:
    return torch.ones(3, dtype=torch.int64)


def taken(*indices: Any) -> Any:
    """A constant of zeros with one great value, at some places."""
    ids = torch.zeros(100, dtype=torch.int64)
    ids[40] = 64
    return torch.zeros(64, 3)[ids[indices]]


MASK = torch.ones(3, dtype=torch.bool)
FIRST = torch.tensor([0])

LIMITED: dict[str, tuple[Compute, str]] = {
    "floor division": (lambda x, n: whole() // (60 - n), "n != 60"),
    "floor division in place": (lambda x, n: whole().floor_divide_(60 - n), "n != 60"),
    "remainder": (lambda x, n: whole() % (60 - n), "n != 60"),
    "fmod": (lambda x, n: torch.fmod(whole(), 60 - n), "n != 60"),
    "truncated": (lambda x, n: torch.div(whole(), 60 - n, rounding_mode="trunc"), "n != 60"),
    "power": (lambda x, n: whole() ** (60 - n), "n <= 60"),
    "celu": (lambda x, n: functional.celu(x, 60 - n), "n != 60"),
    "full": (lambda x, n: torch.full((2,), 2 * n, dtype=torch.uint8), "n <= 127"),
    "tensor": (lambda x, n: torch.tensor([n], dtype=torch.int8), "n <= 127"),
    "linspace": (lambda x, n: torch.linspace(0, n, 5, dtype=torch.int8), "n <= 127"),
    "fill": (lambda x, n: small().fill_(n), "n <= 127"),
    "masked_fill": (lambda x, n: small().masked_fill(MASK, n), "n <= 127"),
    "index_fill": (lambda x, n: small().index_fill(0, FIRST, n), "n <= 127"),
    "scatter": (lambda x, n: small().scatter(0, FIRST, n), "n <= 127"),
    "clamp": (lambda x, n: small().clamp(max=n), "n <= 127"),
    "where": (lambda x, n: torch.where(MASK, small(), n), "n <= 127"),
    "alpha": (lambda x, n: torch.add(small(), small(), alpha=n), "n <= 127"),
    "half": (lambda x, n: torch.zeros(3).half().masked_fill(MASK, n * 1000.0), "n <= 65"),
    "bags": (
        lambda x, n: functional.embedding_bag(
            torch.arange(n), x[:, None], torch.tensor([n // 60]), mode="sum"
        ),
        "n <= 59",
    ),
    "float divided": (lambda x, n: x * (1 / (n * 0.5 - 30)), "n != 60"),
    "float remainder": (lambda x, n: x * (3.0 % (n * 0.5 - 30)), "n != 60"),
    "size divided by a float": (lambda x, n: x * (n // (n * 0.5 - 30)), "n != 60"),
}
"""What is refused at some sizes, with the limit."""

UNLIMITED: dict[str, Compute] = {
    "division": lambda x, n: whole() / (60 - n),
    "floats": lambda x, n: x // (60 - n),
    "float power": lambda x, n: x ** (60 - n),
    "comparison": lambda x, n: small() == n,
    "arange": lambda x, n: torch.arange(n, dtype=torch.int8),
    "wide": lambda x, n: torch.full((1,), 1000 * n),
    "square": lambda x, n: x * n**2,
    "root": lambda x, n: x / n**0.5,
}

UNCERTAIN: dict[str, Compute] = {
    "divided by a tensor": lambda x, n: whole() // torch.tensor(60 - n),
    "positions": lambda x, n: 5 % (60 - torch.arange(n)),
    "repeats": lambda x, n: torch.repeat_interleave(60 - torch.arange(n)),
    "sorter": lambda x, n: torch.searchsorted(x, x, sorter=torch.arange(n) + n // 60),
    "assertion": lambda x, n: torch._assert_async(torch.tensor(n) < 60) or x,
    "power of two": lambda x, n: x * 2**n,
    "float power of two": lambda x, n: x * 2.0**n,
    "shifted": lambda x, n: x / (1 << n),
    "twelfth power": lambda x, n: x * n**12,
    "great float": lambda x, n: (n / 2) ** 200,
    "from the end": lambda x, n: taken(slice(-n - 5, -n)),
    "the last": lambda x, n: taken(slice(-n, None)),
    "from the end by a tensor": lambda x, n: taken(slice(-torch.tensor(n), None)),
}
"""What some sizes are refused, which the prover does not find exactly."""


def accepted(compute: Compute) -> set[int]:
    model, found = Computing(compute), set()
    for n in range(1, MOST):
        try:
            model(torch.zeros(n))
        except (RuntimeError, ZeroDivisionError, IndexError, OverflowError):
            continue
        found.add(n)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", LIMITED)
def test_what_is_refused_is_a_limit(name: str) -> None:
    compute, limit = LIMITED[name]
    proof = prove(Computing(compute))
    assert isinstance(proof, Proved), str(proof)
    assert [str(condition) for condition in proof.preconditions] == [limit]
    assert proof.is_exact
    condition = proof.preconditions[0]
    assert accepted(compute) == {n for n in range(1, MOST) if condition.holds({"n": n})}


@pytest.mark.parametrize("name", UNLIMITED)
def test_what_is_taken_is_no_limit(name: str) -> None:
    proof = prove(Computing(UNLIMITED[name]))
    assert isinstance(proof, Proved), str(proof)
    assert proof.is_exact
    assert not proof.preconditions
    assert len(accepted(UNLIMITED[name])) == MOST - 1


@pytest.mark.parametrize("name", UNCERTAIN)
def test_what_is_not_known_is_not_claimed(name: str) -> None:
    found = accepted(UNCERTAIN[name])
    (case,) = prove(Computing(UNCERTAIN[name]), budget=5).cases
    assert not case.is_exact
    for n in found:
        assert all(condition.holds({"n": n}) for condition in case.preconditions)
