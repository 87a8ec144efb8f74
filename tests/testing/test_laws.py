"""Laws that modules break are found, and those that they keep are not."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from jaxtyping import Bool, Complex, Float, Float32, Int64, UInt8
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from shapezoo import ContractError, Module, checked
from shapezoo.models import gru, lenet, lstm, name_classifier
from shapezoo.testing import (
    assert_batch_first_equivalent,
    assert_batch_independent,
    assert_gradients,
    assert_padding_invariant,
    inputs,
)

Body = Callable[["Weighted", Tensor], Tensor]


class Weighted(Module):
    """A module of one weight whose body is chosen."""

    def __init__(self, body: Body) -> None:
        super().__init__()
        self.body = body
        self.weight = nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return self.body(self, x)


def both(model: Weighted, x: Tensor) -> Tensor:
    result: Tensor = model.norm(x) * model.weight
    return result


def without_norm(model: Weighted, x: Tensor) -> Tensor:
    return x * model.weight


def detached(model: Weighted, x: Tensor) -> Tensor:
    result: Tensor = model.norm(x) * model.weight.detach()
    return result


def nothing(model: Weighted, x: Tensor) -> Tensor:
    return x


def by_value(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x) if model.weight.detach().sum() < 0 else without_norm(model, x)


def in_train_mode(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x) if model.training else without_norm(model, x)


def in_place(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x).mul_(2).relu_()


def root(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x).abs().sqrt()


def logarithm(model: Weighted, x: Tensor) -> Tensor:
    return both(model, x).abs().log()


class Parts(Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Parameter(torch.ones(3))
        self.second = nn.Parameter(torch.ones(3))

    def forward(
        self, x: Float[Tensor, "batch 3"], state: Float[Tensor, "batch 3"] | None = None
    ) -> tuple[Float[Tensor, "batch 3"], dict[str, Int64[Tensor, "batch"]]]:
        result = x * self.first
        if state is not None:
            result = result + state * self.second
        return result, {"best": result.argmax(1)}


class Waves(Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))

    def forward(self, x: Float[Tensor, "batch 3"]) -> Complex[Tensor, "batch 3"]:
        result: Tensor = torch.fft.fft(x * self.weight)
        return result


class Looked(Module):
    """Its embedding gives sparse gradients."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3, sparse=True)

    def forward(self, tokens: Int64[Tensor, "batch"]) -> Float[Tensor, "batch 3"]:
        result: Tensor = self.embedding(tokens)
        return result


class Shared(Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3)
        self.second.weight = self.first.weight

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        result: Tensor = self.second(self.first(x))
        return result


def frozen() -> Weighted:
    model = Weighted(detached).eval()
    model.weight.requires_grad_(False)
    return model


@pytest.mark.parametrize(
    "module",
    [
        Weighted(both).eval(),
        Weighted(in_place).eval(),
        frozen(),
        Parts(),
        Waves(),
        Looked(),
        Shared(),
        lenet(),
        gru(num_layers=2),
        torch.compile(Parts(), backend="eager"),
    ],
    ids=lambda module: type(module).__name__,
)
def test_gradients_that_reach_all_parameters_pass(module: nn.Module) -> None:
    assert_gradients(module, max_examples=5)


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (without_norm, "norm.bias, norm.weight"),
        (detached, "weight"),
        (nothing, "norm.bias, norm.weight, weight"),
        (by_value, "norm.bias, norm.weight"),
        (in_train_mode, "norm.bias, norm.weight"),
    ],
)
def test_parameters_without_gradient_are_named(body: Body, names: str) -> None:
    with pytest.raises(AssertionError) as caught:
        assert_gradients(Weighted(body).eval(), max_examples=5)
    assert str(caught.value).endswith(f": no gradient reaches {names}")


def test_gradients_are_those_of_the_mode() -> None:
    module = Weighted(in_train_mode)
    assert_gradients(module, inputs(module, batch=range(2, 5)))


@pytest.mark.parametrize("body", [root, logarithm])
def test_gradients_that_are_not_finite_are_shown_with_the_smallest_call(body: Body) -> None:
    expected = r"Weighted\(x=Tensor float32 \(1, 3\)\): the gradient of weight is not finite"
    with pytest.raises(AssertionError, match=expected):
        assert_gradients(Weighted(body).eval())


