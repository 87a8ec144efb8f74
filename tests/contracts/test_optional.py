"""Axes of a result that not all calls bind: optional and alternative arguments, ``#batch``."""

from typing import Any, NotRequired, TypedDict

import pytest
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn, zeros

from shapezoo import (
    ContractError,
    Module,
    Proved,
    Refuted,
    ShapeError,
    checked,
    prove,
    signature,
    trace,
)
from shapezoo.testing import assert_compiles, assert_contract, assert_exports


class LanguageModel(Module):
    """Takes tokens or embeddings, as most published ones do."""

    def __init__(self) -> None:
        super().__init__()
        self.vocab, self.hidden = 11, 8
        self.embedding = nn.Embedding(self.vocab, self.hidden)
        self.head = nn.Linear(self.hidden, self.vocab)

    def forward(
        self,
        tokens: Int[Tensor, "batch seq"] | None = None,
        embeddings: Float[Tensor, "batch seq hidden={self.hidden}"] | None = None,
    ) -> Float[Tensor, "batch seq vocab={self.vocab}"]:
        if embeddings is None:
            assert tokens is not None
            embeddings = self.embedding(tokens)
        logits: Tensor = self.head(embeddings)
        return logits


@checked
def passed_on(x: Float[Tensor, "batch width"] | None) -> Float[Tensor, "batch width"] | None:
    return x


@checked
def invented(x: Float[Tensor, "batch width"] | None) -> Float[Tensor, "batch width"] | None:
    return zeros(2, 3)


@checked
def masked(
    x: Float[Tensor, "batch seq"], mask: Bool[Tensor, "batch kv_seq"] | None = None
) -> tuple[Float[Tensor, "batch seq"], Bool[Tensor, "batch kv_seq"] | None]:
    return x, mask


@checked
def either(
    x: Float[Tensor, "batch seq"] | Int[Tensor, "batch"],
) -> Float[Tensor, "batch seq"] | Int[Tensor, "batch"]:
    return x


@checked
def added(
    x: Float[Tensor, "#batch width"], y: Float[Tensor, "#batch width"], rows: int = 0
) -> Float[Tensor, "batch width"]:
    return zeros(rows, x.shape[1]) if rows else x + y


@checked
def extended(
    x: Float[Tensor, "batch seq"], past: Float[Tensor, "batch past"] | None = None
) -> Float[Tensor, "batch past+seq"] | Float[Tensor, "batch seq"]:
    return x if past is None else torch.cat([past, x], 1)


class Options(TypedDict):
    x: Float[Tensor, "batch"]
    y: NotRequired[Float[Tensor, "seq"]]


@checked
def chosen(options: Options) -> Float[Tensor, "seq"]:
    return options.get("y", zeros(4))


def unbound(call: Any, *args: Any, **kwargs: Any) -> str:
    with pytest.raises(ShapeError, match="no argument of this call has") as error:
        call(*args, **kwargs)
    assert error.value.argument == "return"
    return str(error.value)


def test_one_of_two_arguments_binds_the_result() -> None:
    model = LanguageModel()
    assert model(zeros(2, 3).long()).shape == (2, 3, 11)
    assert model(embeddings=zeros(2, 3, 8)).shape == (2, 3, 11)
    with pytest.raises(ShapeError, match="'embeddings' breaks"):
        model(zeros(2, 3).long(), zeros(2, 4, 8))
    text = unbound(model)
    assert "the result has axes 'batch' and 'seq', and no argument of this call has them" in text
    assert "hint      pass 'tokens' or 'embeddings'" in text


def test_without_the_argument_there_may_be_no_result() -> None:
    assert passed_on(None) is None
    assert passed_on(zeros(2, 3)).shape == (2, 3)  # type: ignore[union-attr]  # not None
    unbound(invented, None)
    assert invented(zeros(2, 3)) is not None
    assert masked(zeros(2, 3))[1] is None
    assert masked(zeros(2, 3), zeros(2, 4).bool())[1] is not None


def test_a_result_is_held_against_the_option_that_came() -> None:
    assert either(zeros(2, 3)).shape == (2, 3)
    assert either(zeros(2).long()).shape == (2,)

    @checked
    def other(x: Float[Tensor, "batch seq"] | Int[Tensor, "batch"]) -> Float[Tensor, "batch seq"]:
        return zeros(2, 3)

    assert other(zeros(2, 3)).shape == (2, 3)
    unbound(other, zeros(2).long())


def test_an_option_that_cannot_be_computed_does_not_fit() -> None:
    assert extended(zeros(2, 3)).shape == (2, 3)
    assert extended(zeros(2, 3), zeros(2, 4)).shape == (2, 7)

    @checked
    def longer(
        x: Float[Tensor, "batch seq"], past: Float[Tensor, "batch past"] | None = None
    ) -> Float[Tensor, "batch past+seq"]:
        return x

    assert "the result has axis 'past', and no argument of this call has it" in unbound(
        longer, zeros(2, 3)
    )

    @checked
    def masked_later(
        x: Float[Tensor, "batch seq"],
        past: Float[Tensor, "batch past"] | None = None,
        mask: Bool[Tensor, "batch past+seq"] | None = None,
    ) -> None: ...

    masked_later(zeros(2, 3))
    with pytest.raises(ContractError, match="no argument of this call has axis 'past'"):
        masked_later(zeros(2, 3), None, zeros(2, 3).bool())


