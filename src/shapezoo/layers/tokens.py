"""Vectors for tokens, with an error that shows the range of tokens outside the vocabulary.

The error is for the CPU. Checking tokens on an accelerator would mean waiting for it, so there
PyTorch's own assertion aborts the program.
"""

from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn import functional

from shapezoo.contracts import checked


class Embedding(nn.Embedding):
    """`torch.nn.Embedding` with a contract."""

    @checked
    def forward(
        self, tokens: Int64[Tensor, "*batch"]
    ) -> Float[Tensor, "*batch features={self.embedding_dim}"]:
        """Return the vector of each token.

        Raises:
            IndexError: A token is outside the vocabulary.
        """
        try:
            return super().forward(tokens)
        except IndexError as error:
            raise _out_of_range(tokens, self.num_embeddings) from error


@checked
def one_hot(
    tokens: Int64[Tensor, "*batch"], vocab_size: int
) -> Int64[Tensor, "*batch vocab={vocab_size}"]:
    """Return a vector for each token that is 1 at its index and 0 elsewhere.

    Args:
        tokens: Indices into the vocabulary.
        vocab_size: The number of tokens in the vocabulary.

    Raises:
        IndexError: A token is outside the vocabulary.
    """
    try:
        return functional.one_hot(tokens, vocab_size)
    except RuntimeError as error:
        raise _out_of_range(tokens, vocab_size) from error


def _out_of_range(tokens: Tensor, vocab_size: int) -> IndexError:
    got = f"{tokens.min()} to {tokens.max()}"
    return IndexError(f"tokens must be from 0 to {vocab_size - 1}, got {got}")
