"""Kernels that would fill the memory are not run."""

from collections.abc import Callable

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from shapezoo import Proved, Unknown, prove
from shapezoo.proving.audit.bounding import Bounded, TooLargeError

SIDE = 1 << 15

HUGE: list[Callable[[], Tensor]] = [
    lambda: torch.ones(SIDE, 1) + torch.ones(SIDE),
    lambda: torch.ones(()).expand(SIDE, SIDE).sum(),
    lambda: torch.empty((SIDE, SIDE)),
    lambda: torch.combinations(torch.ones(8), 12),
]

SMALL: list[Callable[[], Tensor]] = [
    lambda: torch.ones(SIDE, 1) + 1,
    lambda: torch.ones(()).expand(SIDE, SIDE).detach(),  # only a view
    lambda: torch.combinations(torch.ones(8), 3),
]


@pytest.mark.parametrize("run", HUGE)
def test_what_is_huge_is_refused(run: Callable[[], Tensor]) -> None:
    with Bounded(), pytest.raises(TooLargeError):  # type: ignore[no-untyped-call]  # torch's
        run()


@pytest.mark.parametrize("run", SMALL)
def test_what_is_small_is_run(run: Callable[[], Tensor]) -> None:
    with Bounded():  # type: ignore[no-untyped-call]  # torch's has no types
        run()


def test_what_cannot_be_run_is_not_proved() -> None:
    def with_grid(side: int) -> Callable[[Tensor], Tensor]:
        def call(x: Float[Tensor, "seq 4"]) -> Float[Tensor, "seq 4"]:
            return x + (torch.ones(side, 1) + torch.ones(side)).sum()

        return call

    assert isinstance(prove(with_grid(8)), Proved)
    proof = prove(with_grid(SIDE))
    assert isinstance(proof, Unknown)
    assert "too large" in proof.reason


def test_what_a_watched_kernel_does_is_not_believed() -> None:
    """`max_pool1d` runs another kernel while kernels are watched, which accepts integers."""

    def pooled(x: Int64[Tensor, "batch seq"]) -> Int64[Tensor, "batch seq//2"]:
        return functional.max_pool1d(x, 2)

    with pytest.raises(NotImplementedError):
        pooled(torch.zeros(2, 4, dtype=torch.int64))
    proof = prove(pooled)
    assert isinstance(proof, Unknown)
    assert "a call raises" in proof.reason


def test_a_contract_that_breaks_in_a_watched_kernel_only_is_not_refuted() -> None:
    def pooled(x: Int64[Tensor, "batch seq"]) -> Int64[Tensor, "batch 7"]:
        return functional.max_pool1d(x, 2)

    assert isinstance(prove(pooled), Unknown)
