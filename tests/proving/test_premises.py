"""What a verdict rests on: the layout of arguments, gradients, and which indices are given."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from shapezoo import Proved, Refuted, Unknown, prove

Images = Float[Tensor, "height width"]


def in_pairs(x: Images) -> Images:
    x.view(-1, 2)
    return x


def joined(x: Float[Tensor, "4 height width"]) -> Float[Tensor, "4*height width"]:
    return x.transpose(0, 1).view(x.shape[0] * x.shape[1], *x.shape[2:])


def copied_first(x: Images) -> Images:
    x.contiguous().view(-1, 2)
    return x


@pytest.mark.parametrize(
    ("function", "needed"), [(in_pairs, ("x",)), (joined, ("x",)), (copied_first, ())]
)
def test_a_layout_that_matters_is_reported(
    function: Callable[[Tensor], Tensor], needed: tuple[str, ...]
) -> None:
    """At 3 by 2, pairs can be made of transposed data; and `joined` refuses contiguous ones."""
    proof = prove(function)
    assert isinstance(proof, Proved)
    assert proof.rests_on.contiguous == needed


class Learned(nn.Module):
    """Has a parameter, and uses it as `use` does."""

    def __init__(self, use: Callable[[Tensor, nn.Parameter], Tensor]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(5, 4))
        self.use = use

    def forward(self, x: Float[Tensor, "seq 4"]) -> Float[Tensor, "seq 4"]:
        return self.use(x, self.weight)


class Looked(nn.Module):
    """Reads a table of integers, and may write to it too."""

    table: Tensor

    def __init__(self, *, is_counting: bool) -> None:
        super().__init__()
        self.register_buffer("table", torch.tensor([1, 0, 2]))
        self.is_counting = is_counting

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        if self.is_counting:
            self.table.add_(0)
        return x[:, self.table]


def test_a_call_that_only_reads_a_table_is_any_call() -> None:
    proof = prove(Looked(is_counting=False))
    assert isinstance(proof, Proved)
    assert proof.rests_on.calls == "any"
    assert prove(Looked(is_counting=True)).rests_on.kept == ("table",)


def written(x: Tensor, weight: nn.Parameter) -> Tensor:
    weight[0] = 0.0
    return x + weight[0]


def written_to_chunk(x: Tensor, weight: nn.Parameter) -> Tensor:
    (x * weight[0]).chunk(2, 1)[0].add_(1.0)
    return x


def summed_if_learned(x: Tensor, weight: nn.Parameter) -> Tensor:
    return x.sum(0) if (x * weight[0]).grad_fn is not None else x


def differentiated(x: Tensor, weight: nn.Parameter) -> Tensor:
    return x + torch.autograd.grad((x * weight[0]).sum(), [weight])[0].sum()


def detached(x: Tensor, weight: nn.Parameter) -> Tensor:
    return x + weight.detach().clone().mul_(2.0)[0]


USES: list[tuple[Any, Any, Any, str]] = [
    (written, Refuted, Proved, "on"),
    (written_to_chunk, Refuted, Proved, "on"),
    (
        summed_if_learned,
        Refuted | Unknown,
        Refuted | Unknown,
        "",
    ),  # it asks for gradients of what rules make
    (differentiated, Proved, Refuted, "on"),
    (detached, Proved, Proved, ""),
]


@pytest.mark.parametrize(("use", "verdict", "without", "gradients"), USES)
def test_gradients_are_as_they_are_for_prove(
    use: Any, verdict: type, without: Any, gradients: str
) -> None:
    proof = prove(Learned(use))
    assert isinstance(proof, verdict)
    assert proof.rests_on.gradients == gradients
    with torch.no_grad():
        assert isinstance(prove(Learned(use)), without)


def test_a_refutation_without_gradients_can_be_replayed() -> None:
    def summed_without(x: Tensor, weight: nn.Parameter) -> Tensor:
        return x if torch.is_grad_enabled() else x.sum(0)

    proof = prove(model := Learned(summed_without))
    assert isinstance(proof, Refuted)
    assert "with torch.set_grad_enabled(False):" in proof.counterexample.snippet
    with pytest.raises(type(proof.counterexample.error)):
        proof.counterexample.replay(model=model)


def test_what_raises_for_some_tokens_may_break_the_contract_for_others() -> None:
    """With one column, zeros count to an index that is out of range, and ones do not."""

    def counted(
        x: Float[Tensor, "seq hidden"], tokens: Int64[Tensor, "seq"]
    ) -> Float[Tensor, "seq hidden"]:
        x.index_select(1, tokens.ne(1).cumsum(0).clamp(max=1))
        return x.sum(0) if x.shape[1] == 1 else x

    with pytest.raises((IndexError, RuntimeError)):
        counted(torch.zeros(3, 1), torch.zeros(3, dtype=torch.int64))
    proof = prove(counted)
    assert isinstance(proof, Refuted)
    assert proof.counterexample.sizes["hidden"] == 1


def test_what_masks_decide_is_not_put_down_to_layout_or_gradients() -> None:
    """From six on, a mask of ones raises and one of zeros does not."""

    def masked(x: Float[Tensor, "seq 4"], mask: Bool[Tensor, "seq"]) -> Float[Tensor, "seq 4"]:
        return x + torch.ones(6).index_select(0, mask.sum()[None])

    proof = prove(masked)
    assert isinstance(proof, Proved)
    assert [str(condition) for condition in proof.preconditions] == ["seq <= 5"]
    assert not proof.rests_on.contiguous
    assert not proof.rests_on.gradients


def test_layouts_are_tried_where_one_axis_is_one() -> None:
    """A product over one position only is as its argument lies in memory."""

    def viewed(
        x: Float[Tensor, "batch seq 4"],
        y: Float[Tensor, "batch seq"],
        z: Float[Tensor, "classes"],
    ) -> Float[Tensor, "classes batch*4//classes"]:
        return torch.einsum("abc,ab->ac", x, y).view(z.shape[0], -1)

    reversed_ = torch.zeros(4, 1, 12).permute(2, 1, 0)
    with pytest.raises(RuntimeError, match="view size"):
        viewed(reversed_, torch.zeros(12, 1), torch.zeros(3))
    proof = prove(viewed)
    assert isinstance(proof, Proved)
    assert proof.rests_on.contiguous == ("x",)
