"""Logistic regression: the log-odds of a class are a weighted sum of the features.

Cox, "The regression analysis of binary sequences", Journal of the Royal Statistical Society B
20(2), 1958. The model stops at the log-odds, from which a loss can be computed without the
logistic function saturating; ``sigmoid()`` turns them into probabilities.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.registry import register


class LogisticRegression(Module):
    """A binary classifier.

    Args:
        in_features: Number of features of an example.
    """

    def __init__(self, in_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.linear = nn.Linear(in_features, 1)

    def forward(
        self, features: Float[Tensor, "batch features={self.in_features}"]
    ) -> Float[Tensor, "batch 1"]:
        """Return the log-odds of class 1 for each example."""
        logits: Tensor = self.linear(features)
        return logits


@register(
    task="tabular-classification",
    paper="Cox, The regression analysis of binary sequences, 1958",
)
def logistic_regression(*, in_features: int = 1) -> LogisticRegression:
    """Logistic regression for two classes, by default on one feature."""
    return LogisticRegression(in_features)
