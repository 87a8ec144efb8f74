"""The two linear layers that a transformer applies to each position separately.

Vaswani et al., "Attention is all you need", 2017, arXiv:1706.03762, Section 3.3; with GELU instead
of ReLU, as in BERT and vision transformers.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import checked


class MLPBlock(nn.Sequential):
    """A linear layer, GELU, and a linear layer back to the hidden size.

    Weights are initialised by Glorot's rule (Glorot and Bengio 2010), biases with a standard
    deviation of 1e-6.

    Args:
        hidden_size: Width of a position.
        mlp_size: Width between the two layers.
        dropout: The dropout probability after each layer.
    """

    def __init__(self, hidden_size: int, mlp_size: int, *, dropout: float = 0.0) -> None:
        first, second = nn.Linear(hidden_size, mlp_size), nn.Linear(mlp_size, hidden_size)
        super().__init__(first, nn.GELU(), nn.Dropout(dropout), second, nn.Dropout(dropout))
        self.hidden_size = hidden_size
        for linear in (first, second):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.normal_(linear.bias, std=1e-6)

    @checked
    def forward(
        self, x: Float[Tensor, "*batch hidden={self.hidden_size}"]
    ) -> Float[Tensor, "*batch hidden={self.hidden_size}"]:
        """Return the output for each position."""
        for layer in self:
            x = layer(x)
        return x
