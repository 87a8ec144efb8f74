"""Sequences of different lengths as one tensor: padded, sorted by length, and put back."""

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
    """Sequences in the rows of one tensor, each followed by zeros where it is shorter.

    Attributes:
        tokens: The sequences.
        lengths: How many positions of each row are not padding: at least 1. They stay on the
            CPU, where packing wants them.

    Raises:
        SequenceError: A length is below 1 or beyond the end of its row.
    """

    tokens: Int64[Tensor, "batch seq"]
    lengths: Int64[Tensor, "batch"]

    def __post_init__(self) -> None:
        if len(self.lengths):
            require_lengths(self.tokens, self.lengths)

    def select(self, indices: Tensor) -> Self:
        """The sequences at these indices, padded to the longest of them."""
        lengths = self.lengths[indices]
        longest = max(lengths.tolist(), default=0)
        return type(self)(self.tokens[indices, :longest], lengths)


@checked
@dataclass(frozen=True, eq=False)
class TokenBatch:
    """Sequences of one length, with a class for each of their tokens.

    Attributes:
        tokens: Indices into a vocabulary.
        labels: Indices of classes.
    """

    tokens: Int64[Tensor, "seq batch"]
    labels: Int64[Tensor, "seq batch"]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """What a model takes."""
        return (self.tokens,)

    @property
    def targets(self) -> Tensor:
        """What a loss compares with."""
        return self.labels

    def to(self, device: torch.device) -> Self:
        """The same examples on a device."""
        return replace(self, tokens=self.tokens.to(device), labels=self.labels.to(device))


@checked
def pad_sequences(sequences: Sequence[Int64[Tensor, "_"]]) -> PaddedSequences:
    """Put sequences into one tensor, with zeros after those that are shorter than the longest.

    Args:
        sequences: At least one, each with at least one position.

    Raises:
        SequenceError: There is no sequence, or one is empty.
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
    """Sort sequences, the longest first, as `torch.nn.utils.rnn.pack_padded_sequence` wants them.

    Sequences of the same length keep their order.

    Args:
        sequences: In any order.

    Returns:
        The sorted sequences, and where each stood before; `restore_order` takes the latter.
    """
    order = torch.argsort(sequences.lengths, descending=True, stable=True)
    return PaddedSequences(sequences.tokens[order], sequences.lengths[order]), order


@checked
def restore_order(
    values: Num[Tensor, "batch *features"], order: Int64[Tensor, "batch"]
) -> Num[Tensor, "batch *features"]:
    """Put what was computed from sorted sequences back into the order before the sort.

    Args:
        values: One row for each sorted sequence.
        order: Where each stood before, as `sort_by_length` returns it.

    Raises:
        SequenceError: The order lacks an index.
    """
    if not torch.equal(order.sort().values, torch.arange(len(order), device=order.device)):
        raise SequenceError(f"order must hold each index once, got {order.tolist()}")
    return values[order.argsort()]
