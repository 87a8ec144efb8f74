"""Forecaster: a recurrent network that predicts the next values of a time series.

Elman, "Finding structure in time", Cognitive Science 14(2), 1990, where a simple recurrent network
predicts the next element of a sequence. Here the elements are numbers, only the element after the
last is predicted, and the output is linear.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.models.course.recurrent.rnn import RNN
from shapezoo.registry import register


class Forecaster(Module):
    """Predicts the values that follow a window of a time series.

    Args:
        num_features: Number of values at each time.
        hidden_size: Width of the state.
    """

    def __init__(self, *, num_features: int, hidden_size: int) -> None:
        super().__init__()
        self.num_features = num_features
        self.rnn = RNN(num_features, hidden_size)
        self.head = nn.Linear(hidden_size, num_features)

    def forward(
        self, windows: Float[Tensor, "seq batch features={self.num_features}"]
    ) -> Float[Tensor, "batch features={self.num_features}"]:
        """Predict the values that follow each window."""
        states, _ = self.rnn(windows)
        predictions: Tensor = self.head(states[-1])
        return predictions


@register(task="forecasting", paper="Elman, Finding structure in time, 1990", static_axes=("seq",))
def rnn_forecaster(*, num_features: int = 3, hidden_size: int = 16) -> Forecaster:
    """A recurrent network that predicts the next values of a time series."""
    return Forecaster(num_features=num_features, hidden_size=hidden_size)
