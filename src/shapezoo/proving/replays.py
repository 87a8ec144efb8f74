"""What a call of a model on real kernels has shown."""

from dataclasses import dataclass

import torch

from shapezoo.proving.causes import NOWHERE, Cause
from shapezoo.proving.findings import Outcome, Sizes


@dataclass(frozen=True)
class Call:
    """How a model is called.

    Attributes:
        sizes: The size of each axis.
        is_other: Whether lengths fall and masks are ones.
        fill: What other tensors are filled with.
        dtype: The dtype of all that may have it; None for that of the model.
        transposed: The arguments whose axes are in reverse order in memory.
        is_grad: Whether gradients are on; None if they are as they were for `prove`.
    """

    sizes: Sizes
    is_other: bool = False
    fill: int = 0
    dtype: torch.dtype | None = None
    transposed: frozenset[str] = frozenset()
    is_grad: bool | None = None


@dataclass(frozen=True)
class Replay:
    """What a call on real kernels has shown.

    Attributes:
        call: The call.
        outcome: How it ended.
        error: What was raised, without its traceback, which would keep tensors.
        cause: Where it was raised.
        shapes: The shapes of the tensors in the result.
        kept: The attributes of modules that the call has changed.
        is_fresh: Whether the result is one contiguous tensor in memory of its own, of the dtype of
            the arguments, which were not written to.
        before: The calls before it on the same instance.
    """

    call: Call
    outcome: Outcome
    error: Exception | None = None
    cause: Cause = NOWHERE
    shapes: tuple[tuple[int, ...], ...] = ()
    kept: tuple[str, ...] = ()
    is_fresh: bool = False
    before: tuple[Call, ...] = ()

    @property
    def is_plain(self) -> bool:
        """Whether sizes alone tell this call from any other."""
        call = self.call
        return not (self.before or call.dtype or call.transposed or call.is_grad is not None)
