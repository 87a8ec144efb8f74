"""Corner cases of proofs: values, texts, rounding, layouts, coincidences."""

import collections
import logging
import random
from collections.abc import Callable
from typing import Any

import pytest
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from shapezoo import (
    Module,
    Proof,
    Proved,
    ProvedInPart,
    Refuted,
    Unknown,
    checked,
    prove,
)

SIZES = range(1, 21)
TABLE = 16


class Positions(nn.Module):
    """Looks up positions that it creates itself."""

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
    """Whether preconditions on one axis agree with real kernels."""
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


@pytest.mark.slow
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
    halves = prove(Positions(lambda net, x: net.table[(positions(x) * 0.5).long()]))
    assert isinstance(halves, ProvedInPart)
    roots = prove(Positions(lambda net, x: net.table[positions(x).sqrt().long()]))
    assert isinstance(roots, Unknown)


def test_indices_that_are_arguments_are_taken_to_be_valid() -> None:
    @checked
    def pick(x: Float[Tensor, "seq"], index: Int64[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        return x[index]

    assert prove(pick).preconditions == ()


SIZED: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "an order": lambda net, x: net.table[(positions(x) % 4).argsort()],
    "a buffer and a size": lambda net, x: net.table[net.indices[:1] + x.shape[0]] + x,
    "a fill": lambda net, x: net.table[x.new_full((1,), x.shape[0], dtype=torch.int64)] + x,
    "a sum": lambda net, x: net.table[torch.ones_like(x, dtype=torch.int64).cumsum(0) - 1],
    "a permutation": lambda net, x: net.table[torch.randperm(x.shape[0])],
    "a literal": lambda net, x: net.table[torch.tensor([x.shape[0] - 1])] + x,
    "a list": lambda net, x: net.table[[0, x.shape[0] - 1]][:1] + x,
    "numbers": lambda net, x: net.table[torch.where(x[:1] > 0, 0, x.shape[0] - 1)] + x,
    "an argument and positions": lambda net, x: net.table[(x * 0).long() + positions(x)],
    "an order of an argument": lambda net, x: net.table[x.argsort()],
    "a masked one": lambda net, x: net.table[positions(x).masked_fill(x < 0, 0)],
    "written to through a view": lambda net, x: net.table[added_to(positions(x))],
    "an order along another axis": lambda net, x: (
        x + net.table[x[:, None].expand(-1, 4).argsort(dim=0, stable=True)].sum()
    ),
    "the greatest of sizes": lambda net, x: (
        x + net.table[torch.full((2,), x.shape[0]).max()[None]].sum()
    ),
    "written to through a diagonal": lambda net, x: x + net.table[diagonal(x.shape[0])].sum(),
    "an argument beside a size": lambda net, x: net.table[(x * 0).long() + x.shape[0]],
    "a loss": lambda net, x: (
        x + functional.cross_entropy(x[:, None].expand(-1, TABLE), positions(x))
    ),
}


def added_to(whole: Tensor) -> Tensor:
    whole[:].add_(5)
    return whole


def diagonal(size: int) -> Tensor:
    square = torch.zeros(4, 4, dtype=torch.int64)
    square.diagonal().fill_(size)
    return square


@pytest.mark.slow
@pytest.mark.parametrize("name", SIZED)
def test_an_index_that_follows_from_sizes_is_never_taken_to_be_valid(name: str) -> None:
    net = Positions(SIZED[name])
    with pytest.raises((IndexError, RuntimeError)):
        net(torch.zeros(TABLE + 4))
    proof = prove(net, budget=10)
    refused = not all(c.holds({"seq": TABLE + 4}) for c in proof.preconditions)
    assert refused or not isinstance(proof, Proved), proof


def test_an_index_without_elements_is_never_out_of_range() -> None:
    class Repeated(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(TABLE, 1)

        def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch"]:
            index = torch.arange(x.shape[0])[None].repeat(x.shape[1] % 3, 1)
            found: Tensor = self.embedding(index)
            return x[:, 0] + found.sum()

    net = Repeated()
    proof = prove(net)
    for sizes in ((17, 3), (17, 2), (16, 2)):
        named = dict(zip(("batch", "seq"), sizes, strict=True))
        is_accepted = all(condition.holds(named) for condition in proof.preconditions)
        assert not proof.is_exact or is_accepted == (sizes != (17, 2))


def test_what_a_model_catches_is_not_known_all_the_same() -> None:
    @checked
    def caught(x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
        try:
            last = torch.arange(x.shape[0])[-1].item()
        except RuntimeError:
            last = 0
        return x if last < 100 else x[1:]

    assert not isinstance(prove(caught, budget=10), Proved)


def test_literal_indices_are_known() -> None:
    proof = prove(Positions(lambda net, x: net.table[torch.tensor([0, 3])][:1] + x))
    assert isinstance(proof, Proved)


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
    proof = prove(function(lambda x: refuse(x, not accepts(x.shape[0]))), budget=6)
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


def test_a_text_that_decides_an_error() -> None:
    proof = prove(function(lambda x: refuse(x, str(x.shape[0]) not in ("8", "16"))), budget=10)
    assert not isinstance(proof, Refuted | Proved)


def asserted(x: Tensor) -> Tensor:
    assert str(x.shape[0]) in ("8", "16")
    return x


def test_a_text_in_the_condition_of_an_assertion_decides() -> None:
    assert not isinstance(prove(function(asserted), budget=10), Refuted | Proved)


def told(x: Tensor) -> Tensor:
    torch._assert(x.shape[0] % 4 == 0, f"{x.shape[0]} is refused")
    assert x.shape[0] > 4, f"{x.shape[0]} is too small"
    logging.getLogger(__name__).debug(f"got {tuple(x.shape)}")
    return x


def test_texts_of_messages_and_logs_decide_nothing() -> None:
    proof = prove(function(told))
    assert isinstance(proof, Proved)
    assert proof.is_exact
    assert set(map(str, proof.preconditions)) == {"seq >= 8", "seq % 4 == 0"}


def test_an_argument_called_returns_is_not_a_result() -> None:
    class Inner(Module):
        def forward(
            self, x: Float[Tensor, "batch"], returns: Float[Tensor, "batch"]
        ) -> Float[Tensor, "batch"]:
            return x + returns

    class Outer(Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = Inner()

        def forward(
            self, x: Float[Tensor, "batch"], y: Float[Tensor, "seq"]
        ) -> Float[Tensor, "batch"]:
            result: Tensor = self.inner(x, y)
            return result

    proof = prove(Outer())
    assert isinstance(proof, Proved)
    assert list(map(str, proof.preconditions)) == ["batch == seq"]


def test_python_functions_of_sizes_are_those_of_numbers() -> None:
    accepted: list[tuple[Callable[[Tensor], Tensor], Callable[[int], bool]]] = [
        (lambda x: x * {4: 1, 6: 2}[x.shape[0]], lambda n: n in (4, 6)),
        (lambda x: refuse(x, x.shape[0] not in {4, 6}), lambda n: n in (4, 6)),
        (
            lambda x: refuse(x, not (isinstance(x.shape[0], int) and x.shape[0] > 7)),
            lambda n: n > 7,
        ),
        (lambda x: refuse(x, divmod(x.shape[0], 3) == (2, 0)), lambda n: n != 6),
    ]
    for body, is_accepted in accepted:
        proof = prove(function(body))
        assert isinstance(proof, Proved), str(proof)
        for n in range(1, 20):
            holds = all(condition.holds({"seq": n}) for condition in proof.preconditions)
            assert holds or not is_accepted(n)
            assert is_accepted(n) or not (holds and proof.is_exact)


def test_sizes_that_only_numbers_can_be_used_for_are_not_known() -> None:
    proof = prove(function(lambda x: refuse(x, x.shape[0].bit_count() > 2)), budget=10)
    assert not isinstance(proof, Refuted | Proved)


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


def test_an_argument_of_a_constructor_is_not_an_axis_of_the_same_name() -> None:
    proof = prove(Clipped)
    assert isinstance(proof, Refuted)
    assert proof.axes == ("batch", "channels", "init_channels")
    assert proof.counterexample.sizes == {"batch": 1, "channels": 2, "init_channels": 1}
    assert "Clipped(channels=1)" in proof.counterexample.snippet


def test_names_that_are_made_up_are_those_of_no_axis() -> None:
    @checked
    def picked(
        x: Float[Tensor, "*batch"], y: Float[Tensor, "batch_0"], z: Float[Tensor, "batch"]
    ) -> Float[Tensor, "*batch"]:
        return x if x.shape[:1] in (y.shape, z.shape) or x.dim() == 0 else x[:0]

    proof = prove(picked)
    assert isinstance(proof, Refuted)
    assert {"batch", "batch_"} <= {*proof.axes}


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


@pytest.mark.parametrize(
    "body",
    [
        lambda x: x[: int(x.sum().item()) + x.shape[0]],
        lambda x: x if x.sum() > -1 else x[1:],
        lambda x: x[x >= 0],
        lambda x: x[x.nonzero()[:, 0].shape[0] :],
        lambda x: x.unique().expand(x.shape[0]),
        lambda x: torch.from_numpy(x.numpy()),
        lambda x: x.repeat_interleave(x.long() + 1),
    ],
)
def test_what_the_data_decide_is_never_proved(body: Callable[[Tensor], Tensor]) -> None:
    assert isinstance(prove(function(body), budget=10), Unknown | ProvedInPart)


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


def test_iterators_and_queues_are_as_before_in_each_run() -> None:
    class Draws(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.numbers = iter(range(99))
            self.queue = collections.deque([0])

        def forward(self, x: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
            self.queue.append(1)
            return x + next(self.numbers) + self.queue.popleft()

    net = Draws()
    proof = prove(net)
    assert isinstance(proof, Proved)
    assert proof.rests_on.kept == ("numbers", "queue")
    assert next(net.numbers) == 0
    assert list(net.queue) == [0]


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
