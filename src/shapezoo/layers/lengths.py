"""The lengths of padded sequences."""

from jaxtyping import Int64
from torch import Tensor

from shapezoo.contracts import checked
from shapezoo.contracts.matching.proof_mode import is_proving


class SequenceError(ValueError):
    """Sequences are missing or empty, or do not match their lengths."""

    __module__ = "shapezoo.layers"


@checked
def require_lengths(tokens: Int64[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]) -> None:
    """Raise unless padded sequences can have these lengths.

    PyTorch accepts some wrong lengths and fails later, with another message.

    Args:
        tokens: The padded sequences.
        lengths: The length of each sequence without padding.

    Raises:
        SequenceError: There are no sequences, or a length is less than 1 or greater than the
            length with padding.
    """
    if lengths.shape[0] == 0:
        raise SequenceError("lengths: there are no sequences")
    if is_proving():
        return  # a proof runs on tensors without values
    seq = tokens.shape[1]
    for index in ((lengths < 1) | (lengths > seq)).nonzero()[:1].flatten().tolist():
        raise SequenceError(
            f"lengths[{index}] must be between 1 and seq={seq}, got {lengths[index]}"
        )
