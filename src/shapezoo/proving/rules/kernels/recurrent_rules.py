"""Shape rules of recurrent kernels, their cells, and packed sequences.

PyTorch's fake kernels unroll the time steps, so that each number of steps would be a region of its
own. The rules compute the shapes, and check what the kernels check of the weights and states.

How many entries a packed sequence holds, and how long its longest sequence is, only the values of
``lengths`` decide. Both become unbacked symbols, with bounds that every batch satisfies. If the
longest sequence were taken to fill the batch, a model would be proved that raises, or breaks its
contract, for shorter lengths.
"""

import contextlib
from collections.abc import Iterator
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import _constrain_range_for_size
from torch.nn.utils import rnn
from torch.overrides import TorchFunctionMode

from shapezoo._containers import tensors_of
from shapezoo.proving.rules.intervals import Size
from shapezoo.proving.rules.shape_rules import are_equal, empty, require, rule_table
from shapezoo.proving.rules.values.value_ranges import ValueRanges

_GATES = {torch.rnn_tanh: 1, torch.rnn_relu: 1, torch.gru: 3, torch.lstm: 4}

# Private, but `torch.nn.utils.rnn` calls them, and a mode sees these very functions.
_PACK = torch._pack_padded_sequence  # pyright: ignore[reportPrivateImportUsage]
_PAD = torch._pad_packed_sequence  # pyright: ignore[reportPrivateImportUsage]