def test_a_result_fits_the_option_whose_axes_are_bound() -> None:
    def one(
        x: Float[Tensor, "seq"] | None = None, y: Float[Tensor, "past"] | None = None
    ) -> Float[Tensor, "seq"] | Float[Tensor, "past"]:
        return x if x is not None else y if y is not None else zeros(1)

    function = checked(one)
    assert function(zeros(2)).shape == (2,)
    assert function(None, zeros(3)).shape == (3,)
    unbound(function)


def test_a_result_that_fits_no_option_is_a_shape_error() -> None:
    @checked
    def wrong(
        x: Float[Tensor, "batch seq"], past: Float[Tensor, "batch past"] | None = None
    ) -> Float[Tensor, "batch past+seq"] | Float[Tensor, "batch seq"]:
        return zeros(2, 9)

    for args in ((zeros(2, 3),), (zeros(2, 3), zeros(2, 4))):
        with pytest.raises(ShapeError, match="the result breaks its contract"):
            wrong(*args)


def test_a_list_may_be_empty_in_and_out() -> None:
    @checked
    def passed(xs: list[Float[Tensor, "n"]]) -> list[Float[Tensor, "n"]]:
        return xs

    @checked
    def filled(xs: list[Float[Tensor, "n"]]) -> list[Float[Tensor, "n"]]:
        return [zeros(3)]

    assert passed([]) == []
    assert len(passed([zeros(2)])) == 1
    unbound(filled, [])


def test_a_key_that_is_absent_binds_nothing() -> None:
    assert chosen({"x": zeros(2), "y": zeros(3)}).shape == (3,)
    unbound(chosen, {"x": zeros(2)})


def test_what_was_1_wherever_it_may_be_1_is_1() -> None:
    for left, right in ((1, 4), (4, 1), (4, 4), (1, 1)):
        assert added(zeros(left, 3), zeros(right, 3)).shape == (max(left, right), 3)
    with pytest.raises(ShapeError, match="axis 0    expected batch = 1, got 5"):
        added(zeros(1, 3), zeros(1, 3), 5)
    with pytest.raises(ShapeError, match="axis 0    expected batch = 4, got 5"):
        added(zeros(1, 3), zeros(4, 3), 5)


def test_what_no_call_can_bind_is_refused_at_once() -> None:
    def never(x: Float[Tensor, "batch"] | None) -> Float[Tensor, "seq"] | None:
        return None

    with pytest.raises(ContractError, match="no argument defines an axis 'seq'"):
        checked(never)


@pytest.mark.parametrize(
    ("call", "args"),
    [
        (LanguageModel(), (torch.zeros(2, 3).long(),)),
        (LanguageModel(), (None, zeros(2, 3, 8))),
        (masked, (zeros(2, 3),)),
        (either, (zeros(2, 3),)),
        (added, (zeros(1, 3), zeros(1, 3))),
        (extended, (zeros(2, 3),)),
        (extended, (zeros(2, 3), zeros(2, 4))),
    ],
)
def test_it_is_the_same_while_a_graph_is_traced(call: Any, args: tuple[Any, ...]) -> None:
    torch.compiler.reset()

    def outer(*args: Any) -> Any:
        return call(*args)

    compiled = torch.compile(outer, backend="eager", fullgraph=True, dynamic=True)
    torch.testing.assert_close(compiled(*args), call(*args))


@pytest.mark.parametrize(
    ("call", "args"),
    [(LanguageModel(), ()), (invented, (None,)), (added, (zeros(1, 3), zeros(1, 3), 5))],
)
def test_refusals_are_the_same_while_a_graph_is_traced(call: Any, args: tuple[Any, ...]) -> None:
    torch.compiler.reset()

    def outer(x: Tensor, *args: Any) -> Any:
        return x, call(*args)

    with pytest.raises(ShapeError, match=r"no argument of this call has|expected batch = 1"):
        torch.compile(outer, backend="eager", fullgraph=True)(zeros(1), *args)


def test_a_signature_knows_which_calls_bind_the_result() -> None:
    contract = signature(LanguageModel())
    assert not contract.accepts()
    assert contract.accepts((2, 3))
    assert contract.accepts((2, 3), (2, 3, 8))
    assert not contract.accepts((2, 3), (2, 4, 8))


@pytest.mark.slow
def test_such_contracts_are_proved_traced_and_tested() -> None:
    model = LanguageModel().eval()
    proof = prove(model)
    assert isinstance(proof, Proved)
    assert {case.label for case in proof.cases} == {
        "tokens given, embeddings=None",
        "tokens=None, embeddings given",
        "tokens given, embeddings given",
    }
    assert trace(model).call.outputs[0].sizes == ("batch", "seq", 11)
    assert_contract(model)
    assert_exports(model)
    for function in (passed_on, masked, either, added, extended):
        assert isinstance(prove(function), Proved), function
        assert_contract(function)
    assert isinstance(prove(invented), Refuted)
    with pytest.raises(AssertionError, match="keeps the contract, but fails"):
        assert_contract(invented)


@pytest.mark.slow
def test_such_contracts_are_compiled() -> None:
    assert_compiles(LanguageModel())
