"""Mistakes with recurrent layers, each with its corrected twin."""

import torch
from jaxtyping import Float, Int64
from tests.proving.mistakes.rows import Subject
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from shapezoo import Module, scan


class LastState(Module):
    def __init__(self, batch_first: bool) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=batch_first)

    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch hidden=4"]:
        _, states = self.gru(x)
        last: Tensor = states[-1]
        return last


class LastOutput(Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn = nn.RNN(3, 4, batch_first=True)

    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch hidden=4"]:
        x, _ = self.rnn(x)
        return x[:, -1]


class LastExample(LastOutput):
    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch hidden=4"]:
        x, _ = self.rnn(x)
        return x[-1]


class BothDirections(Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True, bidirectional=True)

    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch 8"]:
        _, (states, _) = self.lstm(x)
        return torch.cat([states[-2], states[-1]], dim=1)


class OneDirection(BothDirections):
    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch 8"]:
        states: Tensor = self.lstm(x)[1][0]
        return states[-1]


class FlatStates(BothDirections):
    def forward(self, x: Float[Tensor, "batch seq features=3"]) -> Float[Tensor, "batch 8"]:
        states: Tensor = self.lstm(x)[1][0]
        return states.flatten(1)


class Stateful(Module):
    def __init__(self, num_layers: int, directions: int) -> None:
        super().__init__()
        self.num_states = directions * num_layers
        self.gru = nn.GRU(3, 4, num_layers, bidirectional=True)

    def forward(
        self,
        x: Float[Tensor, "seq batch features=3"],
        state: Float[Tensor, "layers={self.num_states} batch hidden=4"],
    ) -> tuple[
        Float[Tensor, "seq batch hidden=8"],
        Float[Tensor, "layers={self.num_states} batch hidden=4"],
    ]:
        x, state = self.gru(x, state)
        return x, state


class Encoder(Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> tuple[Float[Tensor, "batch seq hidden=4"], Float[Tensor, "layers=1 batch hidden=4"]]:
        outputs, state = self.gru(x)
        return outputs, state


class EncoderStateFirst(Encoder):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> tuple[Float[Tensor, "batch seq hidden=4"], Float[Tensor, "layers=1 batch hidden=4"]]:
        state, outputs = self.gru(x)
        return outputs, state


class Packed(Module):
    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)

    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(
            self.gru(packed)[0], batch_first=True, total_length=x.shape[1]
        )
        return outputs


class PackedToLongest(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.gru(packed)[0], batch_first=True)
        return outputs


class PackedTimeFirst(Packed):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"], lengths: Int64[Tensor, "batch"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        outputs, _ = pad_packed_sequence(self.gru(packed)[0], total_length=x.shape[1])
        return outputs


class Unrolled(Module):
    def __init__(self) -> None:
        super().__init__()
        self.cell = nn.GRUCell(3, 4)

    def step(self, state: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        state = self.cell(x, state)
        return state, state

    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        _, outputs = scan(self.step, x.new_zeros(x.shape[0], 4), x.transpose(0, 1))
        return outputs.transpose(0, 1)


class UnrolledTimeFirst(Unrolled):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        _, outputs = scan(self.step, x.new_zeros(x.shape[0], 4), x.transpose(0, 1))
        return outputs


class UnrolledOverBatch(Unrolled):
    def forward(
        self, x: Float[Tensor, "batch seq features=3"]
    ) -> Float[Tensor, "batch seq hidden=4"]:
        _, outputs = scan(self.step, x.new_zeros(x.shape[0], 4), x)
        return outputs.transpose(0, 1)


PAIRS: list[tuple[Subject, Subject, str, str]] = [
    (LastState(batch_first=False), LastState(batch_first=True), "batch=2 or seq=2", ""),
    (LastExample(), LastOutput(), "batch=2 or seq=2", ""),
    (OneDirection(), BothDirections(), "", ""),
    (FlatStates(), BothDirections(), "", ""),
    (EncoderStateFirst(), Encoder(), "batch=2 or seq=2", ""),
    (PackedToLongest(), Packed(), "seq=2", ""),
    (PackedTimeFirst(), Packed(), "batch=2 or seq=2", ""),
    (UnrolledTimeFirst(), Unrolled(), "batch=2 or seq=2", ""),
]
"""A mistake, its twin, the sizes other than 1 that refute the one, what the other needs."""


RAISING: list[tuple[Subject, Subject]] = [
    (Stateful(2, directions=1), Stateful(2, directions=2)),
]
"""A mistake that raises for all sizes, and its twin."""


REFUSING: list[tuple[Subject, Subject, str]] = [
    (UnrolledOverBatch(), Unrolled(), "batch == seq"),
]
"""A mistake that raises unless its sizes meet a condition, its twin, and the condition."""
