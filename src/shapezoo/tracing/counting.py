"""Counting multiply-accumulate operations, with torch's flop counter."""

import contextlib
import math
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

Sizes = tuple[int, ...]


def flop_counter() -> FlopCounterMode:
    """A flop counter that knows the fused kernels too which torch's own formulas leave out."""
    aten = torch.ops.aten
    formulas = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention,
        aten.mkldnn_rnn_layer: _mkldnn_rnn_layer,
        aten._cudnn_rnn: _cudnn_rnn,
    }
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    counter.mod_tracker = _NoTracker()  # type: ignore[assignment]  # torch's calls `view_as` on inputs
    return counter


class _NoTracker(contextlib.nullcontext[None]):
    """In the place of what tells modules apart, which here the recorder does."""

    parents = frozenset({"Global"})


def _attention(query: Sizes, key: Sizes, value: Sizes, *_: Any, **__: Any) -> int:
    """Twice the multiply-accumulate operations of attention, as the other formulas of torch."""
    flops: int = sdpa_flop_count(query, key, value)  # type: ignore[no-untyped-call]  # it has no types
    return flops


def _mkldnn_rnn_layer(inputs: Sizes, of_input: Sizes, of_state: Sizes, *_: Any, **__: Any) -> int:
    """Those of one layer in one direction, with one matrix for the inputs and one for the state."""
    return 2 * math.prod(inputs[:-1]) * (math.prod(of_input) + math.prod(of_state))


def _cudnn_rnn(inputs: Sizes, weights: list[Sizes], *_: Any, **__: Any) -> int:
    """Those of all layers, whose weights are matrices and biases in a list."""
    matrices = (math.prod(weight) for weight in weights if len(weight) == 2)
    return 2 * math.prod(inputs[:-1]) * sum(matrices)
