"""Real kernels have the last word: results of symbolic runs are compared with them."""

import collections
import types
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import pytest
import torch
from jaxtyping import Bool, Float, Float32, Int64, Num
from torch import Tensor, nn

from shapezoo import Module, Proved, ProvedInPart, Refuted, Unknown, checked, prove
from shapezoo.contracts.language.conditions import Condition
from shapezoo.proving import causes
from shapezoo.proving.audit import auditing, replaying
from shapezoo.proving.causes import cause_of, own_files
from shapezoo.proving.rules.functions import function_shapes
from shapezoo.proving.rules.functions.einsum import EINSUM


class Scores(Module):
    """Raises at one line for some sizes, and by its own check for others."""

    def forward(
        self, q: Float[Tensor, "batch seq dim"], k: Float[Tensor, "batch kv_seq dim"]
    ) -> Float[Tensor, "batch seq kv_seq"]:
        scores = torch.einsum("bid,bjd->bij", q, k)
        if q.shape[1] < 40:
            raise ValueError("too short")
        return scores


def false_einsum(equation: Any, operands: Any) -> Any:
    """Raises where the real one does not, for another reason than the model's."""
    if operands[0].shape[0] > 1:
        raise RuntimeError("Cannot view a tensor")
    return NotImplemented


@pytest.mark.slow
def test_that_both_raise_is_not_enough() -> None:
    assert isinstance(prove(Scores()), Proved)
    with patch.dict(function_shapes.FUNCTIONS, {EINSUM: false_einsum}):
        assert not isinstance(prove(Scores()), Proved | Refuted)
        with (
            patch.object(causes.Cause, "__eq__", lambda self, other: True),
            patch("shapezoo.proving.judging.audit_limits", lambda *args: []),
        ):
            proof = prove(Scores())  # without the audit a false limit is found
    accepted = {"batch": 2, "seq": 50, "kv_seq": 2, "dim": 2}
    assert any(not condition.holds(accepted) for condition in proof.preconditions)


def test_a_cause_is_a_line_and_for_a_check_its_class() -> None:
    def fail(check: bool) -> None:
        if check:
            raise ValueError
        torch.zeros(2) + torch.zeros(3)

    files = own_files(fail)
    found = []
    for check in (True, False):
        with pytest.raises((ValueError, RuntimeError)) as caught:
            fail(check)
        found.append(cause_of(caught.value, files))
    assert found[0].check is ValueError
    assert found[1].check is None
    assert found[0].line != found[1].line
    assert cause_of(None, files) == causes.NOWHERE


class Table(Module):
    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(600, 1)

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        positions: Tensor = self.table(torch.arange(x.shape[1]))
        return x + positions[:, 0]


def test_both_sides_of_a_limit_are_run() -> None:
    sizes: set[int] = set()
    original = replaying.replay

    def replay(subject: Any, call: Any, **options: Any) -> Any:
        sizes.add(call.sizes["seq"])
        return original(subject, call, **options)

    with patch("shapezoo.proving.audit.auditing.replay", replay):
        proof = prove(Table())
    assert isinstance(proof, Proved)
    assert list(map(str, proof.preconditions)) == ["seq <= 600"]
    assert {600, 601} <= sizes


def test_a_limit_that_is_too_large_to_be_run_makes_it_one_in_part() -> None:
    with patch.object(auditing, "SMALL", 1), patch.object(auditing, "MOST_NUMBERS", 600):
        proof = prove(Table())
    assert isinstance(proof, ProvedInPart)
    assert "too large to be run" in proof.reason


class Cached(Module):
    """Keeps a mask of the size of its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.mask: Tensor | None = None

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        if self.mask is None:
            self.mask = torch.ones(x.shape[1])
        return x * self.mask


class Counting(Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        self.calls += 1
        return x


def test_a_call_that_depends_on_earlier_ones_is_found() -> None:
    proof = prove(Cached())
    assert isinstance(proof, ProvedInPart)
    assert "a call depends on earlier ones" in proof.reason
    assert proof.rests_on.kept == ("mask",)
    counting = prove(Counting())
    assert isinstance(counting, Proved)
    assert (counting.rests_on.calls, counting.rests_on.kept) == ("first", ("calls",))
    assert "first call only, since a call changes calls" in str(counting)
    assert prove(Table()).rests_on.calls == "any"


class Switched(Module):
    """Is in train mode after its first call."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def forward(self, x: Float[Tensor, "batch 4"]) -> Float[Tensor, "batch 4"]:
        result: Tensor = self.norm(x)
        self.norm.train()
        return result


