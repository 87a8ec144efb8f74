"""The sizes and weights that RNN, GRU and LSTM have in common."""

from typing import ClassVar

from torch import nn

from shapezoo.contracts import Module


class Recurrent(Module):
    """The sizes and weights of a recurrent encoder; the builders document the arguments."""

    rnn_class: ClassVar[type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]]
    batch_first: ClassVar[bool]

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        *,
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        num_directions = 2 if bidirectional else 1
        self.input_size = input_size
        self.hidden_size = hidden_size
        self.output_size = hidden_size * num_directions
        self.num_states = num_layers * num_directions
        self.rnn = self.rnn_class(
            input_size,
            hidden_size,
            num_layers,
            batch_first=self.batch_first,
            dropout=dropout,
            bidirectional=bidirectional,
        )
