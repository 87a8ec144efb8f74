"""An example does not depend on the others of its batch: modules that break this are found."""

from dataclasses import dataclass

import pytest
import torch
from jaxtyping import Float, Float32, Int64, UInt8
from tests.testing.weighted import Body, Weighted, both, in_train_mode, root, without_norm
from torch import Tensor, nn

from shapezoo import ContractError, Module, checked
from shapezoo.models import gru, lenet, name_classifier
from shapezoo.testing import assert_batch_independent, inputs


def centred(model: Weighted, x: Tensor) -> Tensor:
    return x - x.mean(0)


def normalised(model: Weighted, x: Tensor) -> Tensor:
    return x / (x.square().sum(0) + 1)


def like_the_first(model: Weighted, x: Tensor) -> Tensor:
    return x + x[:1]


def ordered(model: Weighted, x: Tensor) -> Tensor:
    return x.sort(0)[0]


def by_size(model: Weighted, x: Tensor) -> Tensor:
    return x + (len(x) > 3)


def dropped(model: Weighted, x: Tensor) -> Tensor:
    return nn.functional.dropout(x, training=model.training)


def only_the_largest(model: Weighted, x: Tensor) -> Tensor:
    """Wrong by less than float32 could show."""
    return x + 1e-6 * x.amax(0)


@pytest.mark.parametrize("body", [both, without_norm, dropped, in_train_mode, root])
def test_examples_that_are_independent_pass(body: Body) -> None:
    assert_batch_independent(Weighted(body))


@pytest.mark.parametrize(
    ("body", "smallest"),
    [
        (centred, 2),
        (normalised, 2),
        (like_the_first, 2),
        (ordered, 2),
        (by_size, 4),
        (only_the_largest, 2),
    ],
)
def test_examples_that_see_one_another_are_found(body: Body, smallest: int) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_batch_independent(Weighted(body), max_examples=20)
    first = str(caught.value).splitlines()[0]
    assert first.startswith(f"Weighted(x=Tensor float64 ({smallest}, 3)): example ")
    assert first.endswith(" has a different result alone")


@checked
@dataclass(frozen=True)
class Scores:
    best: Int64[Tensor, "batch"]
    each: Float[Tensor, "3 batch"]
    total: Float[Tensor, "3"]


class Several(Module):
    """Its batch axes stand in several places, and one result has none."""

    def __init__(self, of_batch: bool = False) -> None:
        super().__init__()
        self.of_batch = of_batch
        self.scale: Tensor
        self.register_buffer("scale", torch.ones(3, 1))

    def forward(
        self,
        x: Float[Tensor, "3 batch"],
        weights: Float[Tensor, "batch"],
        pairs: tuple[Float[Tensor, "batch 2"], list[Float[Tensor, "2"]]] | None = None,
    ) -> Scores:
        each = x * self.scale * weights
        if self.of_batch:
            each = each - each.mean(1, keepdim=True)
        return Scores(each.argmax(0), each, each.sum(1))


class Single(Module):
    """Takes no float64."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)

    def forward(self, x: Float32[Tensor, "batch 3"]) -> Float32[Tensor, "batch 3"]:
        result: Tensor = self.linear(x)
        return result


class Buffered(Module):
    """Has numbers, but no parameters that could tell their dtype."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3, affine=False)
        self.register_buffer("basis", torch.eye(3))

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        result: Tensor = self.norm(x) @ self.basis
        return result


@pytest.mark.parametrize(
    "module",
    [Several(), Single(), Buffered(), lenet(), gru(), name_classifier(hidden_size=3)],
    ids=lambda module: type(module).__name__,
)
def test_the_batch_may_stand_anywhere(module: nn.Module) -> None:
    assert_batch_independent(module, max_examples=5)


def test_one_of_several_results_is_enough() -> None:
    with pytest.raises(AssertionError, match=r"Several\(x=.*, weights=.*alone"):
        assert_batch_independent(Several(of_batch=True))


