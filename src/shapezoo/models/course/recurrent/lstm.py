"""Long short-term memory: a recurrent network with a cell that gates write, clear and read.

Hochreiter, Schmidhuber, "Long short-term memory", Neural Computation 9(8), 1997, with the forget
gate of Gers, Schmidhuber, Cummins, "Learning to forget: continual prediction with LSTM", Neural
Computation 12(10), 2000. As in torch.nn.LSTM, there are no peephole connections.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.models.course.recurrent.recurrent_base import Recurrent
from shapezoo.registry import register


class LSTM(Recurrent):
    """Encodes sequences whose first axis is time. The builder `lstm` documents the arguments."""

    rnn_class = nn.LSTM
    batch_first = False

    def forward(
        self,
        inputs: Float[Tensor, "seq batch features={self.input_size}"],
        state: tuple[
            Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
            Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
        ]
        | None = None,
    ) -> tuple[
        Float[Tensor, "seq batch hidden={self.output_size}"],
        tuple[
            Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
            Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
        ],
    ]:
        """Return the output at every position, and the last state of every layer and direction.

        Args:
            inputs: The sequences.
            state: The output and the cell to start from; zeros if None.
        """
        outputs, last = self.rnn(inputs, state)
        return outputs, last


class BatchFirstLSTM(Recurrent):
    """Encodes sequences whose first axis is the batch, with the same weights as an `LSTM`.

    The builder `lstm` documents the arguments.
    """

    rnn_class = nn.LSTM
    batch_first = True

    def forward(
        self,
        inputs: Float[Tensor, "batch seq features={self.input_size}"],
        state: tuple[
            Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
            Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
        ]
        | None = None,
    ) -> tuple[
        Float[Tensor, "batch seq hidden={self.output_size}"],
        tuple[
            Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
            Float[Tensor, "layers={self.num_states} batch hidden={self.hidden_size}"],
        ],
    ]:
        """Return the output at every position, and the last state of every layer and direction.

        Args:
            inputs: The sequences.
            state: The output and the cell to start from; zeros if None. Their batch
                axis is the second here too.
        """
        outputs, last = self.rnn(inputs, state)
        return outputs, last


@register(
    task="sequence-encoding",
    paper="Hochreiter, Schmidhuber, Long short-term memory, 1997",
    static_axes=("seq",),
)
def lstm(
    *,
    input_size: int = 4,
    hidden_size: int = 2,
    num_layers: int = 1,
    bidirectional: bool = False,
    dropout: float = 0.0,
    batch_first: bool = False,
) -> LSTM | BatchFirstLSTM:
    """An LSTM encoder, by default small enough to show its shapes on a slide.

    Args:
        input_size: Number of features at each position.
        hidden_size: Width of the output and of the cell, in each direction.
        num_layers: Number of stacked recurrent layers.
        bidirectional: Whether a second LSTM reads backwards; the outputs are concatenated.
        dropout: Probability of dropping an output between two layers.
        batch_first: Whether the batch is the first axis of the inputs and outputs.
    """
    layout = BatchFirstLSTM if batch_first else LSTM
    return layout(
        input_size, hidden_size, num_layers=num_layers, bidirectional=bidirectional, dropout=dropout
    )
