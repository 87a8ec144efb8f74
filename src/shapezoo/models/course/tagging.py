"""Taggers: predict a class for every token of a sequence, from the tokens up to it.

A simple recurrent network (Elman, "Finding structure in time", Cognitive Science 14(2), 1990)
reads the tokens. The three forms are those of Liu, "PyTorch deep learning practice", Lecture 12:
one-hot tokens with states that are themselves the scores, on a cell or a whole network; and
embedded tokens with a linear layer on top.
"""

import functools

from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers import Embedding, one_hot
from shapezoo.models.course.recurrent.rnn import RNN
from shapezoo.models.course.recurrent.stepped_rnn import SteppedRNN
from shapezoo.registry import register


class OneHotTagger(Module):
    """A recurrent network on one-hot tokens, whose states are the scores.

    Args:
        rnn: The network, with an input feature for each token of the vocabulary, and a state
            feature for each class.
    """

    def __init__(self, rnn: RNN | SteppedRNN) -> None:
        super().__init__()
        self.vocab_size = rnn.input_size
        self.num_classes = rnn.hidden_size
        self.rnn = rnn

    def forward(
        self, tokens: Int64[Tensor, "seq batch"]
    ) -> Float[Tensor, "seq batch classes={self.num_classes}"]:
        """Score every class at each position, from -1 to 1.

        Raises:
            IndexError: A token is outside the vocabulary.
        """
        vectors = one_hot(tokens, self.vocab_size).to(next(self.parameters()).dtype)
        scores, _ = self.rnn(vectors)
        return scores


class EmbeddingTagger(Module):
    """A recurrent network on embedded tokens, whose states a linear layer scores.

    Args:
        vocab_size: Number of distinct tokens.
        num_classes: Number of classes.
        embedding_dim: Width of the embedding of a token.
        hidden_size: Width of the state.
        num_layers: Number of stacked recurrent layers.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        num_classes: int,
        embedding_dim: int,
        hidden_size: int,
        num_layers: int,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding = Embedding(vocab_size, embedding_dim)
        self.rnn = RNN(embedding_dim, hidden_size, num_layers=num_layers)
        self.classifier = nn.Linear(hidden_size, num_classes)

    def forward(
        self, tokens: Int64[Tensor, "seq batch"]
    ) -> Float[Tensor, "seq batch classes={self.num_classes}"]:
        """Score every class at each position.

        Raises:
            IndexError: A token is outside the vocabulary.
        """
        states, _ = self.rnn(self.embedding(tokens))
        logits: Tensor = self.classifier(states)
        return logits


_register_tagger = functools.partial(register, task="token-classification", static_axes=("seq",))


@_register_tagger(paper="Elman, Finding structure in time, 1990")
def onehot_cell_tagger(*, vocab_size: int = 4, num_classes: int = 4) -> OneHotTagger:
    """A recurrent cell that labels one-hot tokens.

    Args:
        vocab_size: Number of distinct tokens.
        num_classes: Number of classes.
    """
    return OneHotTagger(SteppedRNN(vocab_size, num_classes))


@_register_tagger(paper="Elman, Finding structure in time, 1990")
def onehot_tagger(*, vocab_size: int = 4, num_classes: int = 4) -> OneHotTagger:
    """A recurrent network that labels one-hot tokens.

    Args:
        vocab_size: Number of distinct tokens.
        num_classes: Number of classes.
    """
    return OneHotTagger(RNN(vocab_size, num_classes))


@_register_tagger(paper="Elman, Finding structure in time, 1990")
def embedding_tagger(
    *,
    vocab_size: int = 4,
    num_classes: int = 4,
    embedding_dim: int = 10,
    hidden_size: int = 8,
    num_layers: int = 2,
) -> EmbeddingTagger:
    """A recurrent network that labels embedded tokens, with a linear layer on top."""
    return EmbeddingTagger(
        vocab_size=vocab_size,
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        hidden_size=hidden_size,
        num_layers=num_layers,
    )


@_register_tagger(paper="Mikolov et al., Recurrent neural network based language model, 2010")
def character_rnn(
    *,
    vocab_size: int = 128,
    num_classes: int = 128,
    embedding_dim: int = 64,
    hidden_size: int = 256,
    num_layers: int = 1,
) -> EmbeddingTagger:
    """A recurrent network that predicts the next character of a text, by default in ASCII."""
    return embedding_tagger(
        vocab_size=vocab_size,
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        hidden_size=hidden_size,
        num_layers=num_layers,
    )
