"""`assert_proved`: proofs as assertions."""

import pytest
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo import ContractError, Proved, checked
from shapezoo.models import ResidualBlock
from shapezoo.testing import assert_proved


class Pool(nn.Module):
    def forward(
        self, x: Float[Tensor, "batch height width"]
    ) -> Float[Tensor, "batch height//4 width//4"]:
        return nn.functional.max_pool2d(x, 4)


@checked
def swapped(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
    return x.T


def test_a_proved_contract_passes_and_its_proof_is_returned() -> None:
    assert isinstance(assert_proved(Pool()), Proved)
    assert_proved(ResidualBlock, preconditions=[])
    assert_proved(ResidualBlock, init={"channels": 3}, assume="height >= 7")


def test_preconditions_must_be_exactly_these() -> None:
    assert_proved(Pool(), preconditions=["width>=4", "height >= 4"])
    assert_proved(Pool(), preconditions="width > 3 and 4 <= height")
    for wrong in ([], ["height >= 4"], ["height >= 4", "width >= 5"]):
        with pytest.raises(AssertionError, match="expected: "):
            assert_proved(Pool(), preconditions=wrong)


def test_a_refuted_contract_fails_with_its_counterexample() -> None:
    with pytest.raises(AssertionError, match="smallest") as caught:
        assert_proved(swapped)
    assert "swapped: refuted" in str(caught.value)
    assert "model(torch.zeros((1, 2)))" in str(caught.value) or "zeros((2, 1))" in str(caught.value)


def test_what_is_proved_in_part_only_fails() -> None:
    @checked
    def looped(x: Float[Tensor, "seq"]) -> Float[Tensor, ""]:
        total = x[0]
        for number in x:
            total = total + number
        return total

    with pytest.raises(AssertionError, match="proved in part"):
        assert_proved(looped)


def test_a_text_that_is_not_a_condition_is_refused() -> None:
    with pytest.raises(ContractError, match="is not a condition"):
        assert_proved(Pool(), preconditions="height")