def test_a_parameter_needs_a_gradient_in_one_call_only() -> None:
    module = Parts()
    with pytest.raises(AssertionError, match="no gradient reaches second"):
        assert_gradients(module, inputs(module, given={"state": None}))


@pytest.mark.parametrize(
    "law", [assert_gradients, assert_batch_independent], ids=lambda law: law.__name__
)
def test_modules_and_generators_are_left_as_they_were(law: Callable[[nn.Module], None]) -> None:
    module = Weighted(both)
    module.norm.eval()
    module.weight.grad = torch.ones(3)
    before = {key: value.clone() for key, value in module.state_dict().items()}
    state = torch.random.get_rng_state()
    law(module)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert module.training
    assert not module.norm.training
    assert module.weight.grad.tolist() == [1, 1, 1]
    assert module.weight.dtype == torch.float32
    assert all(torch.equal(value, before[key]) for key, value in module.state_dict().items())


# batches


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


# padding


class Padded(Module):
    """A module of padded sequences whose body is chosen."""

    def __init__(self, body: Callable[["Padded", Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.body = body
        self.embedding = nn.Embedding(5, 4)
        self.rnn = nn.GRU(4, 2, batch_first=True, bidirectional=True)
        self.query = nn.Parameter(torch.randn(4))

    def inside(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        return torch.arange(tokens.shape[1]) < lengths[:, None]


class ToVector(Padded):
    def forward(
        self, tokens: Int64[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch 4"]:
        return self.body(self, tokens, lengths)


class ToSequence(Padded):
    def forward(
        self, tokens: Int64[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "4 seq batch"]:
        return self.body(self, tokens, lengths).permute(2, 1, 0)


def mean_of_valid(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    vectors = model.embedding(tokens) * model.inside(tokens, lengths)[..., None]
    result: Tensor = vectors.sum(1) / lengths[:, None]
    return result


def mean_of_all(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    result: Tensor = model.embedding(tokens).mean(1)
    return result


def sum_over_longest(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    """Padding beyond the longest sequence does no harm here; that before it does."""
    result: Tensor = model.embedding(tokens[:, : int(lengths.max())]).sum(1)
    return result


def mean_over_seq(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    """The values of padding do not matter here, but how much there is."""
    vectors = model.embedding(tokens) * model.inside(tokens, lengths)[..., None]
    result: Tensor = vectors.sum(1) / tokens.shape[1]
    return result


def largest(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    result: Tensor = model.embedding(tokens).amax(1)
    return result


def largest_of_valid(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    outside = ~model.inside(tokens, lengths)[..., None]
    result: Tensor = model.embedding(tokens).masked_fill(outside, -torch.inf).amax(1)
    return result


def attended(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    vectors = model.embedding(tokens)
    result: Tensor = ((vectors @ model.query).softmax(1)[..., None] * vectors).sum(1)
    return result


def attended_with_mask(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    vectors = model.embedding(tokens)
    scores = (vectors @ model.query).masked_fill(~model.inside(tokens, lengths), -torch.inf)
    result: Tensor = (scores.softmax(1)[..., None] * vectors).sum(1)
    return result


def read(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    result: Tensor = model.rnn(model.embedding(tokens))[0]
    return result


def last_states(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    result: Tensor = model.rnn(model.embedding(tokens))[1].transpose(0, 1).flatten(1)
    return result


def read_packed(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    packed = pack_padded_sequence(
        model.embedding(tokens), lengths, batch_first=True, enforce_sorted=False
    )
    outputs = model.rnn(packed)[0]
    return pad_packed_sequence(outputs, batch_first=True, total_length=tokens.shape[1])[0]


def each(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    result: Tensor = model.embedding(tokens)
    return result


def not_a_number_in_padding(model: Padded, tokens: Tensor, lengths: Tensor) -> Tensor:
    vectors = model.embedding(tokens)
    is_odd = (tokens % 2 == 1) & ~model.inside(tokens, lengths)
    result: Tensor = vectors.masked_fill(is_odd[..., None], torch.nan)
    return result


@pytest.mark.parametrize(
    "module",
    [
        ToVector(mean_of_valid),
        ToVector(largest_of_valid),
        ToVector(attended_with_mask),
        ToSequence(read_packed),
        ToSequence(each),
        ToSequence(not_a_number_in_padding),
        name_classifier(hidden_size=3),
    ],
    ids=lambda module: module.body.__name__ if isinstance(module, Padded) else "NameClassifier",
)
def test_padding_that_does_not_matter_passes(module: nn.Module) -> None:
    assert_padding_invariant(module)


@pytest.mark.parametrize(
    "module",
    [
        ToVector(mean_of_all),
        ToVector(mean_over_seq),
        ToVector(sum_over_longest),
        ToVector(largest),
        ToVector(attended),
        ToVector(last_states),
        ToSequence(read),
    ],
    ids=lambda module: module.body.__name__,
)
def test_padding_that_matters_is_found(module: Padded) -> None:
    expected = (
        rf"{type(module).__name__}\(tokens=Tensor int64 .*, lengths=Tensor int64 .*\): "
        "a result depends on the padding"
    )
    with pytest.raises(AssertionError, match=expected):
        assert_padding_invariant(module, max_examples=30)


class Rows(Module):
    """Its examples have another name, and there is a mask beside the sequences."""

    def __init__(self, has_leak: bool) -> None:
        super().__init__()
        self.has_leak = has_leak

    def forward(
        self,
        x: Float[Tensor, "rows seq features"],
        mask: Bool[Tensor, "rows seq"],
        lengths: Int64[Tensor, "rows"],
    ) -> tuple[Float[Tensor, "rows seq"], Float[Tensor, "rows"]]:
        inside = torch.arange(x.shape[1]) < lengths[:, None]
        if self.has_leak:
            inside = torch.arange(x.shape[1]) < lengths.max()
        total = torch.where(mask & inside, x.sum(2), 0)
        return total, total.sum(1)


def test_lengths_count_along_any_axis() -> None:
    assert_padding_invariant(Rows(has_leak=False))
    with pytest.raises(AssertionError, match="a result depends on the padding"):
        assert_padding_invariant(Rows(has_leak=True), max_examples=30)


def test_without_lengths_there_is_no_padding() -> None:
    class Lonely(Module):
        def forward(self, lengths: Int64[Tensor, "batch"]) -> Int64[Tensor, "batch"]:
            return lengths

    with pytest.raises(ContractError, match=r"GRU\.forward has no argument 'lengths'"):
        assert_padding_invariant(gru())
    with pytest.raises(ContractError, match=r"Lonely\.forward has no other argument with axis seq"):
        assert_padding_invariant(Lonely())


# the order of axes


class SeqFirst(Module):
    def __init__(self, hidden_size: int = 2) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.rnn = nn.GRU(3, hidden_size)

    def forward(
        self,
        inputs: Float[Tensor, "seq batch 3"],
        state: Float[Tensor, "1 batch {self.hidden_size}"],
    ) -> tuple[
        Float[Tensor, "seq batch {self.hidden_size}"], Float[Tensor, "1 batch {self.hidden_size}"]
    ]:
        outputs, last = self.rnn(inputs, state)
        return outputs, last


class BatchFirst(SeqFirst):
    """As `SeqFirst`, or with one mistake."""

    def __init__(self, hidden_size: int = 2, mistake: str = "") -> None:
        super().__init__(hidden_size)
        self.mistake = mistake

    def forward(
        self,
        inputs: Float[Tensor, "batch seq 3"],
        state: Float[Tensor, "batch 1 {self.hidden_size}"],
    ) -> tuple[
        Float[Tensor, "batch seq {self.hidden_size}"], Float[Tensor, "batch 1 {self.hidden_size}"]
    ]:
        batch, seq, _ = inputs.shape
        first = inputs.transpose(0, 1)
        if self.mistake == "inputs":
            first = inputs.reshape(seq, batch, 3)
        before = state.transpose(0, 1)
        if self.mistake == "state":
            before = torch.zeros_like(before)
        outputs, last = self.rnn(first, before.contiguous())
        if self.mistake == "outputs":
            outputs = outputs.flip(0)
        if self.mistake == "last":
            last = last + 1
        return outputs.transpose(0, 1), last.transpose(0, 1)


class Renamed(Module):
    def forward(self, tokens: Float[Tensor, "batch seq 3"]) -> Float[Tensor, "batch seq 2"]:
        return tokens[..., :2]


class Wider(Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.GRU(3, 2)

    def forward(
        self,
        inputs: Float[Tensor, "batch seq 4"],
        state: Float[Tensor, "1 batch 2"],
    ) -> Float[Tensor, "batch"]:
        return inputs[:, 0, 0]


def test_modules_that_differ_in_the_order_of_axes_pass() -> None:
    assert_batch_first_equivalent(SeqFirst(), BatchFirst())
    assert_batch_first_equivalent(BatchFirst(3), SeqFirst(3))
    assert_batch_first_equivalent(lstm(num_layers=2), lstm(num_layers=2, batch_first=True))
    pair: list[Any] = [torch.compile(m, backend="eager") for m in (SeqFirst(), BatchFirst())]
    assert_batch_first_equivalent(*pair, max_examples=2)


@pytest.mark.parametrize("mistake", ["inputs", "state", "outputs", "last"])
def test_modules_that_differ_in_more_are_found(mistake: str) -> None:
    expected = r"SeqFirst\(inputs=Tensor float64 .*\): the two modules give different results"
    with pytest.raises(AssertionError, match=expected):
        assert_batch_first_equivalent(SeqFirst(), BatchFirst(mistake=mistake))


def test_the_weights_must_fit() -> None:
    with pytest.raises(
        AssertionError, match=r"does not take the weights of the first\n(.|\n)*size mismatch"
    ):
        assert_batch_first_equivalent(SeqFirst(2), BatchFirst(3))


@pytest.mark.parametrize(
    ("other", "error"),
    [
        (SeqFirst(), "SeqFirst.forward: both modules have the same order of axes"),
        (Wider(), "inputs has axes seq batch 3 in one module, batch seq 4 in the other"),
    ],
    ids=["same", "wider"],
)
def test_contracts_must_differ_in_the_order_alone(other: nn.Module, error: str) -> None:
    with pytest.raises(ContractError, match=error):
        assert_batch_first_equivalent(SeqFirst(), other)


def test_arguments_have_the_same_names() -> None:
    class Plain(Module):
        def forward(self, inputs: Float[Tensor, "seq batch 3"]) -> Float[Tensor, "seq batch 2"]:
            return inputs[..., :2]

    with pytest.raises(ContractError, match="other arguments or results"):
        assert_batch_first_equivalent(Plain(), Renamed())


def test_neither_module_is_changed() -> None:
    first, second = SeqFirst(), BatchFirst()
    before = [p.clone() for p in second.parameters()]
    assert_batch_first_equivalent(first, second)
    assert first.training
    assert second.training
    assert all(torch.equal(*pair) for pair in zip(before, second.parameters(), strict=True))


def test_calls_of_another_module_serve() -> None:
    assert_batch_independent(Weighted(without_norm), inputs(Weighted(centred), batch=[3]))
    with pytest.raises(AssertionError, match=r"\(3, 3\)"):
        assert_batch_independent(
            Weighted(centred), inputs(Weighted(without_norm).double(), batch=[3])
        )


# corners of contracts


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


class Masked(Module):
    """Attends where a mask of two axes of time says so."""

    def __init__(self, *, inside: bool) -> None:
        super().__init__()
        self.inside = inside

    def forward(
        self,
        x: Float[Tensor, "batch seq"],
        mask: Bool[Tensor, "batch seq seq"],
        lengths: Int64[Tensor, "batch"] | None = None,
    ) -> Float[Tensor, "batch seq"]:
        valid = torch.ones_like(x, dtype=torch.bool)
        if self.inside and lengths is not None:
            valid = torch.arange(x.shape[1]) < lengths[:, None]
        return ((mask & valid[:, None, :]) * x[:, None, :]).sum(2)


def test_masks_of_two_axes_of_time_are_padded_too() -> None:
    assert_padding_invariant(Masked(inside=True))
    with pytest.raises(AssertionError, match="depends on the padding"):
        assert_padding_invariant(Masked(inside=False))


class Channels(Module):
    def forward(
        self, x: Float[Tensor, "batch channels frames"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch channels"]:
        valid = torch.arange(x.shape[2]) < lengths[:, None]
        return torch.where(valid[:, None], x, 0).sum(2)


def test_lengths_count_the_axis_of_time() -> None:
    assert_padding_invariant(Channels())


class Halved(Module):
    def forward(
        self, x: Float[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch (seq+1)//2"]:
        return x[:, ::2]


def test_a_size_that_is_computed_of_time_is_refused() -> None:
    with pytest.raises(ContractError, match=r"axis \(seq\+1\)//2 is computed from seq"):
        assert_padding_invariant(Halved())


class AnyRank(Module):
    def forward(self, x: Float[Tensor, "seq *batch"]) -> Float[Tensor, "seq *batch"]:
        return x


class AnyRankFirst(Module):
    def forward(self, x: Float[Tensor, "*batch seq"]) -> Float[Tensor, "*batch seq"]:
        return x


def test_orders_of_any_number_of_axes_are_refused() -> None:
    with pytest.raises(ContractError, match="in one module"):
        assert_batch_first_equivalent(AnyRank(), AnyRankFirst())


class InPlace(Module):
    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return x.mul_(2)


def test_a_module_that_changes_its_argument_gets_a_copy() -> None:
    assert_batch_independent(InPlace())


# a module is left as it was, and its state is not taken for a mistake


class Holding(Module):
    """Holds a result of its own, which cannot simply be copied."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.last: Tensor = self.linear(torch.zeros(1, 3))

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        result: Tensor = self.linear(x)
        return result


class Locked(Module):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()

    def forward(self, x: Float[Tensor, "batch 3"]) -> Float[Tensor, "batch 3"]:
        return x


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


def test_a_module_that_holds_results_is_left_as_it_was() -> None:
    model = Holding()
    assert_batch_independent(model)
    assert_gradients(model)
    assert (model.training, model.linear.weight.dtype) == (True, torch.float32)
    assert model.linear.weight.grad is None


def test_a_module_that_cannot_be_copied_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Locked cannot be copied: cannot pickle '_thread\.lock'"):
        assert_batch_independent(Locked())
    with pytest.raises(TypeError, match="this assertion takes a module, got <class"):
        assert_gradients(Holding)  # type: ignore[arg-type]  # the fault under test


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


def test_gradients_are_computed_whatever_the_mode() -> None:
    with torch.no_grad():
        assert_gradients(Holding())
    with torch.inference_mode():
        assert_gradients(Holding())


class Detector(Module):
    """Gives what has no shape in its contract."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)

    def forward(self, x: Float[Tensor, "batch 3"]) -> list[dict[str, Tensor]]:
        return [{"boxes": box} for box in self.linear(x)]


def test_gradients_come_from_results_without_shapes_too() -> None:
    assert_gradients(Detector())


class Table(Module):
    """Takes no sequence longer than 8."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(8))

    def forward(
        self, x: Float[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch"]:
        valid = torch.arange(x.shape[1]) < lengths[:, None]
        return ((x * self.table[: x.shape[1]]) * valid).sum(1)


def test_longer_sequences_need_not_be_taken() -> None:
    assert_padding_invariant(Table(), inputs(Table(), seq=range(1, 9)))


class Chunks(Module):
    def forward(
        self, x: Float[Tensor, "batch patches frames"], lengths: Int64[Tensor, "batch patches"]
    ) -> Float[Tensor, "batch patches"]:
        return (x * (torch.arange(x.shape[2]) < lengths[:, :, None])).sum(2)


def test_lengths_may_have_two_axes() -> None:
    assert_padding_invariant(Chunks())


class Scaling(Module):
    """Has a parameter of one number."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Float[Tensor, "seq batch"]) -> Float[Tensor, "seq batch"]:
        return x * self.scale


class ScalingFirst(Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(1))

    def forward(self, x: Float[Tensor, "batch seq"]) -> Float[Tensor, "batch seq"]:
        return x * self.scale


def test_both_modules_have_the_same_weights_when_constants_are_varied() -> None:
    assert_batch_first_equivalent(Scaling(), ScalingFirst())
