"""Shape rules of recurrent kernels, of their cells, and of packed sequences.

PyTorch's fake kernels of these unroll the time. How many numbers a packed sequence holds, and how
long its longest sequence is, only the lengths decide: both are symbols, known by their bounds.
"""

import contextlib
import functools
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import _constrain_range_for_size
from torch.nn.utils import rnn
from torch.overrides import TorchFunctionMode

from shapezoo._containers import tensors_of
from shapezoo.proving.rules.common import Size, empty, require
from shapezoo.proving.rules.values.value_ranges import ValueRanges

_GATES = {torch.rnn_tanh: 1, torch.rnn_relu: 1, torch.gru: 3, torch.lstm: 4}
_CELLS = {torch.rnn_tanh_cell: 1, torch.rnn_relu_cell: 1, torch.gru_cell: 3, torch.lstm_cell: 4}

# private, but `torch.nn.utils.rnn` calls them, and modes see these very functions
_PACK = torch._pack_padded_sequence  # pyright: ignore[reportPrivateImportUsage]
_PAD = torch._pad_packed_sequence  # pyright: ignore[reportPrivateImportUsage]


class RecurrentRules(TorchFunctionMode):
    """The kernels that `torch.nn.RNN`, `LSTM`, `GRU` and their cells call.

    Args:
        environment: Makes the symbols, and has ``assume``.
        ranges: Collects what is known about the values of tensors.
    """

    def __init__(self, environment: Any, ranges: ValueRanges) -> None:
        super().__init__()
        self.environment = environment
        self.ranges = ranges
        self.packed: dict[int, tuple[Size, Tensor]] = {}  # keeps the tensors, and so their ids

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        rule: Any = None
        if func in _GATES:
            rule = functools.partial(self._recurrent, func)
        elif func in _CELLS:
            rule = functools.partial(_cell, _CELLS[func])
        elif func is _PACK:
            rule = self._pack
        elif func is _PAD:
            rule = self._pad
        if rule is not None:
            result = rule(*args, **kwargs)
            self.ranges.lose(tensors_of(result), func.__name__)
            if func is _PAD:
                self.ranges.set_bounds(result[1], 1, args[1].shape[0])
            return result
        if func is Tensor.__getitem__ and id(args[0]) in self.packed and args[1] == 0:
            return self.packed[id(args[0])][0]  # the first number of batch_sizes
        return func(*args, **kwargs)

    def _recurrent(self, func: Any, x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        is_packed = isinstance(rest[2], tuple | list)
        if is_packed:  # data, batch_sizes, state, weights, ...
            sizes, state, weights, has_bias, num_layers, _, _, bidirectional = rest
            batch = self.packed[id(sizes)][0]
        else:
            state, weights, has_bias, num_layers, _, _, bidirectional, batch_first = rest
            batch, seq = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
            require(seq > 0, "Expected sequence length to be larger than 0 in RNN")
        states = state if func is torch.lstm else (state,)
        num_states = num_layers * (2 if bidirectional else 1)
        width = states[0].shape[-1]  # of the output, which may be projected
        hidden = weights[1].shape[0] // _GATES[func]
        has_projection = func is torch.lstm and len(weights) // num_states in (3, 5)
        require(
            x.shape[-1] == weights[0].shape[1],
            "input.size(-1) must be equal to input_size. Expected {}, got {}",
            weights[0].shape[1],
            x.shape[-1],
        )
        require(weights[1].shape[1] == width, "hidden size and weights do not fit")
        require(len(weights) == num_states * (2 + 2 * has_bias + has_projection), "weights missing")
        for which, part in enumerate(states):
            require(
                part.shape[0] == num_states
                and part.shape[1] == batch
                and (which == 0 or part.shape[-1] == hidden),
                "Expected hidden size {}, got {}",
                (num_states, batch, hidden),
                tuple(part.shape),
            )
        outputs = empty(x, (*x.shape[:-1], width * (2 if bidirectional else 1)))
        return outputs, *(empty(x, part.shape) for part in states)

    def _pack(self, x: Tensor, lengths: Tensor, batch_first: bool) -> tuple[Tensor, Tensor]:
        batch, seq = (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])
        require(
            lengths.shape[0] == batch,
            "Expected `len(lengths)` to be equal to batch_size, but got {} (batch_size={})",
            lengths.shape[0],
            batch,
        )
        self.ranges.require_valid(lengths, 1, seq, "a length")
        total = self.environment.create_unbacked_symint()
        longest = self.environment.create_unbacked_symint()
        for size in (total, longest):
            _constrain_range_for_size(size)
        for bound in (longest >= 1, longest <= seq, total >= batch):
            self.environment.assume(bound)
        batch_sizes = torch.empty((longest,), dtype=torch.int64, device="cpu")
        self.packed[id(batch_sizes)] = batch, batch_sizes
        return empty(x, (total, *x.shape[2:])), batch_sizes

    def _pad(
        self, data: Tensor, batch_sizes: Tensor, batch_first: bool, value: float, total: Size
    ) -> tuple[Tensor, Tensor]:
        batch = self.packed[id(batch_sizes)][0]
        seq = total if isinstance(total, torch.SymInt) or total > 0 else batch_sizes.shape[0]
        shape = (batch, seq) if batch_first else (seq, batch)
        lengths = torch.empty((batch,), dtype=torch.int64)
        return empty(data, (*shape, *data.shape[1:])), lengths


def _cell(
    gates: int, x: Tensor, state: Any, w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None
) -> Any:
    states = state if gates == 4 else (state,)
    require(
        x.dim() == 2 and x.shape[1] == w_ih.shape[1],
        "input has inconsistent input_size: got {} expected {}",
        x.shape[-1],
        w_ih.shape[1],
    )
    for part in states:
        require(
            part.dim() == 2 and part.shape[0] == x.shape[0] and part.shape[1] == w_hh.shape[1],
            "hidden has inconsistent shape {} for input {}",
            tuple(part.shape),
            tuple(x.shape),
        )
    after = tuple(empty(x, part.shape) for part in states)
    return after if gates == 4 else after[0]


def _expected_hidden(self: nn.RNNBase, input: Tensor, batch_sizes: Any) -> tuple[Size, ...]:  # noqa: A002  # torch's name
    batch = batch_sizes[0] if batch_sizes is not None else input.size(0 if self.batch_first else 1)
    directions = 2 if self.bidirectional else 1
    return self.num_layers * directions, batch, self.proj_size or self.hidden_size


def _expected_cell(self: nn.RNNBase, input: Tensor, batch_sizes: Any) -> tuple[Size, ...]:  # noqa: A002  # torch's name
    return *_expected_hidden(self, input, batch_sizes)[:2], self.hidden_size


def _inverted(permutation: Tensor | None) -> Tensor | None:
    return permutation if permutation is None else permutation.clone()


@contextlib.contextmanager
def symbolic_batches() -> Iterator[None]:
    """Let recurrent layers expect states of as many sequences as a symbol says.

    They call ``int`` on the first number of ``batch_sizes``. And a permutation that is inverted has
    the values of the permutation, which the kernels do not tell.
    """
    with (
        patch.object(rnn, "invert_permutation", _inverted),
        patch.object(nn.RNNBase, "get_expected_hidden_size", _expected_hidden),
        patch.object(nn.LSTM, "get_expected_cell_size", _expected_cell),
    ):
        yield
