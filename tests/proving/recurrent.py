"""Recurrent layers with contracts, and how tests prove or refute them."""

from collections.abc import Callable
from typing import Any

import pytest
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from shapezoo import Module, Proved, Refuted, ShapeError, prove

Pair = tuple[Tensor, Tensor]

FEATURES, HIDDEN, PROJECTED = 3, 4, 2

KINDS: dict[str, Callable[..., nn.RNNBase]] = {
    "tanh": nn.RNN,
    "relu": lambda *sizes, **how: nn.RNN(*sizes, nonlinearity="relu", **how),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
    "projected": lambda *sizes, **how: nn.LSTM(*sizes, proj_size=PROJECTED, **how),
}


def build(kind: str, num_layers: int = 1, bidirectional: bool = False, **how: Any) -> nn.RNNBase:
    return KINDS[kind](FEATURES, HIDDEN, num_layers, bidirectional=bidirectional, **how)


def output_size(rnn: nn.RNNBase) -> int:
    """The width of what comes out of one direction."""
    return rnn.proj_size or rnn.hidden_size


def num_states(rnn: nn.RNNBase) -> int:
    return rnn.num_layers * (1 + rnn.bidirectional)


class Recurrent(Module):
    """A layer whose contract is right, except for the sizes that are given.

    Args:
        rnn: The layer.
        **claims: Sizes that its annotations say wrongly.
    """

    def __init__(self, rnn: nn.RNNBase, **claims: int) -> None:
        super().__init__()
        self.rnn = rnn
        self.width = output_size(rnn) * (1 + rnn.bidirectional)
        self.layers, self.hidden, self.cell = num_states(rnn), output_size(rnn), rnn.hidden_size
        vars(self).update(claims)


class Packed(Recurrent):
    def __init__(self, rnn: nn.RNNBase, *, is_sorted: bool, **claims: int) -> None:
        super().__init__(rnn, **claims)
        self.is_sorted = is_sorted

    def run(self, x: Tensor, lengths: Tensor) -> tuple[PackedSequence, Tensor]:
        first = self.rnn.batch_first
        packed = pack_padded_sequence(x, lengths, first, enforce_sorted=self.is_sorted)
        outputs, state = self.rnn(packed)
        return outputs, state[0] if isinstance(state, tuple) else state


def assert_proved(model: nn.Module) -> Proved:
    """For every batch and length, whatever they are."""
    proof = prove(model.eval())
    assert isinstance(proof, Proved), str(proof)
    assert {"batch", "seq"} >= set(proof.axes)
    assert proof.preconditions == ()
    assert proof.is_exact
    return proof


def assert_refuted(model: nn.Module, **sizes: int) -> None:
    """At these sizes, on real kernels too."""
    proof = prove(model.eval())
    assert isinstance(proof, Refuted), str(proof)
    assert proof.counterexample.sizes == sizes
    with pytest.raises(ShapeError) as error:
        proof.counterexample.replay(model=model)
    assert (error.value.argument or "").startswith("return")


kinds = pytest.mark.parametrize("kind", KINDS)
layers = pytest.mark.parametrize("num_layers", [1, 2])
directions = pytest.mark.parametrize("bidirectional", [False, True])


CELLS: dict[str, Callable[[], nn.RNNCellBase]] = {
    "tanh": lambda: nn.RNNCell(FEATURES, HIDDEN),
    "relu": lambda: nn.RNNCell(FEATURES, HIDDEN, nonlinearity="relu"),
    "gru": lambda: nn.GRUCell(FEATURES, HIDDEN),
}
