"""Name classifier: predicts the country of a surname from its characters.

A bidirectional GRU reads the characters; a linear layer scores its last states in both directions.
PyTorch courses teach it so, after Robertson, "NLP from scratch: classifying names with a
character-level RNN", PyTorch tutorials, 2017, where the network is a plain RNN in one direction.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence

from shapezoo.contracts import Module
from shapezoo.layers import Embedding, require_lengths
from shapezoo.registry import register


class NameClassifier(Module):
    """Classifies short texts, character by character.

    Args:
        vocab_size: Number of characters, including padding: 128 for ASCII.
        num_classes: Number of classes.
        hidden_size: Width of the embedding, and of the state in each direction.
        num_layers: Number of stacked recurrent layers.
        dropout: Probability of dropping an input of the linear layer in train mode.
    """

    def __init__(
        self,
        *,
        vocab_size: int,
        num_classes: int,
        hidden_size: int,
        num_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.embedding = Embedding(vocab_size, hidden_size)
        self.gru = nn.GRU(
            hidden_size, hidden_size, num_layers, batch_first=True, bidirectional=True
        )
        self.dropout = nn.Dropout(dropout)
        self.classifier = nn.Linear(2 * hidden_size, num_classes)

    def forward(
        self,
        characters: Int64[Tensor, "batch seq"],
        lengths: Int64[Tensor, "batch"],
    ) -> Float[Tensor, "batch classes={self.num_classes}"]:
        """Score every class for each name.

        Args:
            characters: The indices of the characters of each name, padded at its end by any
                index.
            lengths: Number of characters of each name. They are needed on the CPU; lengths on
                another device are copied.

        Raises:
            SequenceError: There are no names, or a length is not between 1 and the padded length.
            IndexError: A character is outside the vocabulary.
        """
        require_lengths(characters, lengths)
        packed = pack_padded_sequence(
            self.embedding(characters), lengths.cpu(), batch_first=True, enforce_sorted=False
        )
        _, last = self.gru(packed)
        logits: Tensor = self.classifier(self.dropout(torch.cat([last[-2], last[-1]], dim=1)))
        return logits


@register(
    task="text-classification",
    paper="Robertson, NLP from scratch: classifying names with a character-level RNN, "
    "PyTorch tutorials, 2017",
    is_one_graph=False,
)
def name_classifier(
    *,
    vocab_size: int = 128,
    num_classes: int = 18,
    hidden_size: int = 100,
    num_layers: int = 2,
    dropout: float = 0.5,
) -> NameClassifier:
    """A bidirectional GRU that predicts the country of a surname."""
    return NameClassifier(
        vocab_size=vocab_size,
        num_classes=num_classes,
        hidden_size=hidden_size,
        num_layers=num_layers,
        dropout=dropout,
    )
