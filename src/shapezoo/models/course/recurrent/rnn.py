"""Simple recurrent network: each state follows from the input and from the state before.

Elman, "Finding structure in time", Cognitive Science 14(2), 1990, Figure 2. As in torch.nn.RNN,
the hyperbolic tangent takes the place of the logistic function, and the states are the outputs.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.models.course.recurrent.recurrent_base import Recurrent
from shapezoo.registry import register


class RNN(Recurrent):
    """Encodes sequences whose first axis is time. The builder `rnn` documents the arguments."""

    rnn_class = nn.RNN
    batch_first = False

    def forward(
        self,
        inputs: Float[Tensor, "seq batch features={self.input_size}"],
        state: Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"]
        | None = None,
    ) -> tuple[
        Float[Tensor, "seq batch hidden={self.output_size}"],
        Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
    ]:
        """Return the output at every position, and the last state of every layer and direction.

        Args:
            inputs: The sequences.
            state: The state to start from; zeros if None.
        """
        outputs, last = self.rnn(inputs, state)
        return outputs, last


class BatchFirstRNN(Recurrent):
    """Encodes sequences whose first axis is the batch, with the same weights as an `RNN`.

    The builder `rnn` documents the arguments.
    """

    rnn_class = nn.RNN
    batch_first = True

    def forward(
        self,
        inputs: Float[Tensor, "batch seq features={self.input_size}"],
        state: Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"]
        | None = None,
    ) -> tuple[
        Float[Tensor, "batch seq hidden={self.output_size}"],
        Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
    ]:
        """Return the output at every position, and the last state of every layer and direction.

        Args:
            inputs: The sequences.
            state: The state to start from; zeros if None. Its batch axis is
                the second here too.
        """
        outputs, last = self.rnn(inputs, state)
        return outputs, last


@register(
    task="sequence-encoding", paper="Elman, Finding structure in time, 1990", static_axes=("seq",)
)
def rnn(
    *,
    input_size: int = 4,
    hidden_size: int = 2,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    batch_first: bool = False,
) -> RNN | BatchFirstRNN:
    """A simple recurrent encoder, by default small enough to show its shapes on a slide.

    Args:
        input_size: Number of features at each position.
        hidden_size: Width of the state, in each direction.
        num_layers: Number of stacked recurrent layers.
        bidirectional: Whether a second RNN reads backwards; the outputs are concatenated.
        dropout: Probability of dropping an output between two layers.
        batch_first: Whether the batch is the first axis of the inputs and outputs.
    """
    layout = BatchFirstRNN if batch_first else RNN
    return layout(
        input_size, hidden_size, num_layers=num_layers, bidirectional=bidirectional, dropout=dropout
    )