class Kept(Module):
    """Changes its own attributes in a call, as `keep` does."""

    def __init__(self, keep: Callable[[Any, int], object]) -> None:
        super().__init__()
        self.keep = keep
        self.linear = nn.Linear(2, 2)
        self.register_buffer("last", torch.zeros(1))
        self.seen: set[int] = set()
        self.queue = collections.deque([0])
        self.space = types.SimpleNamespace(last=0)
        self.numbers = iter(range(1000))

    def forward(self, x: Float[Tensor, "seq"]) -> Float[Tensor, "seq"]:
        self.keep(self, int(x.shape[0] > 0))
        return x


KEEPING: dict[str, Callable[[Any, int], object]] = {
    "last": lambda model, n: model.last.fill_(n),
    "linear._forward_hooks": lambda model, n: model.linear.register_forward_hook(print),
    "linear.bias": lambda model, n: model.linear.bias.requires_grad_(False),
    "seen": lambda model, n: model.seen.add(n),
    "queue": lambda model, n: model.queue.append(n),
    "space": lambda model, n: setattr(model.space, "last", n),
    "numbers": lambda model, n: next(model.numbers),
}


def test_what_a_call_leaves_alone_is_not_kept() -> None:
    model = Kept(lambda model, n: None)
    model.space = types.SimpleNamespace(limit=float("nan"))
    vars(model)["threshold"] = float("nan")
    model.register_buffer("index", torch.arange(3))
    with torch.inference_mode():
        model.mask = torch.ones(3)
    proof = prove(model)
    assert isinstance(proof, Proved)
    assert proof.rests_on.kept == ()


def test_a_mode_that_a_call_has_switched_is_kept() -> None:
    proof = prove(Switched().eval())
    assert proof.rests_on.kept == ("norm.training",)
    assert proof.rests_on.calls == "first"


@pytest.mark.parametrize("name", KEEPING)
def test_what_a_call_has_changed_in_place_is_kept(name: str) -> None:
    proof = prove(Kept(KEEPING[name]))
    assert proof.rests_on.kept == (name,)
    assert proof.rests_on.calls == "first"


def test_a_later_call_that_breaks_the_contract_refutes_it() -> None:
    class Later(Module):
        def __init__(self) -> None:
            super().__init__()
            self.was_called = False

        def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
            before, self.was_called = self.was_called, True
            return x[:, :-1] if before else x

    proof = prove(Later())
    assert isinstance(proof, Refuted)
    assert proof.counterexample.snippet.count("model(torch.zeros") == 2
    with pytest.raises(type(proof.counterexample.error)):
        proof.counterexample.replay()


def test_a_dtype_of_a_family_that_raises_is_listed() -> None:
    def mean(x: Num[Tensor, "batch seq"]) -> Float[Tensor, ""]:
        return x.mean()

    found = prove(mean).rests_on
    assert {"float32", "float64", "bfloat16"} <= {*found.dtypes}
    assert {"int64", "uint8"} <= {*found.refused_dtypes}
    assert "int64" in str(prove(mean))


def test_a_dtype_of_a_family_that_breaks_the_contract_refutes_it() -> None:
    def same(x: Float[Tensor, "batch seq"]) -> Float32[Tensor, "batch seq"]:
        return x

    proof = prove(same)
    assert isinstance(proof, Refuted)
    assert "float64" in proof.counterexample.snippet
    assert isinstance(prove(Doubled()), Refuted)


