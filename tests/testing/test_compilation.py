"""`assert_compiles` and `assert_exports` find modules that behave differently in a graph."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo import ContractError, Module, checked, unchecked
from shapezoo.models import gru, lenet
from shapezoo.testing import assert_compiles, assert_exports, inputs

Body = Callable[["Bodied", Tensor], Tensor]


class Bodied(Module):
    """A module with a body that is an argument."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body
        self.linear = nn.Linear(3, 3)
        self.norm = nn.BatchNorm1d(3)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return self.body(self, x)


def layers(model: Bodied, x: Tensor) -> Tensor:
    result: Tensor = model.dropout(model.norm(model.linear(x)))
    return result


def by_data(model: Bodied, x: Tensor) -> Tensor:
    return x if x.sum() > 0 else 2 * x


def broken(model: Bodied, x: Tensor) -> Tensor:
    torch._dynamo.graph_break()
    return x + 1


def other_in_graphs(model: Bodied, x: Tensor) -> Tensor:
    return x + 1 if torch.compiler.is_compiling() else x


def other_from_four_on(model: Bodied, x: Tensor) -> Tensor:
    return x + 1 if torch.compiler.is_compiling() and len(x) > 3 else x


def fails_in_graphs(model: Bodied, x: Tensor) -> Tensor:
    if torch.compiler.is_compiling():
        raise NotImplementedError("not in a graph")
    return x


def fails_everywhere(model: Bodied, x: Tensor) -> Tensor:
    raise ValueError("never")


def noisy(model: Bodied, x: Tensor) -> Tensor:
    return x + torch.rand_like(x)


def for_sizes_above_four(model: Bodied, x: Tensor) -> Tensor:
    return x + 1 if x.shape[0] > 4 else x


def by_int(model: Bodied, x: Tensor) -> Tensor:
    return x * int(x.shape[0])


def over_batch(model: Bodied, x: Tensor) -> Tensor:
    return torch.stack([row * number for number, row in enumerate(x)])


class Choices(Module):
    """Can be called with different tensors, numbers of axes, and other arguments."""

    def forward(
        self,
        x: Float[Tensor, "*batch 3"],
        state: Float[Tensor, "*batch 3"] | None = None,
        *,
        is_double: bool = False,
    ) -> Float[Tensor, "*batch 3"]:
        result = x if state is None else x + state
        return 2 * result if is_double else result


class Tokens(Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 2)

    def forward(
        self, tokens: Int64[Tensor, "batch seq"], weights: Float[Tensor, "batch seq"]
    ) -> tuple[Float[Tensor, "batch seq 2"], dict[str, Float[Tensor, "batch"]]]:
        vectors = self.embedding(tokens) * weights[..., None]
        return vectors, {"sum": weights.sum(1), "mean": weights.mean(1)}


@checked
@dataclass(frozen=True)
class Scores:
    each: Float[Tensor, "batch 3"]
    best: Int64[Tensor, "batch"]


class Scorer(Module):
    def forward(self, x: Float[Tensor, "batch 3"]) -> Scores:
        return Scores(x, x.argmax(1))


class Summed(Module):
    """Has a loop over time."""

    def forward(self, x: Float[Tensor, "seq batch"]) -> Float[Tensor, "batch"]:
        total = torch.zeros_like(x[0])
        for vector in x:
            total = total / 2 + vector
        return total


class Shifted(Module):
    """The loop is over an axis that is computed from that which is fixed."""

    def forward(
        self, x: Float[Tensor, "seq"], targets: Float[Tensor, "seq+1 batch"]
    ) -> Float[Tensor, "batch"]:
        total = targets[0]
        for target in targets[1:]:
            total = total / 2 + target + x.sum()
        return total


