"""Values that become indices: bounds against true values, and limits against brute force."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch._dynamo.source import ConstantSource
from torch.fx.experimental import symbolic_shapes

from shapezoo import Proof, Proved, ProvedInPart, Refuted, Unknown, prove
from shapezoo.contracts.matching.proof_mode import hint_of
from shapezoo.proving.paths import symbolic_run as symbolic
from shapezoo.proving.paths.environment import Environment
from shapezoo.proving.rules.intervals import BOOL, CALLER, UNKNOWN, ValueRange, in_dtype, join
from shapezoo.proving.rules.values.constants import Constant, as_range
from shapezoo.proving.rules.values.monotone import MonotoneValues
from shapezoo.proving.rules.values.value_ranges import ValueRanges

SIZES = range(1, 61)

Look = Callable[[Any, Tensor], Tensor]
"""Makes an index from a net and its argument."""


class Net(nn.Module):
    """A table that is looked up at an index, with some constants to make the index of."""

    def __init__(self, index: Look, rows: int = 20) -> None:
        super().__init__()
        self.table = nn.Embedding(rows, 1)
        self.register_buffer("ids", torch.arange(50))
        self.register_buffer("falling", torch.arange(30, 0, -1))
        self.register_buffer("hat", 25 - (torch.arange(50) - 25).abs())
        self.register_buffer("distances", (torch.arange(50)[:, None] - torch.arange(50)).abs())
        self.register_buffer("types", torch.zeros(1, 50, dtype=torch.int64))
        self.register_buffer("one", torch.ones(3, dtype=torch.uint8))
        self.register_buffer("is_shifted", torch.tensor(True))
        self.plain = [torch.arange(50)]
        self.index = index

    def looked_up(self, x: Tensor) -> Tensor:
        found: Tensor = self.table(self.index(self, x))
        return found.sum()


class OfFloats(Net):
    def forward(self, x: Float[Tensor, "seq"]) -> Float[Tensor, ""]:
        return self.looked_up(x) + x.sum() * 0


class OfTokens(Net):
    def forward(self, x: Int64[Tensor, "seq"]) -> Float[Tensor, ""]:
        return self.looked_up(x)


class OfMask(Net):
    def forward(self, x: Bool[Tensor, "seq"]) -> Float[Tensor, ""]:
        return self.looked_up(x)


def positions(x: Tensor, **options: Any) -> Tensor:
    return torch.arange(x.shape[0], **options)


def written(whole: Tensor, value: int) -> Tensor:
    whole[1:] = value
    return whole


def inverse(order: Tensor, size: int) -> Tensor:
    """The inverse of an order of positions, if it has that size."""
    found = torch.empty(size, dtype=torch.int64).fill_(25)
    found[order] = torch.arange(order.shape[0])
    return found


COUNTED: dict[str, tuple[type[Net], Look]] = {
    "running count": (OfTokens, lambda net, x: x.ne(1).cumsum(0)),
    "running count of a mask": (OfMask, lambda net, x: (x.cumsum(0) - 1).clamp(min=0)),
    "padded positions": (OfTokens, lambda net, x: x.ne(1).int().cumsum(0).type_as(x) * x.ne(1) + 1),
    "a sum of a mask": (OfMask, lambda net, x: x.sum()),
    "a sum of a mask as it is": (
        OfMask,
        lambda net, x: x.to(torch.int32).sum(0, dtype=torch.int64),
    ),
    "a count": (OfMask, lambda net, x: x.count_nonzero()),
    "a count of zeros": (OfMask, lambda net, x: (~x).long().sum(-1, keepdim=True)),
    "distances": (OfFloats, lambda net, x: (positions(x)[:, None] - positions(x)).abs()),
    "signs": (OfFloats, lambda net, x: (positions(x)[:, None] - positions(x)).sign() + 18),
    "a search": (
        OfFloats,
        lambda net, x: torch.searchsorted(positions(x).float(), x + 2 * x.shape[0]),
    ),
    "random": (OfFloats, lambda net, x: torch.randint(x.shape[0], (400,))),
    "a permutation": (OfFloats, lambda net, x: torch.randperm(x.shape[0])),
    "an inverse order": (OfFloats, lambda net, x: inverse(x.argsort(), x.shape[0])),
    "a grid": (OfFloats, lambda net, x: torch.linspace(0, x.shape[0] - 1, 5).long()),
    "places": (OfFloats, lambda net, x: positions(x).argmax()),
    "clamped from above and below": (
        OfFloats,
        lambda net, x: (positions(x).sqrt().long() - 5).clamp(0, 19),
    ),
    "tokens next to positions": (OfTokens, lambda net, x: torch.cat([x, positions(x)])),
    "tokens up to a size": (OfTokens, lambda net, x: (x + 0).clamp(max=x.shape[0])),
    "tokens beyond a size": (OfTokens, lambda net, x: x.clamp(min=x.shape[0])),
    "tokens modulo a size": (OfTokens, lambda net, x: (x + x.shape[0] - 1) % x.shape[0]),
    "a literal with a size": (OfFloats, lambda net, x: torch.tensor([0, x.shape[0]])),
}
"""Indices that are made from sizes; each net has a limit, or none."""

CONSTANT: dict[str, tuple[type[Net], Look]] = {
    "a slice": (OfFloats, lambda net, x: net.ids[: x.shape[0]]),
    "a slice with a start": (OfFloats, lambda net, x: net.ids[3 : x.shape[0]]),
    "a slice in steps": (OfFloats, lambda net, x: net.ids[: x.shape[0] : 2]),
    "a slice that starts at a size": (
        OfFloats,
        lambda net, x: net.ids[x.shape[0] - 1 : x.shape[0]],
    ),
    "a slice of a slice": (OfFloats, lambda net, x: net.ids[5:][: x.shape[0]]),
    "a slice of a size of a slice": (OfFloats, lambda net, x: net.ids[: x.shape[0]][2:]),
    "shifted": (OfFloats, lambda net, x: net.ids[: x.shape[0]] * 2 + 1),
    "shifted by a size": (OfFloats, lambda net, x: net.ids[: x.shape[0]] + x.shape[0]),
    "in another dtype": (OfFloats, lambda net, x: net.ids.int()[: x.shape[0]]),
    "falling": (OfFloats, lambda net, x: net.falling[: x.shape[0]] - 11),
    "falling from the limit": (OfFloats, lambda net, x: net.falling[11:][: x.shape[0]]),
    "rising and falling": (OfFloats, lambda net, x: net.hat[: x.shape[0]]),
    "in two directions": (OfFloats, lambda net, x: net.distances[: x.shape[0], : x.shape[0]]),
    "reshaped": (OfFloats, lambda net, x: net.distances[:3, : x.shape[0]].t().reshape(-1)),
    "all zero": (OfFloats, lambda net, x: net.types[:, : x.shape[0]].expand(2, -1)),
    "in a list": (OfFloats, lambda net, x: net.plain[0][: x.shape[0]]),
    "one position": (OfFloats, lambda net, x: net.ids[x.shape[0] - 1]),
    "a selected row": (OfFloats, lambda net, x: net.distances[7, : x.shape[0]]),
    "tokens and a slice": (OfTokens, lambda net, x: torch.where(x > 0, x, net.ids[: x.shape[0]])),
    "of a literal": (OfFloats, lambda net, x: torch.tensor([4, 9, 30])[: x.shape[0]]),
    "a triangle": (OfFloats, lambda net, x: torch.tril_indices(19, 19)[0, : x.shape[0]]),
    "a number": (OfFloats, lambda net, x: positions(x) + int(net.is_shifted)),
    "a buffer of bytes": (OfFloats, lambda net, x: net.one[: x.shape[0]].long() - 1),
}
"""Indices that are parts of constants."""

NARROW: dict[str, tuple[type[Net], Look]] = {
    "rounded": (OfFloats, lambda net, x: positions(x).bfloat16().long()),
    "made in a narrow dtype": (OfFloats, lambda net, x: positions(x, dtype=torch.half).long()),
    "added in floats": (OfFloats, lambda net, x: (positions(x).float() + 3).long()),
}
"""Indices that go through a narrow dtype, and stay small enough."""


def bucket(x: Tensor, num_buckets: int = 10, max_distance: int = 32) -> Tensor:
    """The bucket of a distance, as T5 has it."""
    exact = num_buckets // 2
    scale = (num_buckets - exact) / math.log(max_distance / exact)
    large = exact + (torch.log(x.float() / exact) * scale).long()
    large = torch.min(large, torch.full_like(large, num_buckets - 1))
    return torch.where(x < exact, x, large)


def relative(x: Tensor) -> Tensor:
    return positions(x)[None, :] - positions(x)[:, None]


def both_sides(x: Tensor) -> Tensor:
    found = (relative(x) > 0).long() * 10
    found += bucket(relative(x).abs())
    return found


def signed_buckets(x: Tensor, mid: int = 8) -> Tensor:
    """Positions in logarithmic buckets, as DeBERTa has them."""
    distance = relative(x)
    near = torch.where(
        distance.abs() < mid, torch.tensor(mid - 1).type_as(distance), distance.abs()
    )
    far = torch.ceil(torch.log(near / mid) / torch.log(torch.tensor(3.0)) * (mid - 1)) + mid
    found = torch.where(near <= mid, distance.type_as(far), far * distance.sign()).long()
    return torch.clamp(found + 10, 0, 19)


BUCKETS: dict[str, tuple[type[Net], Look]] = {
    "of one side": (OfFloats, lambda net, x: bucket(-relative(x).clamp(max=0)) + 10),
    "of both sides": (OfFloats, lambda net, x: both_sides(x)),
    "with a sign": (OfFloats, lambda net, x: signed_buckets(x)),
}
"""Buckets of relative positions, which fit into the table at all sizes."""

LOOSE: dict[str, tuple[type[Net], Look]] = {
    "a product of positions": (OfFloats, lambda net, x: positions(x) * (x.shape[0] - positions(x))),
    "a sum of positions": (OfFloats, lambda net, x: positions(x).sum()),
    "a running sum that falls": (OfFloats, lambda net, x: (-positions(x)).cumsum(0) + 19),
    "written to": (OfFloats, lambda net, x: written(net.ids.clone()[: x.shape[0]], 3)),
    "wrapped below": (OfFloats, lambda net, x: (positions(x, dtype=torch.uint8) - 0).long()),
}
"""Indices with bounds that are not reached, or not at all sizes: proved in part."""

CASES = COUNTED | CONSTANT | NARROW | BUCKETS


@pytest.mark.parametrize(
    "name",
    [
        *COUNTED,
        *(pytest.param(name, marks=pytest.mark.slow) for name in CASES if name not in COUNTED),
    ],
)
def test_a_limit_is_that_of_real_kernels(name: str) -> None:
    class_, index = CASES[name]
    net = class_(index).eval()
    proof = prove(net)
    assert isinstance(proof, Proved), proof
    assert proof.is_exact, proof
    assert [size for size in SIZES if accepts(net, size)] == allowed(proof)


@pytest.mark.parametrize("name", LOOSE)
def test_a_loose_limit_is_no_limit(name: str) -> None:
    class_, index = LOOSE[name]
    net = class_(index).eval()
    proof = prove(net)
    assert isinstance(proof, ProvedInPart), proof
    assert {size for size in SIZES if accepts(net, size)} <= {*allowed(proof)}


def accepts(net: nn.Module, size: int) -> bool:
    """Whether a net takes an argument of zeros, and one of ones."""
    dtypes = {OfFloats: torch.float32, OfTokens: torch.int64, OfMask: torch.bool}
    dtype = dtypes[type(net)]  # type: ignore[index]  # a net of these tests
    fills = [0, 1] if dtype == torch.bool else [0]
    try:
        for fill in fills:
            net(torch.full((size,), fill, dtype=dtype))
    except (IndexError, RuntimeError):
        return False
    return True


def allowed(proof: Proof) -> list[int]:
    return [n for n in SIZES if all(c.holds({"seq": n}) for c in proof.preconditions)]


NOT_CLAIMED: dict[str, tuple[type[Net], Look]] = {
    "rounded beyond the table": (OfFloats, lambda net, x: positions(x).bfloat16().long()),
    "wrapped to less": (OfFloats, lambda net, x: positions(x, dtype=torch.uint8).long()),
    "wrapped below zero": (
        OfFloats,
        lambda net, x: (torch.full((1,), x.shape[0], dtype=torch.uint8) - 255).long(),
    ),
    "nan in a float": (OfFloats, lambda net, x: x.std(0, correction=1).clamp(0, 5).long()),
    "a bound that is not reached": (OfFloats, lambda net, x: positions(x) - positions(x) + 255),
    "a product": (OfFloats, lambda net, x: positions(x).prod()),
    "a buffer that is written to": (OfFloats, lambda net, x: written(net.ids, 300)[: x.shape[0]]),
    "a view that is written to": (OfFloats, lambda net, x: written(net.ids[:9], 300)[: x.shape[0]]),
    "a part of what is written to": (
        OfFloats,
        lambda net, x: (written(net.ids[:9], 300), net.ids[: x.shape[0]])[1],
    ),
    "other bits": (OfFloats, lambda net, x: positions(x).view(torch.int32)),
    "a bucket of a distance from 0 on": (
        OfFloats,
        lambda net, x: torch.where(positions(x) < 0, positions(x), positions(x).log().long()),
    ),
    "a bucket of another distance": (
        OfFloats,
        lambda net, x: torch.where(relative(x) < 1, 0, relative(x).T.log().long().clamp(max=9)),
    ),
    "a square root": (OfFloats, lambda net, x: positions(x).sqrt().long()),
    "an inverse of half an order": (
        OfFloats,
        lambda net, x: inverse(x[: x.shape[0] // 2].argsort(), x.shape[0]) * 20,
    ),
    "an inverse of what was an order": (
        OfFloats,
        lambda net, x: inverse(written(x.argsort(), 0), x.shape[0]) * 20,
    ),
}
"""Indices of which something is not known: proved for no size at which real kernels raise."""


@pytest.mark.parametrize("name", NOT_CLAIMED)
def test_what_is_not_known_is_not_claimed(name: str) -> None:
    class_, index = NOT_CLAIMED[name]
    proof = prove(class_(index, rows=257).eval())
    assert isinstance(proof, Unknown | ProvedInPart | Refuted), proof
    assert not isinstance(proof, Refuted) or not any(
        accepts(class_(index, rows=257), size) for size in SIZES
    )


def filled(size: int, value: int, *places: slice) -> Tensor:
    """Zeros, with a value at some places."""
    data = torch.zeros(size, dtype=torch.int64)
    for place in places:
        data[place] = value
    return data


late = slice(10, None)
HERE_AND_THERE: dict[str, tuple[type[Net], Look]] = {
    "one place": (OfFloats, lambda net, x: filled(64, 99, slice(3, 4), late)[x.shape[0]]),
    "one place that rises": (OfFloats, lambda net, x: (torch.arange(64) - 50)[x.shape[0]]),
    "one place, as a slice": (
        OfFloats,
        lambda net, x: filled(64, 99, slice(2, 3), slice(11, 16)).narrow(0, x.shape[0], 1),
    ),
    "a window that moves": (
        OfFloats,
        lambda net, x: filled(99, 99, slice(20, 21))[x.shape[0] : x.shape[0] + 20],
    ),
    "a roll that is cut": (
        OfFloats,
        lambda net, x: filled(30, 99, slice(29, 30)).roll(x.shape[0])[:16],
    ),
    "the last position": (OfFloats, lambda net, x: positions(x)[-1:] - 40),
    "the greatest position": (OfFloats, lambda net, x: positions(x).max().view(1) - 40),
    "a remainder of a size": (OfFloats, lambda net, x: (torch.tensor(x.shape[0]) + 10) % 23),
    "a count of early positions": (
        OfMask,
        lambda net, x: (x & (positions(x) + x.shape[0] < 50)).sum(),
    ),
    "a count at most sizes": (
        OfMask,
        lambda net, x: (x & (torch.full((x.shape[0],), x.shape[0]) % 7 != 0)).sum(),
    ),
}
"""Indices that are out of range at some sizes, in range at larger ones, and perhaps out again."""


@pytest.mark.parametrize("name", HERE_AND_THERE)
def test_what_raises_at_small_sizes_need_not_raise_at_large_ones(name: str) -> None:
    class_, index = HERE_AND_THERE[name]
    net = class_(index).eval()
    proof = prove(net)
    accepted = {size for size in SIZES if accepts(net, size)}
    assert accepted
    assert not isinstance(proof, Refuted)
    assert accepted <= {*allowed(proof)}
    assert not (isinstance(proof, Proved) and proof.is_exact) or accepted == {*allowed(proof)}


def chosen_again(x: Tensor, mask: Tensor) -> Tensor:
    """The second index is never in range, but made in place of one that can be."""
    index = (2 * mask.sum(1) - x.shape[0]).abs()
    try:
        x[index]
    except IndexError:
        return x[:1].expand(mask.shape[0], x.shape[1])
    index += x.shape[0]
    return x[index]


def raised_later(x: Tensor, mask: Tensor) -> Tensor:
    is_bad = False
    try:
        return x[mask.sum(1) + x.shape[0]]
    except IndexError:
        is_bad = True
    if is_bad:
        raise ValueError
    return x


@pytest.mark.parametrize("function", [chosen_again, raised_later])
def test_an_index_that_the_model_catches_is_not_taken_to_be_in_range(function: Any) -> None:
    def forward(
        x: Float[Tensor, "seq hidden"], mask: Bool[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch hidden"]:
        result: Tensor = function(x, mask)
        return result

    assert not isinstance(prove(forward), Proved)


@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool])
def test_parts_of_nothing_are_nothing(dtype: torch.dtype) -> None:
    def cut(x: Float[Tensor, "seq"]) -> Float[Tensor, "0"]:
        return x[:0] + torch.zeros(0, dtype=dtype)[x.shape[0] - 1 : x.shape[0]].float()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is imaginary is lost
        assert isinstance(prove(cut), Proved)


def test_a_size_that_the_data_decide_is_not_taken_to_be_large() -> None:
    """Where an index is out of range, sizes are run that could make large tensors."""

    def forward(
        x: Float[Tensor, "batch height"], mask: Bool[Tensor, "width"]
    ) -> Float[Tensor, "batch height"]:
        x = x + torch.ones_like(mask, dtype=x.dtype)[mask].sum()
        return x + torch.ones(20)[torch.arange(x.shape[1])]

    assert list(map(str, prove(forward).preconditions)) == ["height <= 20"]


def test_data_that_are_set_are_not_known() -> None:
    def swapped(x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
        order = x.argsort()
        index = torch.full_like(order, 9999)
        order.data = torch.where(x > 1, torch.zeros_like(order), torch.arange(x.shape[0]))
        index[order] = torch.arange(x.shape[0])
        return x[index]

    with pytest.raises(IndexError):
        swapped(torch.arange(4.0))
    assert isinstance(prove(swapped), Unknown)


def test_a_size_in_a_tensor_of_floats_may_be_rounded() -> None:
    def cut(x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
        return x[: x.new_tensor(x.shape[0]).long()]

    assert not isinstance(prove(cut), Proved)


def test_lengths_are_at_most_as_their_axis() -> None:
    class Counted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(40, 4)

        def forward(
            self, x: Float[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]
        ) -> Float[Tensor, "batch 4"]:
            result: Tensor = x.sum() + self.table(lengths)
            return result

    assert list(map(str, prove(Counted().eval()).preconditions)) == ["seq <= 39"]


def test_a_part_of_a_constant_need_not_hold_its_greatest_value() -> None:
    """The last two numbers are 0 and 1; the limit is a size, to which each would be compared."""

    class Parted(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("places", torch.arange(16) % 7)

        def forward(self, x: Float[Tensor, "batch hidden"]) -> Float[Tensor, ""]:
            places = self.get_buffer("places")
            return x.index_select(1, places[x.shape[0] :]).sum()

    Parted()(torch.zeros(14, 5))
    proof = prove(Parted())
    claimed = [region for region in proof.regions if region.outcome == "raises"]
    point = {"batch": 14, "hidden": 5}
    assert not any(all(eval(g, {}, dict(point)) for g in region.guards) for region in claimed)
    assert not proof.is_exact or all(c.holds(point) for c in proof.preconditions)


def test_the_kernel_that_lost_the_values_is_named() -> None:
    proof = prove(OfFloats(lambda net, x: positions(x).sqrt().long() + 1))
    assert isinstance(proof, Unknown)
    assert "sqrt" in proof.reason


def test_an_index_of_a_list_needs_its_axis() -> None:
    class Pick(nn.Module):
        def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch 3"]:
            return x[:, [0, 2, 5]]

    assert list(map(str, prove(Pick()).preconditions)) == ["seq >= 6"]


def test_a_mask_as_an_index_may_be_written_through() -> None:
    class Fill(nn.Module):
        def forward(
            self, x: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch seq"]
        ) -> Float[Tensor, "batch seq"]:
            x = x.clone()
            x[mask] = 0
            return x

    assert isinstance(prove(Fill()), Proved)


LEAVES: list[Callable[[Tensor, Any], Tensor]] = [
    lambda buffer, n: torch.arange(n),
    lambda buffer, n: torch.arange(n) > 2,
    lambda buffer, n: torch.arange(-3, 3 * n - 3, 3),
    lambda buffer, n: buffer[:n],
    lambda buffer, n: torch.full((n,), 7),
    lambda buffer, n: torch.tensor([3]).expand(n),
]

OPERATIONS: list[Callable[[Tensor, Tensor], Tensor]] = [
    lambda a, b: a + b,
    lambda a, b: a.long() - b.long(),
    lambda a, b: a * b,
    lambda a, b: -a.long(),
    lambda a, b: a.long().abs(),
    lambda a, b: a % 3,
    lambda a, b: a // 4,
    lambda a, b: torch.div(a, 4, rounding_mode="trunc").long(),
    lambda a, b: (a / 3).long(),
    lambda a, b: a.clamp(max=5) if a.dtype != torch.bool else a,
    lambda a, b: a.long().clamp(-2, 4),
    lambda a, b: torch.minimum(a, b),
    lambda a, b: torch.maximum(a, b),
    lambda a, b: torch.where(a > b, a, b),
    lambda a, b: a.float(),
    lambda a, b: a.to(torch.int8),
    lambda a, b: a.to(torch.uint8),
    lambda a, b: a.cumsum(0),
    lambda a, b: a.sum().expand(a.shape),
    lambda a, b: a.flip(0),
    lambda a, b: a.sort().values,
    lambda a, b: a.argsort(),
    lambda a, b: a.long().sign(),
    lambda a, b: a.masked_fill(b > 1, 9) if a.dtype != torch.bool else a,
    lambda a, b: torch.cat([a, b])[: a.shape[0]],
    lambda a, b: a * 0.5,
    lambda a, b: torch.add(a.long(), b.long(), alpha=-3),
    lambda a, b: a == b,
    lambda a, b: torch.ones_like(a, dtype=torch.int64).index_put_((a.argsort(),), b.long()),
    lambda a, b: a.long().clone().add_(b.long()).mul_(2),
    lambda a, b: a.long().roll(1).diff(prepend=b[:1].long()),
]

BUFFER = torch.tensor([5, 0, 9, -4, 2, 8, 1, 1, 30, 7, 12, 40, 3, 6])

programs = st.tuples(
    st.lists(st.integers(0, len(LEAVES) - 1), min_size=2, max_size=2),
    st.lists(st.integers(0, len(OPERATIONS) - 1), max_size=6),
    st.integers(1, 12),
)


def run(leaves: list[int], operations: list[int], buffer: Tensor, size: Any) -> list[Tensor]:
    """Run a program; each of its operations takes the last two results."""
    results = [LEAVES[leaf](buffer, size) for leaf in leaves]
    for operation in operations:
        results.append(OPERATIONS[operation](results[-1], results[-2]))
    return results


@settings(deadline=None, max_examples=60, derandomize=True)
@given(programs)
def test_true_values_are_within_their_bounds(program: tuple[list[int], list[int], int]) -> None:
    check_bounds(*program)


def check_bounds(leaves: list[int], operations: list[int], size: int) -> None:
    ranges = ValueRanges()
    environment: Any = Environment(ranges, ())
    with symbolic._fakes(environment), symbolic._rules(environment, ranges):
        buffer = torch.empty(BUFFER.shape, dtype=BUFFER.dtype)
        ranges.set_data(buffer, BUFFER)
        found = run(leaves, operations, buffer, symbol(environment, size))
    for tensor, true in zip(found, run(leaves, operations, BUFFER, size), strict=True):
        values = ranges.of(tensor)
        bounds = as_range(values)
        if any(not is_settled(doubt) for doubt in bounds.doubts):
            continue
        if bounds.low is not None:
            assert number(bounds.low) <= true.min().item(), (bounds, true)
        if bounds.high is not None:
            assert number(bounds.high) >= true.max().item(), (bounds, true)
        if isinstance(values, Constant):
            assert {*true.tolist()} <= {*values.data.flatten().tolist()}


def symbol(environment: Any, hint: int) -> Any:
    made = environment.create_symbol(
        hint,
        ConstantSource("n"),
        dynamic_dim=symbolic_shapes.DimDynamic.DYNAMIC,
        do_not_specialize_zero_one=True,
    )
    environment.constrain_symbol_range(made, 1, 1 << 60)
    return environment.create_symintnode(made, hint=hint)


def number(bound: Any) -> int:
    return hint_of(bound) if isinstance(bound, torch.SymInt) else bound


def is_settled(doubt: Any) -> bool:
    return bool(number(doubt.low) >= doubt.least and number(doubt.high) <= doubt.most)


def test_bounds_that_are_too_narrow_would_be_noticed() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("shapezoo.proving.rules.intervals.absolute", lambda values: values)
        with pytest.raises(AssertionError):
            check_bounds([2, 0], [3, 4], 4)
    check_bounds([2, 0], [3, 4], 4)


def test_joined_ranges_keep_what_one_of_them_does_not_know() -> None:
    assert join([CALLER, UNKNOWN]).is_unknown
    assert join([CALLER, CALLER]).is_caller
    assert join([CALLER, ValueRange(0, 3)]).from_caller
    assert join([ValueRange(0, 3), ValueRange(high=9)]).low is None


def test_dtypes_that_hold_no_whole_numbers_keep_no_bounds() -> None:
    assert in_dtype(BOOL, torch.float8_e4m3fn).is_unknown
    assert in_dtype(BOOL, torch.complex64).is_unknown
    assert not in_dtype(BOOL, torch.int8).doubts
    assert in_dtype(ValueRange(0, 300), torch.uint8).doubts


def test_the_least_of_growing_values_is_that_at_the_start() -> None:
    kernels = torch.ops.aten
    whole = torch.arange(200)
    floats, logs = whole.float(), whole.float().log()
    made, of = logs * 2.5, ValueRanges().of
    monotone = MonotoneValues()
    monotone.note(kernels._to_copy.default, {"self": whole, "dtype": torch.float32}, floats, of)
    monotone.note(kernels.log.default, {"self": floats}, logs, of)
    monotone.note(kernels.mul.Tensor, {"self": logs, "other": 2.5}, made, of)
    growing = monotone._growing[id(made)]
    for start in range(1, 200):
        low = growing.least_from(start)
        assert low is not None
        assert low <= made[start:].min().item() <= low + 2
    assert growing.least_from(0) is None  # the logarithm of 0
    falling = -made
    monotone.note(kernels.mul.Tensor, {"self": made, "other": -1}, falling, of)
    assert id(falling) not in monotone._growing