class Doubled(Module):
    """Keeps a module inside in float32, whatever its own dtype is."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float32[Tensor, "batch 3"]:
        result: Tensor = self.layer(x)
        return result


def test_an_argument_that_has_to_be_contiguous_is_listed() -> None:
    @checked
    def flat(
        x: Float[Tensor, "batch seq dim"], y: Float[Tensor, "batch seq"]
    ) -> Float[Tensor, "batch seq*dim"]:
        return x.view(x.shape[0], -1) + y.sum()

    proof = prove(flat)
    assert isinstance(proof, Proved)
    assert proof.rests_on.contiguous == ("x",)
    assert "x contiguous" in str(proof)

    @checked
    def reshaped(x: Float[Tensor, "batch seq dim"]) -> Float[Tensor, "batch seq*dim"]:
        return x.reshape(x.shape[0], -1)

    assert prove(reshaped).rests_on.contiguous == ()


def test_limits_of_one_case_are_not_those_of_all() -> None:
    def masked(
        x: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch kv_seq"] | None = None
    ) -> Float[Tensor, "batch seq"]:
        if mask is not None and mask.shape[1] > x.shape[1]:
            raise ValueError("the mask is too long")
        return x

    proof = prove(masked)
    assert isinstance(proof, Proved)
    assert proof.preconditions == ()
    assert [bool(case.preconditions) for case in proof.cases] == [False, True]


def test_axes_of_two_names_that_must_be_equal_are_a_warning() -> None:
    def product(
        x: Float[Tensor, "batch dim"], y: Float[Tensor, "keys classes"]
    ) -> Float[Tensor, "batch classes"]:
        return x @ y

    (warning,) = prove(product).warnings
    assert "dim and keys must be equal" in warning
    assert f"warning       {warning}" in str(prove(product))
    assert prove(Table()).warnings == ()


def test_sizes_that_are_run_are_no_larger_than_they_must_be() -> None:
    def long(
        x: Float[Tensor, "batch seq"], y: Float[Tensor, "batch kv_seq"]
    ) -> Float[Tensor, "batch"]:
        if x.shape[1] > 2000:
            raise ValueError("too long")
        return x.sum(1) + y.sum(1)

    largest = {"batch": 0, "kv_seq": 0}
    original = replaying.replay

    def replay(subject: Any, call: Any, **options: Any) -> Any:
        for axis in largest:
            largest[axis] = max(largest[axis], call.sizes[axis])
        return original(subject, call, **options)

    with patch("shapezoo.proving.audit.auditing.replay", replay):
        assert isinstance(prove(long), Proved)
    assert max(largest.values()) < 64


def test_tokens_of_ones_are_tried_where_zeros_do_not_raise() -> None:
    class Counted(Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(20, 2)

        def forward(self, tokens: Int64[Tensor, "batch seq"]) -> Float[Tensor, "batch seq 2"]:
            found: Tensor = self.table(tokens.ne(0).cumsum(1))
            return found

    proof = prove(Counted())
    assert isinstance(proof, Proved)
    assert list(map(str, proof.preconditions)) == ["seq <= 19"]


def test_what_raises_for_zeros_only_is_not_refuted() -> None:
    class Shifted(Module):
        def __init__(self) -> None:
            super().__init__()
            self.table = nn.Embedding(10, 2)

        def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq 2"]:
            found: Tensor = self.table((x > 0).long().cumsum(1) - 1)
            return found

    proof = prove(Shifted())
    assert isinstance(proof, Unknown)
    assert "depends on the values of the arguments" in proof.reason


class Longest(Module):
    """Row 0 reaches ``width`` or ``height + 1``; the bound of the sum is ``height + width``."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(12, 4)

    def forward(
        self, x: Float[Tensor, "height width"], tokens: Int64[Tensor, "width height"]
    ) -> Float[Tensor, "height width"]:
        places = tokens.ne(1).cumsum(1)
        places.view(-1)[0] += x.shape[1]
        result: Tensor = x + self.table(places).sum()
        return result


class Shifted(Module):
    """Of ``n - 8`` where ``n > 8`` all but two sizes are out of range."""

    def forward(self, x: Float[Tensor, "n"]) -> Float[Tensor, "n"]:
        place = torch.tensor([x.shape[0] - 1])
        place = torch.where(place > 7, place - 7, place)
        return x + torch.ones(3)[place].sum()


@pytest.mark.parametrize(
    ("model", "sizes"), [(Longest(), {"height": 9, "width": 8}), (Shifted(), {"n": 9})]
)
def test_a_bound_that_is_not_reached_is_not_a_limit(model: Module, sizes: dict[str, int]) -> None:
    (case,) = prove(model).cases
    assert all(condition.holds(sizes) for condition in case.preconditions)
    assert not any(
        region.outcome == "raises" and all(Condition(g).holds(sizes) for g in region.guards)
        for region in case.regions
    )
