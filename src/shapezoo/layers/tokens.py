"""Tokens as vectors, with an error that tells of a token outside the vocabulary.

On an accelerator the tokens cannot be looked at without waiting for it; PyTorch's own assertion
stops the program there.
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
        """The vector of each token.

        Raises:
            IndexError: A token is outside the vocabulary.
        """
        try:
            return super().forward(tokens)
        except IndexError as error:
            raise _outside(tokens, self.num_embeddings) from error


@checked
def one_hot(
    tokens: Int64[Tensor, "*batch"], vocab_size: int
) -> Int64[Tensor, "*batch vocab={vocab_size}"]:
    """For each token a vector that is 1 at its index, and 0 elsewhere.

    Args:
        tokens: Indices into the vocabulary.
        vocab_size: How many tokens there are.

    Raises:
        IndexError: A token is outside the vocabulary.
    """
    try:
        return functional.one_hot(tokens, vocab_size)
    except RuntimeError as error:
        raise _outside(tokens, vocab_size) from error


def _outside(tokens: Tensor, vocab_size: int) -> IndexError:
    span = f"{tokens.min()} to {tokens.max()}"
    return IndexError(f"tokens must be from 0 to {vocab_size - 1}, got {span}")
