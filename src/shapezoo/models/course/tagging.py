"""Taggers: a class for every token of a sequence, from the tokens up to it.

A simple recurrent network (Elman, "Finding structure in time", Cognitive Science 14(2), 1990)
reads the tokens. The three forms are those of Liu, "PyTorch deep learning practice", Lecture 12:
one-hot tokens and states that are themselves the scores, with a cell or with a whole network, and
embedded tokens with a linear layer on top.
"""

from jaxtyping import Float, Int64
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers import Embedding, one_hot
from shapezoo.models.course.recurrent.rnn import RNN
from shapezoo.models.course.recurrent.stepped_rnn import SteppedRNN
from shapezoo.registry import register


class OneHotTagger(Module):
    """Reads one-hot tokens with a recurrent network; its states are the scores.

    Args:
        rnn: The network. Its inputs have a number for each token of the vocabulary, its states
            one for each class.
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
    """Reads embedded tokens with a recurrent network; a linear layer scores its states.

    Args:
        vocab_size: How many tokens there are.
        num_classes: Number of labels.
        embedding_dim: Width of the vector that stands for a token.
        hidden_size: Width of the state.
        num_layers: Recurrent layers, each reading the one below.
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


@register(
    task="token-classification",
    paper="Elman, Finding structure in time, 1990",
    static_axes=("seq",),
)
def onehot_cell_tagger(*, vocab_size: int = 4, num_classes: int = 4) -> OneHotTagger:
    """A recurrent cell that labels one-hot tokens.

    Args:
        vocab_size: How many tokens there are.
        num_classes: Number of labels.
    """
    return OneHotTagger(SteppedRNN(vocab_size, num_classes))


@register(
    task="token-classification",
    paper="Elman, Finding structure in time, 1990",
    static_axes=("seq",),
)
def onehot_tagger(*, vocab_size: int = 4, num_classes: int = 4) -> OneHotTagger:
    """A recurrent network that labels one-hot tokens.

    Args:
        vocab_size: How many tokens there are.
        num_classes: Number of labels.
    """
    return OneHotTagger(RNN(vocab_size, num_classes))


@register(
    task="token-classification",
    paper="Elman, Finding structure in time, 1990",
    static_axes=("seq",),
)
def embedding_tagger(
    *,
    vocab_size: int = 4,
    num_classes: int = 4,
    embedding_dim: int = 10,
    hidden_size: int = 8,
    num_layers: int = 2,
) -> EmbeddingTagger:
    """A recurrent network that labels embedded tokens, under a linear layer.

    Args:
        vocab_size: How many tokens there are.
        num_classes: Number of labels.
        embedding_dim: Width of the vector that stands for a token.
        hidden_size: Width of the state.
        num_layers: Recurrent layers, each reading the one below.
    """
    return EmbeddingTagger(
        vocab_size=vocab_size,
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        hidden_size=hidden_size,
        num_layers=num_layers,
    )


@register(
    task="token-classification",
    paper="Mikolov et al., Recurrent neural network based language model, 2010",
    static_axes=("seq",),
)
def character_rnn(
    *,
    vocab_size: int = 128,
    num_classes: int = 128,
    embedding_dim: int = 64,
    hidden_size: int = 256,
    num_layers: int = 1,
) -> EmbeddingTagger:
    """A recurrent network that tells the next character of a text, by default of ASCII.

    Args:
        vocab_size: How many characters there are.
        num_classes: How many of them it tells apart.
        embedding_dim: Width of the vector that stands for a character.
        hidden_size: Width of the state.
        num_layers: Recurrent layers, each reading the one below.
    """
    return embedding_tagger(
        vocab_size=vocab_size,
        num_classes=num_classes,
        embedding_dim=embedding_dim,
        hidden_size=hidden_size,
        num_layers=num_layers,
    )
