"""Gated recurrent unit: a recurrent network whose gates decide what to keep and what to forget.

Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine
translation", 2014, arXiv:1406.1078, Section 2.3. As in torch.nn.GRU, the reset gate acts after
the matrix product (cuDNN's variant), where the paper applies it before.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.models.course.recurrent.recurrent_base import Recurrent
from shapezoo.registry import register


class GRU(Recurrent):
    """Encodes sequences whose first axis is time. The builder `gru` documents the arguments."""

    rnn_class = nn.GRU
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


class BatchFirstGRU(Recurrent):
    """Encodes sequences whose first axis is the batch, with the same weights as a `GRU`.

    The builder `gru` documents the arguments.
    """

    rnn_class = nn.GRU
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
    task="sequence-encoding",
    paper="Cho et al., Learning phrase representations using RNN encoder-decoder for "
    "statistical machine translation, 2014, arXiv:1406.1078",
    static_axes=("seq",),
)
def gru(
    *,
    input_size: int = 4,
    hidden_size: int = 2,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    batch_first: bool = False,
) -> GRU | BatchFirstGRU:
    """A GRU encoder, by default small enough to show its shapes on a slide.

    Args:
        input_size: Number of features at each position.
        hidden_size: Width of the state, in each direction.
        num_layers: Number of stacked recurrent layers.
        bidirectional: Whether a second GRU reads backwards; the outputs are concatenated.
        dropout: Probability of dropping an output between two layers.
        batch_first: Whether the batch is the first axis of the inputs and outputs.
    """
    layout = BatchFirstGRU if batch_first else GRU
    return layout(
        input_size, hidden_size, num_layers=num_layers, bidirectional=bidirectional, dropout=dropout
    )
