"""The encoder of a vision transformer: blocks in which tokens attend to each other.

Dosovitskiy et al., "An image is worth 16x16 words: transformers for image recognition at scale",
2020, arXiv:2010.11929, Figure 1 and Equations 2 to 4. The hidden layer of each MLP is four times as
wide as a token, as in all rows of Table 1.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers import MLPBlock, SelfAttention


class EncoderBlock(Module):
    """Attention and an MLP, each a residual on normalised tokens (Figure 1, right).

    Args:
        hidden_size: Width of a token.
        num_heads: Number of attention heads.
        dropout: Probability of dropping an output in train mode, after each linear layer except
            those of queries, keys and values (Appendix B.1).
    """

    def __init__(self, hidden_size: int, *, num_heads: int, dropout: float) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.ln_1 = nn.LayerNorm(hidden_size, eps=1e-6)
        self.self_attention = SelfAttention(hidden_size, num_heads)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(hidden_size, eps=1e-6)
        self.mlp = MLPBlock(hidden_size, 4 * hidden_size, dropout=dropout)

    def forward(
        self, tokens: Float[Tensor, "batch seq hidden={self.hidden_size}"]
    ) -> Float[Tensor, "batch seq hidden={self.hidden_size}"]:
        """Add the residuals of attention and MLP to the tokens (Equations 2 and 3)."""
        tokens = tokens + self.dropout(self.self_attention(self.ln_1(tokens)))
        encoded: Tensor = tokens + self.mlp(self.ln_2(tokens))
        return encoded


class Encoder(Module):
    """Position embeddings, a stack of blocks, and layer normalisation.

    Args:
        hidden_size: Width of a token.
        seq_length: Number of tokens.
        num_layers: Number of blocks.
        num_heads: Number of attention heads.
        dropout: As in `EncoderBlock`, and after the position embeddings are added.
    """

    def __init__(
        self, hidden_size: int, *, seq_length: int, num_layers: int, num_heads: int, dropout: float
    ) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.seq_length = seq_length
        self.pos_embedding = nn.Parameter(torch.empty(1, seq_length, hidden_size))
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential()
        for index in range(num_layers):
            block = EncoderBlock(hidden_size, num_heads=num_heads, dropout=dropout)
            self.layers.add_module(f"encoder_layer_{index}", block)
        self.ln = nn.LayerNorm(hidden_size, eps=1e-6)
        nn.init.normal_(self.pos_embedding, std=0.02)

    def forward(
        self, tokens: Float[Tensor, "batch seq={self.seq_length} hidden={self.hidden_size}"]
    ) -> Float[Tensor, "batch seq={self.seq_length} hidden={self.hidden_size}"]:
        """Return the tokens after all blocks, normalised."""
        encoded: Tensor = self.ln(self.layers(self.dropout(tokens + self.pos_embedding)))
        return encoded
