"""Refuse kernels that would fill the memory before they run, and count the work of the others.

The arguments of a replay are small, but a kernel inside may still build something huge from them:
`torch.combinations(ones, n)` builds a grid of ``len(ones) ** n`` numbers.
"""

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from shapezoo._containers import tensors_of
from shapezoo.proving.effort import note

MOST_IN_KERNEL = 1 << 28
"""How many numbers a kernel may read or make."""

FLOPS, FLOPS_OF_HALF = 4e10, 4e9
"""Floating-point operations per unit of work; float16 has no fast kernels on a CPU."""


class TooLargeError(Exception):
    """There is not enough memory to run some sizes."""


# torch documents no other way to see every kernel, although the module of this class is private
class Bounded(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's has no types
    """Raises TooLargeError instead of running a kernel that would need too much memory."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        # the schema of an operator is the only place that says whether it returns a view
        is_view = any(part.alias_info for part in func._schema.returns)
        if not is_view and _count(func, args, kwargs) > MOST_IN_KERNEL:
            raise TooLargeError(f"{func} is too large to be run")
        result = func(*args, **kwargs)
        if count := flop_registry.get(func.overloadpacket):
            dtypes = {tensor.dtype for tensor in tensors_of(args)}
            flops = FLOPS_OF_HALF if torch.float16 in dtypes else FLOPS
            note(count(*args, **kwargs, out_val=result) / flops)
        return result


def _count(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> int:
    """Count the numbers that a kernel reads or makes and that are not in memory yet."""
    tensors = list(tensors_of([*args, *kwargs.values()]))
    if torch.Tag.pointwise in func.tags:
        return _broadcast([tensor.shape for tensor in tensors])
    if not tensors and args and isinstance(args[0], list | tuple):
        return math.prod(size for size in args[0] if isinstance(size, int))
    return sum(tensor.numel() for tensor in tensors if _is_expanded(tensor))


def _is_expanded(tensor: Tensor) -> bool:
    return any(
        step == 0 and size > 1 for size, step in zip(tensor.shape, tensor.stride(), strict=True)
    )


def _broadcast(shapes: Sequence[Sequence[int]]) -> int:
    """Return the product of the common sizes; if the shapes do not fit, the kernel raises."""
    aligned = itertools.zip_longest(*(shape[::-1] for shape in shapes), fillvalue=1)
    return math.prod(map(max, aligned))
