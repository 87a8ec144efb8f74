"""What a call of a model on real kernels has shown."""

from dataclasses import dataclass

import torch

from shapezoo.proving.causes import NOWHERE, Cause
from shapezoo.proving.findings import Outcome, Sizes


@dataclass(frozen=True)
class CallSpec:
    """Everything that determines one call of a model, apart from the model.

    Attributes:
        sizes: The size of each axis.
        is_other: Whether to pass other lengths and masks: lengths that decrease, masks of ones.
        fill: The value of all other tensors.
        dtype: The dtype of all tensors that may have it; None for the model's.
        transposed: The arguments whose axes are in reverse order in memory.
        is_grad: Whether gradients are on; None to leave them as `prove` found them.
    """

    sizes: Sizes
    is_other: bool = False
    fill: int = 0
    dtype: torch.dtype | None = None
    transposed: frozenset[str] = frozenset()
    is_grad: bool | None = None


@dataclass(frozen=True)
class Replay:
    """The result of one call on real kernels.

    Attributes:
        call: The call.
        outcome: How it ended.
        error: The error that was raised, without its traceback, which would keep tensors alive.
        cause: Where it was raised.
        shapes: The shapes of the tensors in the result.
        kept: The attributes of modules that the call changed.
        is_fresh: Whether the result is one contiguous tensor in memory of its own, with the dtype
            of the arguments, none of which were written to.
        before: The earlier calls on the same instance.
    """

    call: CallSpec
    outcome: Outcome
    error: Exception | None = None
    cause: Cause = NOWHERE
    shapes: tuple[tuple[int, ...], ...] = ()
    kept: tuple[str, ...] = ()
    is_fresh: bool = False
    before: tuple[CallSpec, ...] = ()

    @property
    def is_ordinary(self) -> bool:
        """Whether it was a first call with the usual dtype, layout and gradients."""
        call = self.call
        return not (self.before or call.dtype or call.transposed or call.is_grad is not None)
