"""Sequences of different lengths in one tensor: padding, sorting by length, undoing the sort."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from jaxtyping import Int64, Num
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from shapezoo.contracts import checked
from shapezoo.layers import SequenceError, require_lengths


@checked
@dataclass(frozen=True, eq=False)
class PaddedSequences:
    """Sequences in the rows of one tensor, padded with zeros.

    Attributes:
        tokens: The sequences.
        lengths: The length of each sequence without padding, at least 1. They are on the CPU, as
            `torch.nn.utils.rnn.pack_padded_sequence` requires.

    Raises:
        SequenceError: A length is less than 1 or greater than that of its row.
    """

    tokens: Int64[Tensor, "batch seq"]
    lengths: Int64[Tensor, "batch"]

    def __post_init__(self) -> None:
        if len(self.lengths):
            require_lengths(self.tokens, self.lengths)

    def select(self, indices: Tensor) -> Self:
        """Return the sequences at these indices, padded to the longest of them."""
        lengths = self.lengths[indices]
        longest = max(lengths.tolist(), default=0)
        return type(self)(self.tokens[indices, :longest], lengths)


@checked
@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Sequences of the same length, with a class for each token.

    Attributes:
        tokens: Indices into a vocabulary.
        labels: Indices of classes.
    """

    tokens: Int64[Tensor, "seq batch"]
    labels: Int64[Tensor, "seq batch"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The arguments of the model."""
        return (self.tokens,)

    @property
    def targets(self) -> Tensor:
        """The labels, which the loss compares with the output of the model."""
        return self.labels

    def to(self, device: torch.device) -> Self:
        """Return the same examples on a device."""
        return replace(self, tokens=self.tokens.to(device), labels=self.labels.to(device))


@checked
def pad_sequences(sequences: Sequence[Int64[Tensor, "_"]]) -> PaddedSequences:
    """Pad sequences with zeros to the length of the longest one.

    Args:
        sequences: One or more sequences, each of length 1 or more.

    Raises:
        SequenceError: There are no sequences, or one is empty.
    """
    if not sequences:
        raise SequenceError("there are no sequences to pad")
    lengths = [len(sequence) for sequence in sequences]
    if 0 in lengths:
        raise SequenceError(f"sequence {lengths.index(0)} is empty")
    tokens = pad_sequence(list(sequences), batch_first=True)
    return PaddedSequences(tokens, torch.tensor(lengths))


@checked
def sort_by_length(
    sequences: PaddedSequences,
) -> tuple[PaddedSequences, Int64[Tensor, "batch"]]:
    """Sort sequences by length, longest first, for `torch.nn.utils.rnn.pack_padded_sequence`.

    Sequences of the same length keep their order.

    Args:
        sequences: The sequences, in any order.

    Returns:
        The sorted sequences, and the previous index of each, for `restore_order`.
    """
    order = torch.argsort(sequences.lengths, descending=True, stable=True)
    return PaddedSequences(sequences.tokens[order], sequences.lengths[order]), order


@checked
def restore_order(
    values: Num[Tensor, "batch *features"], order: Int64[Tensor, "batch"]
) -> Num[Tensor, "batch *features"]:
    """Return values computed from sorted sequences in the order before sorting.

    Args:
        values: One row for each sorted sequence.
        order: The previous index of each sequence, as `sort_by_length` returns it.

    Raises:
        SequenceError: The order is not a permutation.
    """
    if not torch.equal(order.sort().values, torch.arange(len(order), device=order.device)):
        raise SequenceError(f"order must contain each index once, got {order.tolist()}")
    return values[order.argsort()]
