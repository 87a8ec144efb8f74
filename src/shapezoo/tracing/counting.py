"""Count multiply-accumulate operations with torch's flop counter."""

import contextlib
import math
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

KernelShape = tuple[int, ...]
"""The shape of a tensor, as the flop counter passes it to a formula."""


def flop_counter() -> FlopCounterMode:
    """Return a flop counter that also knows fused kernels for which torch has no formula."""
    # A fused kernel is an operator whose name begins with an underscore; there is no other name.
    aten = torch.ops.aten
    formulas = {
        aten._scaled_dot_product_flash_attention_for_cpu: _attention_flops,
        aten.mkldnn_rnn_layer: _mkldnn_rnn_layer_flops,
        aten._cudnn_rnn: _cudnn_rnn_flops,
    }
    counter = FlopCounterMode(display=False, custom_mapping=formulas)
    # The tracker of torch calls `view_as` on inputs with gradients, which the trace would show as
    # an operation of the model. There is no option to leave it out.
    counter.mod_tracker = _NoTracker()  # type: ignore[assignment]  # it has what the counter uses
    return counter


class _NoTracker(contextlib.nullcontext[None]):
    """Replaces torch's module tracker; the recorder tells modules apart itself."""

    parents = frozenset({"Global"})


def _attention_flops(*arguments: Any, **_: Any) -> int:
    """Count the products of the query, key and value, which are the first three arguments."""
    return int(sdpa_flop_count(*arguments[:3]))  # type: ignore[no-untyped-call]  # it has no types


def _mkldnn_rnn_layer_flops(
    inputs: KernelShape, input_weight: KernelShape, state_weight: KernelShape, *_: Any, **__: Any
) -> int:
    """Count one layer in one direction."""
    return 2 * math.prod(inputs[:-1]) * (math.prod(input_weight) + math.prod(state_weight))


def _cudnn_rnn_flops(inputs: KernelShape, weights: list[KernelShape], *_: Any, **__: Any) -> int:
    """Count all layers, whose weights and biases are in one list; biases are vectors."""
    matrices = (math.prod(weight) for weight in weights if len(weight) == 2)
    return 2 * math.prod(inputs[:-1]) * sum(matrices)
