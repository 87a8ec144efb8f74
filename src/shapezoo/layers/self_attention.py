"""Multi-head self-attention.

Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762, Section 3.2 and Figure 2.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from shapezoo.contracts import Module


class SelfAttention(Module):
    """Multi-head attention whose queries, keys and values come from the same positions.

    The parameters have the names and the initialisation of `torch.nn.MultiheadAttention`: Glorot's
    rule (Glorot and Bengio 2010) for the input projection, uniform for the output projection, zero
    for biases.

    Args:
        hidden_size: Width of a position.
        num_heads: The number of heads.
        dropout: The dropout probability of attention weights.

    Raises:
        ValueError: `hidden_size` is not divisible by `num_heads`.
    """

    def __init__(self, hidden_size: int, num_heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        if hidden_size % num_heads != 0:
            raise ValueError(
                f"hidden_size must be divisible by num_heads = {num_heads}, got {hidden_size}"
            )
        self.hidden_size = hidden_size
        self.num_heads = num_heads
        self.dropout = dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * hidden_size, hidden_size))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * hidden_size))
        self.out_proj = nn.Linear(hidden_size, hidden_size)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, x: Float[Tensor, "batch seq hidden={self.hidden_size}"]
    ) -> Float[Tensor, "batch seq hidden={self.hidden_size}"]:
        """Return the output of the attention (Equation 1 in each head)."""
        batch, seq, hidden = x.shape
        projected = functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        by_head = projected.view(batch, seq, 3, self.num_heads, hidden // self.num_heads)
        query, key, value = by_head.permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        heads = functional.scaled_dot_product_attention(query, key, value, dropout_p=dropout)
        output: Tensor = self.out_proj(heads.transpose(1, 2).flatten(2))
        return output

    def extra_repr(self) -> str:
        """Return the arguments, for ``print(model)``."""
        return f"{self.hidden_size}, num_heads={self.num_heads}, dropout={self.dropout}"
