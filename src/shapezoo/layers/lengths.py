"""The lengths of sequences that are padded to one size."""

from jaxtyping import Int64
from torch import Tensor

from shapezoo.contracts import checked
from shapezoo.contracts.matching.proof_mode import is_proving


class SequenceError(ValueError):
    """Sequences are missing or empty, or cannot have the lengths they are said to have."""

    __module__ = "shapezoo.layers"


@checked
def require_lengths(tokens: Int64[Tensor, "batch seq"], lengths: Int64[Tensor, "batch"]) -> None:
    """Refuse lengths that padded sequences cannot have.

    PyTorch accepts some of them and fails later, with another message.

    Args:
        tokens: The padded sequences.
        lengths: How many positions of each are no padding.

    Raises:
        SequenceError: There are no sequences, or a length is not between 1 and that of the padded
            ones.
    """
    if lengths.shape[0] == 0:
        raise SequenceError("lengths: there are no sequences")
    if is_proving():
        return  # there are no values
    seq = tokens.shape[1]
    for index in ((lengths < 1) | (lengths > seq)).nonzero()[:1].flatten().tolist():
        raise SequenceError(
            f"lengths[{index}] must be between 1 and seq={seq}, got {lengths[index]}"
        )
