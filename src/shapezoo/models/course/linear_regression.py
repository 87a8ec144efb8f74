"""Linear regression: a weighted sum of the features, fitted by least squares.

Legendre, "Nouvelles méthodes pour la détermination des orbites des comètes", 1805; here the
weights are found by gradient descent.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.registry import register


class LinearRegression(Module):
    """Predicts values from features.

    Args:
        in_features: Number of features of an example.
        out_features: Number of values to predict.
        bias: Whether to add a constant to the weighted sum.
    """

    def __init__(self, in_features: int, out_features: int, *, bias: bool = True) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self.linear = nn.Linear(in_features, out_features, bias=bias)

    def forward(
        self, features: Float[Tensor, "batch features={self.in_features}"]
    ) -> Float[Tensor, "batch features={self.out_features}"]:
        """Predict for each example."""
        predictions: Tensor = self.linear(features)
        return predictions


@register(
    task="tabular-regression",
    paper="Legendre, Nouvelles méthodes pour la détermination des orbites des comètes, 1805",
)
def linear_regression(
    *, in_features: int = 1, out_features: int = 1, bias: bool = True
) -> LinearRegression:
    """Linear regression, by default of one value on one feature."""
    return LinearRegression(in_features, out_features, bias=bias)