class Unguarded(nn.Module):
    """Its check is gone where it is compiled."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = Bodied(noisy)

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        if torch.compiler.is_compiling():
            return x + torch.rand_like(x)
        return self.inner(x)


class InGraphs(Module):
    """Returns more, less or something else in a graph."""

    def __init__(self, in_graphs: Any, outside: Any) -> None:
        super().__init__()
        self.in_graphs, self.outside = in_graphs, outside

    def forward(
        self, x: Float[Tensor, "batch"]
    ) -> tuple[Float[Tensor, "batch"], dict[str, Float[Tensor, "batch"]] | None]:
        keys = self.in_graphs if torch.compiler.is_compiling() else self.outside
        return x, keys and {key: x + len(key) for key in keys}


# compiled


@pytest.mark.parametrize(
    "module",
    [
        Bodied(layers).eval(),
        Bodied(noisy),
        Bodied(by_int),
        Bodied(for_sizes_above_four),
        Choices(),
        Tokens(),
        Scorer(),
        InGraphs(["b", "aa"], ["aa", "b"]),
        pytest.param(lenet(), marks=pytest.mark.slow),
    ],
    ids=lambda module: (
        module.body.__name__ if isinstance(module, Bodied) else type(module).__name__
    ),
)
def test_what_can_be_compiled_passes(module: nn.Module) -> None:
    assert_compiles(module, max_examples=3)


def test_train_mode_is_compiled_with_its_random_numbers() -> None:
    module = Bodied(layers)
    assert_compiles(module, inputs(module, batch=range(2, 5)), max_examples=3)
    assert module.training
    assert module.norm.num_batches_tracked == 0


def test_other_backends_can_be_used() -> None:
    assert_compiles(Tokens(), backend="aot_eager", max_examples=2)
    with pytest.raises(AssertionError, match="fails when it is compiled"):
        assert_compiles(Bodied(fails_in_graphs), backend="aot_eager", max_examples=2)


@pytest.mark.parametrize("body", [by_data, broken])
def test_a_graph_break_is_found_where_one_graph_is_wanted(body: Body) -> None:
    module = Bodied(body)
    expected = r"^Bodied\(x=Tensor float32 \(1, 3\)\) fails when it is compiled\nUnsupported: "
    with pytest.raises(AssertionError, match=expected):
        assert_compiles(module)
    assert_compiles(module, fullgraph=False, max_examples=3)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (other_in_graphs, "(1, 3)) has a different result when it is compiled"),
        (other_from_four_on, "(4, 3)) has a different result when it is compiled"),
        (fails_in_graphs, "(1, 3)) fails when it is compiled"),
        (fails_everywhere, "(1, 3)) keeps the contract, but fails\nValueError: never"),
    ],
)
def test_a_difference_when_compiled_is_shown_with_the_smallest_call(
    body: Body, message: str
) -> None:
    with pytest.raises(AssertionError, match=re.escape(f"Bodied(x=Tensor float32 {message}")):
        assert_compiles(Bodied(body), max_examples=10)


@pytest.mark.parametrize("in_graphs", [None, ["a"], ["a", "b", "c"], ["a", "c"]])
@pytest.mark.parametrize("assertion", [assert_compiles, assert_exports])
def test_results_must_have_the_same_parts(
    assertion: Callable[[nn.Module], None], in_graphs: list[str] | None
) -> None:
    with pytest.raises(AssertionError, match=r"InGraphs\(x=.* has a different result when it is"):
        assertion(InGraphs(in_graphs, ["a", "b"]))


def test_the_part_of_a_result_that_differs_is_named() -> None:
    class Second(Module):
        def forward(
            self, x: Float[Tensor, "batch"]
        ) -> tuple[Float[Tensor, "batch"], Float[Tensor, "batch"]]:
            return x, (x + 1 if torch.compiler.is_compiling() else x)

    with pytest.raises(AssertionError, match=r"item \['return\[1\]'\]"):
        assert_compiles(Second())


def test_a_check_that_vanishes_when_compiled_is_missed() -> None:
    expected = r"\(x=.*\), wrong in the (axis 1|rank|dtype) of x is (accepted|not refused)"
    with pytest.raises(AssertionError, match=expected):
        assert_compiles(Unguarded(), max_examples=10)


def test_a_module_without_a_contract_is_refused() -> None:
    with pytest.raises(ContractError, match="name no shape"):
        assert_compiles(nn.Linear(3, 3))
    with pytest.raises(ContractError, match="name no shape"):
        assert_exports(nn.Linear(3, 3))


@pytest.mark.parametrize("assertion", [assert_compiles, assert_exports])
def test_modules_and_generators_are_left_as_they_were(
    assertion: Callable[[nn.Module], None],
) -> None:
    module = Bodied(layers).eval()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    state = torch.random.get_rng_state()
    assertion(module)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert not module.training
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())
    assert all(parameter.grad is None for parameter in module.parameters())


# exported


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize(
    "module",
    [
        Bodied(layers).eval(),
        Bodied(noisy),
        Choices(),
        Tokens(),
        InGraphs(["b", "aa"], ["aa", "b"]),
    ],
    ids=lambda module: (
        module.body.__name__ if isinstance(module, Bodied) else type(module).__name__
    ),
)
def test_what_can_be_exported_passes(module: nn.Module, strict: bool) -> None:
    assert_exports(module, strict=strict)


def test_train_mode_is_exported_with_its_random_numbers() -> None:
    module = Bodied(layers)
    assert_exports(module, inputs(module, batch=range(2, 5)))
    assert module.training


@pytest.mark.parametrize(
    ("body", "smallest", "error"),
    [
        (by_data, 2, "cannot be exported"),
        (over_batch, 2, "cannot be exported\n.*specialized it to be a constant"),
        (by_int, 2, "cannot be exported\n.*specialized it to be a constant"),
        (fails_in_graphs, 2, "cannot be exported\nNotImplementedError: not in a graph"),
        (for_sizes_above_four, 5, "fails when it is exported\n.*Guard failed"),
        (other_in_graphs, 1, "has a different result when it is exported"),
        (fails_everywhere, 2, "cannot be exported\nValueError: never"),
    ],
)
def test_failed_exports_and_differences_are_shown_with_the_smallest_call(
    body: Body, smallest: int, error: str
) -> None:
    expected = rf"^Bodied\(x=Tensor float32 \({smallest}, 3\)\) (?s:{error})"
    with pytest.raises(AssertionError, match=expected):
        assert_exports(Bodied(body), max_examples=10)


def test_dynamo_keeps_some_axes_open_that_python_fixes() -> None:
    assert_exports(Bodied(by_int), strict=True)


@pytest.mark.parametrize(
    "module",
    [Summed(), Shifted(), pytest.param(gru(), marks=pytest.mark.slow)],
    ids=lambda module: type(module).__name__,
)
def test_a_loop_over_time_fixes_it(module: nn.Module) -> None:
    assert_exports(module, static=["seq"])
    assert_exports(module, inputs(module, batch=[2, 3]), static=["seq"])
    with pytest.raises(AssertionError, match=r"\) cannot be exported\n"):
        assert_exports(module)


def test_a_static_axis_is_one_of_the_contract() -> None:
    with pytest.raises(ContractError, match=r"no axis 'time' .* it has seq, batch"):
        assert_exports(Summed(), static=["time"])


def test_records_must_be_registered_with_torch() -> None:
    with pytest.raises(AssertionError, match=r"cannot be exported\n(.|\n)*pytree"):
        assert_exports(Scorer())


class Broadcast(Module):
    def forward(
        self, x: Float[Tensor, "batch 3"], scale: Float[Tensor, "#batch"]
    ) -> Float[Tensor, "batch 3"]:
        return x * scale[:, None]


def test_a_program_is_for_axes_that_broadcast_or_do_not() -> None:
    assert_exports(Broadcast())


def test_static_axes_must_be_those_of_the_contract() -> None:
    with pytest.raises(ContractError, match="no axis 'time'"):
        assert_exports(Broadcast(), inputs(Broadcast()), static=["time"])


def test_without_checks_there_is_nothing_to_assert() -> None:
    with unchecked(), pytest.raises(RuntimeError, match="switched off"):
        assert_compiles(Broadcast())


class Counted(Module):
    """Returns a tensor and a number, which is different when it is compiled."""

    def forward(self, x: Float[Tensor, "batch 3"]) -> tuple[Float[Tensor, "batch 3"], int]:
        return x, int(torch.compiler.is_compiling())


class Named(Module):
    """Returns a tensor without a shape in its contract, which is different when compiled."""

    def forward(self, x: Float[Tensor, "batch 3"]) -> dict[str, Tensor]:
        return {"y": x + 1 if torch.compiler.is_compiling() else x}


class Halved(Module):
    """Pools; a pooled size of 1 is another case for what broadcasts."""

    def forward(self, x: Float[Tensor, "batch height"]) -> Float[Tensor, "batch"]:
        pooled = x[:, ::16]
        return (pooled + x[:, 1:2].expand(-1, pooled.shape[1])).sum(1)


@pytest.mark.parametrize("module", [Counted(), Named()])
def test_all_of_a_result_is_compared(module: Module) -> None:
    with pytest.raises(AssertionError, match="has a different result when it is compiled"):
        assert_compiles(module)
    with pytest.raises(AssertionError, match="has a different result when it is exported"):
        assert_exports(module)


def test_a_class_is_not_a_module() -> None:
    with pytest.raises(TypeError, match="this assertion takes a module, got <class"):
        assert_compiles(Counted)  # type: ignore[arg-type]  # the fault under test
    assert "__call__" not in vars(Counted)


class Undecided(Module):
    """Its contract holds for all sizes, but PyTorch cannot decide that."""

    def forward(self, x: Float[Tensor, "seq"]) -> Float[Tensor, "seq//20_000*20_000+seq%20_000"]:
        return x + 1


@pytest.mark.parametrize("strict", [False, True])
def test_a_contract_that_adds_a_guard_is_found(strict: bool) -> None:
    expected = r"^Undecided\(.*\) can be exported with named Dims only without its contract\n"
    with pytest.raises(AssertionError, match=expected):
        assert_exports(Undecided(), strict=strict)


def not_for_seven(model: Bodied, x: Tensor) -> Tensor:
    return x if x.shape[0] % 7 else x + 1


def test_a_guard_of_the_model_is_not_the_fault_of_its_contract() -> None:
    module = Bodied(not_for_seven)
    assert_exports(module, inputs(module, batch=range(2, 6)))


class Halves(Module):
    """The size of an argument is an expression that no `Dim` can be."""

    def forward(
        self, x: Float[Tensor, "height"], y: Float[Tensor, "height//2"]
    ) -> Float[Tensor, "height//2"]:
        return x[::2][: y.shape[0]] + y


def test_arguments_may_have_computed_sizes() -> None:
    assert_exports(Halves(), inputs(Halves(), height=[6]), static=["height"])
    with pytest.raises(AssertionError, match="cannot be exported"):
        assert_exports(Halves())


def test_static_axes_may_have_limits() -> None:
    assert_exports(Halved(), inputs(Halved(), height=[40, 50]), static=["height"])