class RecurrentRules(TorchFunctionMode):
    """Rules of the kernels that `torch.nn.RNN`, `LSTM`, `GRU` and their cells call.

    Args:
        environment: Makes the symbols, and has ``assume``.
        ranges: Tracks the values of tensors.
    """

    def __init__(self, environment: Any, ranges: ValueRanges) -> None:
        super().__init__()
        self.environment = environment
        self.ranges = ranges
        # by the id of batch_sizes, the batch size; with the tensors, whose ids would be used again
        self.packed: dict[int, tuple[Size, Tensor]] = {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        # a model that reads the first of batch_sizes gets the batch size itself
        if func is Tensor.__getitem__ and id(args[0]) in self.packed and args[1] == 0:
            return self.packed[id(args[0])][0]
        if func not in _RULES:
            return func(*args, **kwargs)
        result = _RULES[func](self, func, *args, **kwargs)
        self.ranges.set_unknown(tensors_of(result), func.__name__)
        if func is _PAD:
            self.ranges.set_bounds(result[1], 1, args[1].shape[0])
        return result

    def layer(self, func: Any, x: Tensor, *rest: Any) -> tuple[Tensor, ...]:
        """Compute the shapes of the outputs and the last state of a recurrent layer."""
        # a packed sequence comes with the state before the weights, so that these are further on
        if isinstance(rest[2], tuple | list):
            sizes, state, weights, has_bias, num_layers, _, _, bidirectional = rest
            batch = self.packed[id(sizes)][0]
        else:
            state, weights, has_bias, num_layers, _, _, bidirectional, batch_first = rest
            batch, seq = _batch_and_seq(x, batch_first)
            require(seq > 0, "Expected sequence length to be larger than 0 in RNN")
        states = state if func is torch.lstm else (state,)
        num_directions = 2 if bidirectional else 1
        num_states = num_layers * num_directions
        # the output may be projected, so that its width is not the hidden size
        width = states[0].shape[-1]
        hidden = weights[1].shape[0] // _GATES[func]
        has_projection = func is torch.lstm and len(weights) // num_states in (3, 5)
        _require_input_size(x, weights[0])
        require(weights[1].shape[1] == width, "hidden size and weights do not fit")
        require(len(weights) == num_states * (2 + 2 * has_bias + has_projection), "weights missing")
        for number, part in enumerate(states):
            wanted = (num_states, batch, width if number == 0 else hidden)
            message = "Expected hidden size {}, got {}"
            require(are_equal(part.shape, wanted), message, wanted, tuple(part.shape))
        outputs = empty(x, (*x.shape[:-1], width * num_directions))
        return outputs, *(empty(x, part.shape) for part in states)

    def cell(
        self, func: Any, x: Tensor, state: Any, w_ih: Tensor, w_hh: Tensor, *biases: Tensor | None
    ) -> Any:
        """Compute the shape of the state after one step."""
        states = state if func is torch.lstm_cell else (state,)
        require(x.dim() == 2, "input has inconsistent shape {}", tuple(x.shape))
        _require_input_size(x, w_ih)
        for part in states:
            message = "hidden has inconsistent shape {} for input {}"
            wanted = (x.shape[0], w_hh.shape[1])
            require(are_equal(part.shape, wanted), message, tuple(part.shape), tuple(x.shape))
        after = tuple(empty(x, part.shape) for part in states)
        return after if func is torch.lstm_cell else after[0]

    def pack(
        self, func: Any, x: Tensor, lengths: Tensor, batch_first: bool
    ) -> tuple[Tensor, Tensor]:
        """Compute the shapes of a packed sequence, whose sizes only the lengths decide."""
        batch, seq = _batch_and_seq(x, batch_first)
        message = "Expected `len(lengths)` to be equal to batch_size, but got {} (batch_size={})"
        require(lengths.shape[0] == batch, message, lengths.shape[0], batch)
        self.ranges.require_valid(lengths, 1, seq, "a length")
        total = self.environment.create_unbacked_symint()
        longest = self.environment.create_unbacked_symint()
        for size in (total, longest):
            # Private: marks the symbol as a size, so that PyTorch compares it with 0 and 1 without
            # the data. No public function does.
            _constrain_range_for_size(size)
        for bound in (longest >= 1, longest <= seq, total >= batch):
            self.environment.assume(bound)
        batch_sizes = torch.empty((longest,), dtype=torch.int64, device="cpu")
        self.packed[id(batch_sizes)] = batch, batch_sizes
        return empty(x, (total, *x.shape[2:])), batch_sizes

    def pad(self, func: Any, data: Tensor, batch_sizes: Tensor, *options: Any) -> Any:
        """Compute the shapes of a padded sequence and its lengths."""
        batch_first, _, total = options
        batch = self.packed[id(batch_sizes)][0]
        seq = total if isinstance(total, torch.SymInt) or total > 0 else batch_sizes.shape[0]
        shape = (batch, seq) if batch_first else (seq, batch)
        lengths = torch.empty((batch,), dtype=torch.int64)
        return empty(data, (*shape, *data.shape[1:])), lengths


def _batch_and_seq(x: Tensor, batch_first: bool) -> tuple[Size, Size]:
    return (x.shape[0], x.shape[1]) if batch_first else (x.shape[1], x.shape[0])


def _require_input_size(x: Tensor, weight: Tensor) -> None:
    message = "input.size(-1) must be equal to input_size. Expected {}, got {}"
    require(x.shape[-1] == weight.shape[1], message, weight.shape[1], x.shape[-1])


_RULES = rule_table(
    # Their fake kernels unroll the time steps.
    (RecurrentRules.layer, *_GATES),
    # Their fake kernels are written as many kernels, which ask about the layout of their gates.
    (
        RecurrentRules.cell,
        *(torch.rnn_tanh_cell, torch.rnn_relu_cell, torch.gru_cell, torch.lstm_cell),
    ),
    # The values of the lengths decide the sizes of the result.
    (RecurrentRules.pack, _PACK),
    (RecurrentRules.pad, _PAD),
)


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
    """Let recurrent layers expect states for a symbolic number of sequences.

    PyTorch's own methods call ``int`` on the first of ``batch_sizes``, which would fix the batch
    size to a number. And `invert_permutation` writes to an empty tensor, so that the values of the
    result are not known; those of the permutation itself have the same bounds.
    """
    with (
        patch.object(rnn, "invert_permutation", _inverted),
        patch.object(nn.RNNBase, "get_expected_hidden_size", _expected_hidden),
        patch.object(nn.LSTM, "get_expected_cell_size", _expected_cell),
    ):
        yield
