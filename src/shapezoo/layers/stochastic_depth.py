"""Stochastic depth: residual branches that are skipped randomly.

Huang, Sun, Liu, Sedra, Weinberger, "Deep networks with stochastic depth", 2016, arXiv:1603.09382.
"""

import torch.fx
from jaxtyping import Float
from torch import Tensor

from shapezoo.contracts import Module


class StochasticDepth(Module):
    """Set random examples to zero in train mode, and scale the others to keep the mean.

    Used at the end of a residual branch, it skips the branch for these examples. The paper scales
    in eval mode instead (Equation 5). Like dropout, it draws from torch's global generator.

    Args:
        p: The probability that an example is set to zero.

    Raises:
        ValueError: `p` is less than 0, or 1 or more.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"p must be at least 0 and less than 1, got {p}")
        self.p = p

    def forward(self, x: Float[Tensor, "batch *features"]) -> Float[Tensor, "batch *features"]:
        """Return the branch or zeros for each example."""
        if not self.training or self.p == 0:
            return x
        return x * _scales(x, self.p)

    def extra_repr(self) -> str:
        """Return the arguments, for ``print(model)``."""
        return f"p={self.p}"


@torch.fx.wrap  # makes it one node: while torch.fx traces, x.dim() is not a number
def _scales(x: Tensor, p: float) -> Tensor:
    """Draw a factor for each example: 0, or the factor that keeps the mean."""
    kept = x.new_empty(x.shape[0], *(1,) * (x.dim() - 1)).bernoulli_(1 - p)
    return kept.div_(1 - p)
