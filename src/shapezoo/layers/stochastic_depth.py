"""Stochastic depth: residual branches that are left out at random.

Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", 2016, arXiv:1603.09382.
"""

import torch.fx
from jaxtyping import Float
from torch import Tensor

from shapezoo.contracts import Module


class StochasticDepth(Module):
    """In train mode, zeros for some examples at random, and the others scaled to the same mean.

    It stands at the end of a residual branch, which is left out where it gives zeros. The paper
    scales in eval mode instead (Equation 5). Like dropout, it draws from torch's global generator.

    Args:
        p: The probability that an example becomes zeros.

    Raises:
        ValueError: p is no probability, or 1.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be at least 0 and less than 1, got {p}")
        self.p = p

    def forward(self, x: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch *features"]:
        """The branch, or zeros, for each example."""
        if not self.training or self.p == 0:
            return x
        return x * _scales(x, self.p)

    def extra_repr(self) -> str:
        """What `repr` shows."""
        return f"p={self.p}"


@torch.fx.wrap  # one node: while torch.fx traces, the number of axes of x is not a number
def _scales(x: Tensor, p: float) -> Tensor:
    """Draw a factor for each example: 0, or what keeps the mean."""
    kept = x.new_empty(x.shape[0], *(1,) * (x.dim() - 1)).bernoulli_(1 - p)
    return kept.div_(1 - p)
