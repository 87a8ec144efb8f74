import re

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from shapezoo import ShapeError
from shapezoo.data import (
    PaddedSequences,
    SequenceError,
    TokenBatch,
    pad_sequences,
    restore_order,
    sort_by_length,
)

some_lengths = st.lists(st.integers(1, 9), min_size=1, max_size=12)


def numbered(lengths: list[int]) -> list[Tensor]:
    """Sequences in which no number stands twice."""
    return list(torch.split(torch.arange(1, sum(lengths) + 1), lengths))


def test_shorter_sequences_are_followed_by_zeros() -> None:
    padded = pad_sequences([torch.tensor([7, 8]), torch.tensor([9]), torch.tensor([4, 5, 6])])
    assert padded.tokens.tolist() == [[7, 8, 0], [9, 0, 0], [4, 5, 6]]
    assert padded.lengths.tolist() == [2, 1, 3]


@given(lengths=some_lengths)
def test_each_sequence_can_be_recovered(lengths: list[int]) -> None:
    sequences = numbered(lengths)
    padded = pad_sequences(sequences)
    assert padded.tokens.shape == (len(lengths), max(lengths))
    assert padded.lengths.tolist() == lengths
    for row, sequence in zip(padded.tokens, sequences, strict=True):
        assert torch.equal(row[: len(sequence)], sequence)
        assert not row[len(sequence) :].any()


@given(lengths=some_lengths, data=st.data())
def test_selected_sequences_are_padded_no_further_than_they_need(
    lengths: list[int], data: st.DataObject
) -> None:
    indices = data.draw(st.lists(st.integers(0, len(lengths) - 1)))
    sequences = numbered(lengths)
    selected = pad_sequences(sequences).select(torch.tensor(indices, dtype=torch.int64))
    if not indices:
        assert selected.tokens.shape == (0, 0)
        return
    expected = pad_sequences([sequences[index] for index in indices])
    assert torch.equal(selected.tokens, expected.tokens)
    assert torch.equal(selected.lengths, expected.lengths)


@given(lengths=some_lengths)
def test_sorting_and_restoring_is_the_identity(lengths: list[int]) -> None:
    padded = pad_sequences(numbered(lengths))
    before = padded.tokens.clone(), padded.lengths.clone()
    by_length, order = sort_by_length(padded)
    assert by_length.lengths.tolist() == sorted(lengths, reverse=True)
    assert torch.equal(by_length.tokens, padded.tokens[order])
    assert torch.equal(restore_order(by_length.tokens, order), padded.tokens)
    assert torch.equal(restore_order(by_length.lengths, order), padded.lengths)
    assert torch.equal(padded.tokens, before[0])
    assert torch.equal(padded.lengths, before[1])


@given(lengths=some_lengths)
def test_equally_long_sequences_keep_their_order(lengths: list[int]) -> None:
    _, order = sort_by_length(pad_sequences(numbered(lengths)))
    assert order.tolist() == sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))


@given(lengths=some_lengths)
def test_sorting_ourselves_equals_letting_pytorch_sort(lengths: list[int]) -> None:
    padded = pad_sequences(numbered(lengths))
    by_length, order = sort_by_length(padded)
    embedding = nn.Embedding(sum(lengths) + 1, 3, dtype=torch.float64)
    gru = nn.GRU(3, 2, batch_first=True, bidirectional=True, dtype=torch.float64)

    def encode(sequences: PaddedSequences, enforce_sorted: bool) -> tuple[Tensor, Tensor]:
        packed = pack_padded_sequence(
            embedding(sequences.tokens),
            sequences.lengths,
            batch_first=True,
            enforce_sorted=enforce_sorted,
        )
        outputs, last = gru(packed)
        unpacked, _ = pad_packed_sequence(outputs, batch_first=True)
        return unpacked, last.transpose(0, 1)

    ours = encode(by_length, enforce_sorted=True)
    theirs = encode(padded, enforce_sorted=False)
    for sorted_values, expected in zip(ours, theirs, strict=True):
        torch.testing.assert_close(
            restore_order(sorted_values, order), expected, rtol=0, atol=1e-12
        )


def test_gradients_flow_through_the_restored_order() -> None:
    values = torch.randn(4, 2, dtype=torch.float64, requires_grad=True)
    order = torch.tensor([2, 0, 3, 1])
    assert torch.autograd.gradcheck(lambda v: restore_order(v, order), values)


def test_what_cannot_be_padded_is_refused() -> None:
    full, empty = torch.tensor([1, 2]), torch.tensor([], dtype=torch.int64)
    with pytest.raises(SequenceError, match="there are no sequences to pad"):
        pad_sequences([])
    with pytest.raises(SequenceError, match="sequence 1 is empty"):
        pad_sequences([full, empty, full])
    with pytest.raises(ShapeError, match=r"argument 'sequences\[1\]'"):
        pad_sequences([full, full.float()])
    with pytest.raises(ShapeError, match=r"argument 'sequences\[1\]'"):
        pad_sequences([full, full[None]])


@pytest.mark.parametrize("length", [-1, 0, 4])
def test_impossible_lengths_are_refused(length: int) -> None:
    message = f"lengths[1] must be between 1 and seq=3, got {length}"
    with pytest.raises(SequenceError, match=re.escape(message)):
        PaddedSequences(torch.zeros(3, 3).long(), torch.tensor([3, length, 1]))


def test_as_many_lengths_as_sequences() -> None:
    with pytest.raises(ShapeError, match="expected batch = 2, got 3"):
        PaddedSequences(torch.ones(2, 3).long(), torch.ones(3).long())
    with pytest.raises(ShapeError, match="expected batch = 2, got 3"):
        restore_order(torch.ones(2, 3), torch.arange(3))


@pytest.mark.parametrize("order", [[0, 0, 7], [1, 2, 3], [-1, 0, 1]])
def test_an_order_that_lacks_an_index_is_refused(order: list[int]) -> None:
    with pytest.raises(SequenceError, match="order must contain each index once"):
        restore_order(torch.zeros(3), torch.tensor(order))


def test_a_batch_of_tokens_has_a_label_for_each() -> None:
    tokens = torch.zeros(5, 2, dtype=torch.int64)
    batch = TokenBatch(tokens, tokens + 1)
    assert batch.inputs == (batch.tokens,)
    assert batch.targets is batch.labels
    assert batch.to(torch.device("meta")).labels.is_meta
    with pytest.raises(ShapeError, match="expected seq = 5, got 4"):
        TokenBatch(tokens, tokens[1:])
