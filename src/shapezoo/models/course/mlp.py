"""Multi-layer perceptron: linear layers with the logistic function between them.

Rumelhart, Hinton, Williams, "Learning representations by back-propagating errors", Nature 323,
1986. The last layer is linear: its outputs are predicted values or log-odds.
"""

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.registry import register


class MLP(Module):
    """A stack of linear layers.

    Args:
        in_features: Number of features of an example.
        out_features: Number of outputs: 1 for two classes.
        hidden_features: Widths of the hidden layers.
    """

    def __init__(
        self, in_features: int, out_features: int, *, hidden_features: Sequence[int]
    ) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        layers: list[nn.Module] = []
        width = in_features
        for hidden in hidden_features:
            layers += [nn.Linear(width, hidden), nn.Sigmoid()]
            width = hidden
        self.layers = nn.Sequential(*layers, nn.Linear(width, out_features))

    def forward(
        self, features: Float[Tensor, "batch features={self.in_features}"]
    ) -> Float[Tensor, "batch features={self.out_features}"]:
        """Predict values, or the log-odds of classes."""
        outputs: Tensor = self.layers(features)
        return outputs


@register(
    task="tabular-classification",
    paper="Rumelhart et al., Learning representations by back-propagating errors, 1986",
)
def mlp(
    *, in_features: int = 8, out_features: int = 1, hidden_features: Sequence[int] = (6, 4)
) -> MLP:
    """A multi-layer perceptron, by default 8-6-4-1."""
    return MLP(in_features, out_features, hidden_features=hidden_features)
