"""Where a proof is easily wrong: values, texts, rounding, layouts, coincidences."""

import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import Module, Proof, Proved, ProvedInPart, Refuted, Unknown, checked, prove
from shapezoo.proving.bounds import Values

SIZES = range(1, 21)
TABLE = 16


class Positions(nn.Module):
    """Looks something up at positions that it makes itself."""

    def __init__(self, look_up: Callable[["Positions", Tensor], Tensor]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(TABLE))
        self.embedding = nn.Embedding(TABLE, 1)
        self.register_buffer("indices", torch.arange(TABLE))
        self.look_up = look_up

    def forward(self, x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
        return self.look_up(self, x)


def positions(x: Tensor) -> Tensor:
    return torch.arange(x.shape[0])


def agrees(proof: Proof, accepts: Callable[[int], bool]) -> bool:
    """Whether preconditions on one axis say what real kernels do."""
    (axis,) = proof.axes
    return all(
        accepts(size) == all(condition.holds({axis: size}) for condition in proof.preconditions)
        for size in SIZES
    )


LOOK_UPS: dict[str, tuple[Callable[[Any, Tensor], Tensor], list[str]]] = {
    "embedding": (lambda net, x: net.embedding(positions(x))[:, 0], ["seq <= 16"]),
    "index": (lambda net, x: net.table[positions(x)], ["seq <= 16"]),
    "from the end": (lambda net, x: net.table[-positions(x) - 1], ["seq <= 16"]),
    "take": (lambda net, x: net.table.take(positions(x)), ["seq <= 16"]),
    "gather": (lambda net, x: net.table.gather(0, positions(x)), ["seq <= 16"]),
    "index_select": (lambda net, x: net.table.index_select(0, positions(x)), ["seq <= 16"]),
    "scatter": (lambda net, x: x + net.table.scatter(0, positions(x), 1.0)[0], ["seq <= 16"]),
    "one_hot": (lambda net, x: functional.one_hot(positions(x), TABLE)[:, 0] * 1.0, ["seq <= 16"]),
    "as_strided": (lambda net, x: net.table.as_strided(x.shape, (1,)), ["seq <= 16"]),
    "shifted": (lambda net, x: net.table[positions(x) + 2], ["seq <= 14"]),
    "in steps": (lambda net, x: net.table[torch.arange(0, 2 * x.shape[0], 2)], ["seq <= 8"]),
    "clamped": (lambda net, x: net.table[positions(x).clamp(max=TABLE - 1)], []),
    "modulo": (lambda net, x: net.table[positions(x) % TABLE], []),
    "relative": (
        lambda net, x: net.table[positions(x)[:, None] - positions(x) + len(net.table) // 2][:, 0],
        ["seq <= 8"],
    ),
}


@pytest.mark.parametrize("name", LOOK_UPS)
def test_a_table_is_long_enough_or_it_is_a_precondition(name: str) -> None:
    look_up, preconditions = LOOK_UPS[name]
    net = Positions(look_up)
    proof = prove(net)
    assert isinstance(proof, Proved), proof
    assert proof.is_exact
    assert list(map(str, proof.preconditions)) == preconditions

    def accepts(size: int) -> bool:
        try:
            net(torch.zeros(size))
        except (IndexError, RuntimeError):
            return False
        return True

    assert agrees(proof, accepts)


def test_positions_that_cannot_be_followed_are_not_taken_to_be_valid() -> None:
    assert isinstance(
        prove(Positions(lambda net, x: net.table[(positions(x) * 0.5).long()])), Unknown
    )
    assert isinstance(prove(Positions(lambda net, x: net.table[positions(x).add_(1) - 1])), Unknown)


def test_indices_that_are_arguments_are_taken_to_be_valid() -> None:
    @checked
    def pick(x: Float[Tensor, "seq"], index: Int64[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x[index]

    assert prove(pick).preconditions == ()


def test_values_are_forgotten_where_they_are_written_to() -> None:
    values = Values()
    one, other = torch.zeros(3, dtype=torch.int64), torch.zeros(3, dtype=torch.int64)
    values.set_constant([])
    values.follow("arange", [3], {}, one)
    values.check("index", [torch.zeros(3), [one]])
    with pytest.raises(IndexError):
        values.check("index", [torch.zeros(2), [one]])
    values.follow("add_", [other, 1], {}, other)
    with pytest.raises(Exception, match="not followed"):
        values.check("index", [torch.zeros(3), [one]])


def function(body: Callable[[Tensor], Tensor]) -> Callable[..., Any]:
    def forward(x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
        return body(x)

    return forward


def refuse(x: Tensor, condition: bool) -> Tensor:
    if condition:
        raise ValueError(f"{x.shape[0]} is refused")
    return x


CONDITIONS: dict[str, Callable[[int], bool]] = {
    "a multiple": lambda n: n % 6 == 0,
    "a quotient": lambda n: n != 3 and 12 // (n - 3) >= 2,
    "a remainder": lambda n: n > 2 and 12 % (n - 2) == 0,
    "half": lambda n: n / 2 >= 3.5,
    "half rounded": lambda n: int(n * 0.5) == 3,
    "one of three": lambda n: n in (4, 8, 16),
    "a distance": lambda n: abs(n - 7) <= 2,
    "a power": lambda n: n**2 >= 50,
    "between": lambda n: 3 < n <= 9,
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_conditions_are_found_exactly_or_not_claimed(name: str) -> None:
    accepts = CONDITIONS[name]
    proof = prove(function(lambda x: refuse(x, not accepts(x.shape[0]))), budget=20)
    assert not isinstance(proof, Refuted), proof
    if proof.is_exact:
        assert agrees(proof, accepts), proof
    definite = {region.smallest["seq"] for region in proof.regions if region.smallest}
    for region in proof.regions:
        if region.outcome in ("holds", "raises") and region.smallest:
            assert accepts(region.smallest["seq"]) == (region.outcome == "holds")
    assert definite or isinstance(proof, Unknown)


@pytest.mark.parametrize("name", ["a multiple", "a quotient", "half", "a distance", "between"])
def test_ordinary_conditions_are_found(name: str) -> None:
    proof = prove(function(lambda x: refuse(x, not CONDITIONS[name](x.shape[0]))))
    assert isinstance(proof, Proved)
    assert proof.is_exact


@pytest.mark.parametrize(
    "accepts",
    [lambda n: n * (1 / 3) >= 1, lambda n: n / 0.1 < 30, lambda n: int(n * (1 / 3)) >= 2],
)
def test_what_floating_point_rounds_is_not_claimed(accepts: Callable[[int], bool]) -> None:
    proof = prove(function(lambda x: refuse(x, not accepts(x.shape[0]))), budget=10)
    assert isinstance(proof, Unknown | ProvedInPart)
    assert not proof.is_exact


def test_the_text_of_a_size_is_that_of_a_number() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.heads = nn.ModuleDict({"4": nn.Linear(4, 2), "8": nn.Linear(8, 2)})

        def forward(self, x: Float[Tensor, "batch features"]) -> Float[Tensor, "batch 2"]:
            result: Tensor = self.heads[str(x.shape[1])](x)
            return result

    proof = prove(Heads())
    assert not isinstance(proof, Refuted | Proved)
    assert prove(Heads(), assume="features == 4 or features == 8").regions[0].outcome == "holds"


def test_the_text_in_an_error_decides_nothing() -> None:
    proof = prove(function(lambda x: refuse(x, x.shape[0] % 16 != 0)))
    assert isinstance(proof, Proved)
    assert list(map(str, proof.preconditions)) == ["seq % 16 == 0"]


class Clipped(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, x: Float[Tensor, "batch channels"]) -> Float[Tensor, "batch channels"]:
        return x[:, : self.channels]


def test_an_argument_of_a_constructor_is_no_axis_of_the_same_name() -> None:
    proof = prove(Clipped)
    assert isinstance(proof, Refuted)
    assert proof.axes == ("batch", "channels", "init_channels")
    assert proof.counterexample.sizes == {"batch": 1, "channels": 2, "init_channels": 1}
    assert "Clipped(channels=1)" in proof.counterexample.snippet


def test_layouts_are_tried_where_axes_must_be_equal() -> None:
    @checked
    def square(x: Float[Tensor, "height width"]) -> Float[Tensor, "height*width"]:
        if x.shape[0] != x.shape[1]:
            raise ValueError
        return x.reshape(-1) if x.T.relu().is_contiguous() else x

    @checked
    def viewed(x: Float[Tensor, "batch seq 4"]) -> Float[Tensor, "batch seq*4"]:
        return x.transpose(1, 2).relu().view(x.shape[0], -1)

    proof = prove(square)
    assert isinstance(proof, Refuted)
    assert proof.counterexample.sizes == {"height": 2, "width": 2}
    assert list(map(str, prove(viewed).preconditions)) == ["seq == 1"]


def test_contracts_without_a_size_that_is_open() -> None:
    class Fixed(Module):
        def __init__(self, width: int) -> None:
            super().__init__()
            self.linear = nn.Linear(3, width)

        def forward(self, x: Float[Tensor, "1 3"]) -> Float[Tensor, "1 2"]:
            result: Tensor = self.linear(x)
            return result

    assert isinstance(prove(Fixed(2)), Proved)
    assert isinstance(prove(Fixed(3)), Refuted)


def test_what_was_found_by_trying_is_the_smallest_too() -> None:
    @checked
    def cut(x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        return x if bool(torch.tensor(x.shape[1]) < 6) else x[:, :-1]

    proof = prove(cut, budget=10)
    assert isinstance(proof, Refuted)
    assert proof.counterexample.sizes == {"batch": 1, "seq": 6}


def test_sizes_that_only_the_data_decide() -> None:
    @checked
    def positive(x: Float[Tensor, "seq"]) -> Float[Tensor, "_"]:
        return x[x > 0]

    assert isinstance(prove(positive), Unknown)


def test_axes_that_are_called_like_words_of_python() -> None:
    @checked
    def pooled(x: Float[Tensor, "batch in"]) -> Float[Tensor, "batch"]:
        return x[:, 2]

    proof = prove(pooled)
    assert isinstance(proof, Proved)
    assert not proof.is_exact


def test_a_mask_given_in_many_ways() -> None:
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

        def forward(
            self, x: Float[Tensor, "batch seq 8"], mask: Bool[Tensor, "batch seq"] | None = None
        ) -> Float[Tensor, "batch seq 8"]:
            result: Tensor
            result, _ = self.attention(x, x, x, key_padding_mask=mask, need_weights=False)
            return result

    proof = prove(Attention().eval())
    assert isinstance(proof, Proved)
    assert [case.label for case in proof.cases] == ["mask=None", "mask given"]


def test_generators_and_parameters_are_left_alone() -> None:
    class Writes(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(3))
            self.kept = [torch.zeros(3)]

        def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
            self.weight.data.add_(1)
            self.kept[0].add_(1)
            return functional.dropout(x) + random.random()

    before, python = torch.get_rng_state(), random.getstate()
    net = Writes()
    prove(net)
    prove(Writes)
    assert torch.equal(net.weight, torch.zeros(3))
    assert torch.equal(net.kept[0], torch.zeros(3))
    assert torch.equal(torch.get_rng_state(), before)
    assert random.getstate() == python


def test_no_sizes_meet_what_is_assumed() -> None:
    proof = prove(function(lambda x: x), assume="seq > 5 and seq < 3")
    assert isinstance(proof, Unknown)
    assert proof.reason == "no sizes meet the assumptions"