def test_without_a_batch_there_is_nothing_to_assert() -> None:
    class Vector(Module):
        def forward(self, x: Float[Tensor, "features"]) -> Float[Tensor, "features"]:
            return x

    class Total(Module):
        def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, ""]:
            return x.sum()

    with pytest.raises(ContractError, match="no axis 'batch'"):
        assert_batch_independent(Vector())
    with pytest.raises(ContractError, match="no batch in the arguments or the results"):
        assert_batch_independent(Total())


def test_calls_of_another_module_serve() -> None:
    assert_batch_independent(Weighted(without_norm), inputs(Weighted(centred), batch=[3]))
    with pytest.raises(AssertionError, match=r"\(3, 3\)"):
        assert_batch_independent(
            Weighted(centred), inputs(Weighted(without_norm).double(), batch=[3])
        )


@checked
@dataclass(frozen=True)
class Weighing:
    images: Float[Tensor, "batch 4"]
    weights: Float[Tensor, "batch"]


class OfRecord(Module):
    def forward(self, batch: Weighing) -> Float[Tensor, "batch"]:
        return batch.images.sum(1) * batch.weights


class Scaled(Module):
    def forward(
        self, x: Float[Tensor, "batch 3"], scale: Float[Tensor, "#batch"]
    ) -> Float[Tensor, "batch 3"]:
        return x * scale[:, None]


class Vectors(Module):
    def forward(self, x: Float[Tensor, "batch 3"]) -> list[Float[Tensor, "3"]]:
        return list(x)


def test_checked_records_are_cut_as_a_whole() -> None:
    assert_batch_independent(OfRecord())


def test_what_broadcasts_over_the_batch_is_given_to_each() -> None:
    assert_batch_independent(Scaled())


def test_a_result_for_all_examples_together_is_nothing_to_compare() -> None:
    with pytest.raises(ContractError, match="no batch in the arguments or the results"):
        assert_batch_independent(Vectors())


class InPlace(Module):
    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return x.mul_(2)


def test_a_module_that_changes_its_argument_gets_a_copy() -> None:
    assert_batch_independent(InPlace())


class Counting(Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        self.calls += 1
        return x + self.calls


class Zeroed(Module):
    """Lets examples see one another before a layer that is zero at first."""

    def __init__(self) -> None:
        super().__init__()
        self.last = nn.Linear(3, 3)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        result: Tensor = self.last(x - x.mean(0))
        return result


class Pixels(Module):
    """Makes float32 of what it gets, whatever its weights are."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 2)

    def forward(self, x: UInt8[Tensor, "batch 3"]) -> Float[Tensor, "batch 2"]:
        result: Tensor = self.linear(x.float() / 255)
        return result


class Gram(Module):
    def forward(
        self, x: Float[Tensor, "batch 3"]
    ) -> tuple[Float[Tensor, "batch 3"], Float[Tensor, "batch batch"]]:
        return x, x @ x.T


class Either(Module):
    def forward(
        self, x: Float[Tensor, "batch 3"] | Int64[Tensor, "batch"], y: Float[Tensor, "batch 3"]
    ) -> Float[Tensor, "batch 3"]:
        return y + (x if x.dim() == 2 else x[:, None])


def test_a_state_is_told_apart_from_the_batch() -> None:
    with pytest.raises(AssertionError, match="the second time; it has a state"):
        assert_batch_independent(Counting())


def test_zeros_hide_nothing() -> None:
    with pytest.raises(AssertionError, match="example 0 has a different result alone"):
        assert_batch_independent(Zeroed())


def test_a_module_that_takes_no_float64_is_compared_in_float32() -> None:
    assert_batch_independent(Pixels())


def test_what_cannot_be_cut_is_refused() -> None:
    with pytest.raises(ContractError, match=r"return\[1\]: .* cannot be cut to one example"):
        assert_batch_independent(Gram())


def test_one_example_shows_nothing() -> None:
    with pytest.raises(ContractError, match="no call has a batch of 2 or more"):
        assert_batch_independent(Pixels(), inputs(Pixels(), batch=1))


def test_unions_are_cut_too() -> None:
    assert_batch_independent(Either())
