"""Padding does not matter: modules that break this are found."""

from collections.abc import Callable

import pytest
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from shapezoo import ContractError, Module
from shapezoo.models import gru, name_classifier
from shapezoo.testing import assert_padding_invariant, inputs


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
