"""Simple recurrent network as a loop over time: one cell, applied step by step.

Elman, "Finding structure in time", Cognitive Science 14(2), 1990, Figure 2, with the departures of
`shapezoo.models.RNN`.
"""

from jaxtyping import Float
from torch import Tensor, nn

from shapezoo.contracts import Module
from shapezoo.layers import scan
from shapezoo.registry import register


class _Stepped(Module):
    """A cell and the loop over time."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.cell = nn.RNNCell(input_size, hidden_size)

    def _step(self, state: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        after = self.cell(x, state).to(state.dtype)  # autocast changes the dtype of a cell's output
        return after, after

    def _encode(self, inputs: Tensor, state: Tensor | None) -> tuple[Tensor, Tensor]:
        if state is None:
            state = inputs.new_zeros(inputs.shape[1], self.hidden_size)
        last, outputs = scan(self._step, state, inputs)
        return outputs, last


class SteppedRNN(_Stepped):
    """An `RNN` of one layer, as a loop over the first axis of the sequences.

    The builder `stepped_rnn` documents the arguments.
    """

    def forward(
        self,
        inputs: Float[Tensor, "seq batch features={self.input_size}"],
        state: Float[Tensor, "batch hidden={self.hidden_size}"] | None = None,
    ) -> tuple[
        Float[Tensor, "seq batch hidden={self.hidden_size}"],
        Float[Tensor, "batch hidden={self.hidden_size}"],
    ]:
        """Return the state at every position, and the last one.

        Args:
            inputs: The sequences.
            state: The state to start from; zeros if None.
        """
        return self._encode(inputs, state)


class BatchFirstSteppedRNN(_Stepped):
    """A `SteppedRNN` for sequences whose first axis is the batch.

    The builder `stepped_rnn` documents the arguments.
    """

    def forward(
        self,
        inputs: Float[Tensor, "batch seq features={self.input_size}"],
        state: Float[Tensor, "batch hidden={self.hidden_size}"] | None = None,
    ) -> tuple[
        Float[Tensor, "batch seq hidden={self.hidden_size}"],
        Float[Tensor, "batch hidden={self.hidden_size}"],
    ]:
        """Return the state at every position, and the last one.

        Args:
            inputs: The sequences.
            state: The state to start from; zeros if None.
        """
        outputs, last = self._encode(inputs.transpose(0, 1), state)
        return outputs.transpose(0, 1), last


@register(
    task="sequence-encoding", paper="Elman, Finding structure in time, 1990", static_axes=("seq",)
)
def stepped_rnn(
    *, input_size: int = 4, hidden_size: int = 2, batch_first: bool = False
) -> SteppedRNN | BatchFirstSteppedRNN:
    """A simple recurrent encoder of one layer, written as a loop over time.

    Args:
        input_size: Number of features at each position.
        hidden_size: Width of the state.
        batch_first: Whether the batch is the first axis of the inputs and outputs.
    """
    layout = BatchFirstSteppedRNN if batch_first else SteppedRNN
    return layout(input_size, hidden_size)
