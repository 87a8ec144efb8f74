"""Building blocks of shape rules: sizes that are compared without asking, and checks of kernels.

A shape rule computes the shape of a result in place of PyTorch's fake kernel. That is necessary for
two reasons:

* Fake kernels ask about sizes that do not matter: is this tensor contiguous, is that axis of size 1
  and so to be broadcast? Each question splits the sizes into two regions, and a few layers later
  there are hundreds. So a rule compares how sizes are written (`is_same`, `fits`, `broadcast`),
  which asks nothing, and falls back on a question only where the shapes differ (`common_size`).
* Fake kernels accept what real ones refuse, such as upsampling an image without rows. Such a model
  would be proved for sizes at which it raises. `require` adds the check: the symbol is asked, and
  the sizes at which the kernel raises become a region of their own.

A rule returns NotImplemented for whatever it does not cover, and the fake kernel runs after all.
`rule_table` is the one way to say which kernels and functions a rule is for.
"""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import Size, always

Shape = Sequence[Size]

Arguments = Mapping[str, Any]
"""The arguments of a kernel by name."""


def rule_table(*groups: tuple[Any, ...]) -> dict[Any, Any]:
    """Return a dictionary from kernels or functions to their rules.

    Args:
        *groups: A rule, followed by what it is for: functions, or names of kernels (several in one
            string, separated by spaces).

    Raises:
        ValueError: Something has two rules.
    """
    table: dict[Any, Any] = {}
    for rule, *keys in groups:
        for key in (each for k in keys for each in (k.split() if isinstance(k, str) else [k])):
            if key in table:
                raise ValueError(f"{key} has two rules")
            table[key] = rule
    return table


def empty(like: Tensor, shape: Shape, dtype: torch.dtype | None = None) -> Tensor:
    """Return a contiguous tensor, about whose layout nothing needs to be asked."""
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device=like.device)


def require(condition: Any, message: str, *sizes: Size) -> None:
    """Check a condition as a real kernel does.

    Args:
        condition: The condition; a symbol is asked.
        message: The message of the kernel, with ``{}`` for each of the sizes.
        *sizes: Sizes, which are formatted only if the condition does not hold.

    Raises:
        RuntimeError: The condition does not hold.
    """
    if not condition:
        raise RuntimeError(message.format(*sizes))


def is_same(left: Size, right: Size) -> bool:
    """Whether two sizes are the same expression; asks nothing."""
    # `node` is not documented, but `==` of symbols adds a guard
    if isinstance(left, torch.SymInt) and isinstance(right, torch.SymInt):
        return bool(left.node.expr == right.node.expr)
    return type(left) is type(right) is int and left == right


def fits(shape: Shape, wanted: Shape) -> bool:
    """Whether two shapes are the same expressions; asks nothing."""
    return len(shape) == len(wanted) and all(map(is_same, shape, wanted))


def are_equal(shape: Shape, wanted: Shape) -> bool:
    """Whether two shapes are equal; asks where they are not the same expressions."""
    pairs = zip(shape, wanted, strict=False)
    return len(shape) == len(wanted) and all(is_same(a, b) or a == b for a, b in pairs)


def _aligned(shapes: Sequence[Shape]) -> Iterator[tuple[Size, ...]]:
    """Yield the sizes that broadcast with each other, axis by axis."""
    axes = max(map(len, shapes), default=0)
    filled = [(*(1,) * (axes - len(shape)), *shape) for shape in shapes]
    return zip(*filled, strict=True)


def broadcast(shapes: Sequence[Shape]) -> tuple[Size, ...] | None:
    """Return the shape that shapes broadcast to; None where it would have to be asked for."""
    shape = []
    for sizes in _aligned(shapes):
        common: Size = 1
        for size in sizes:
            if is_same(common, 1):
                common = size
            elif not is_same(size, 1) and not is_same(common, size):
                return None
        shape.append(common)
    return tuple(shape)


def common_size(left: Size, right: Size) -> Size:
    """Return the size that two sizes broadcast to; asks where they are not the same expression.

    Raises:
        RuntimeError: They do not broadcast.
    """
    if is_same(left, right) or is_same(right, 1):
        return left
    if is_same(left, 1) or left == right or left == 1:
        return right
    message = "The size of tensor a ({}) must match the size of tensor b ({})"
    require(right == 1, message, left, right)
    return left


def common_shape(shapes: Sequence[Shape]) -> tuple[Size, ...]:
    """Return the shape that shapes broadcast to; asks where they are not the same expressions.

    Raises:
        RuntimeError: They do not broadcast.
    """
    return tuple(functools.reduce(common_size, sizes) for sizes in _aligned(shapes))


def viewed(shape: Shape, wanted: Shape) -> list[Size]:
    """Return the shape of a view, in which -1 is replaced by its size.

    Raises:
        RuntimeError: The numbers of elements differ.
    """
    sizes = list(wanted)
    message = "shape {} is invalid for input of shape {}"
    inferred = [axis for axis, size in enumerate(sizes) if not size >= 0]
    others = [size for axis, size in enumerate(sizes) if axis not in inferred[:1]]
    left, right = _without_common_factors(shape, others)
    total, divisor = math.prod(left), math.prod(right)
    if not inferred:
        require(divisor == total, message, sizes, tuple(shape))
        return sizes
    require(len(inferred) == 1 and sizes[inferred[0]] == -1, message, sizes, tuple(shape))
    require(divisor != 0 and total % divisor == 0, message, sizes, tuple(shape))
    sizes[inferred[0]] = total // divisor
    return sizes


def _without_common_factors(left: Shape, right: Shape) -> tuple[list[Size], list[Size]]:
    """Cancel positive factors of two products.

    The rests are zero, equal or divisible where the products are, and a question about them is
    simpler: z3 gives up on products of several sizes, as those of windowed attention.
    """
    numbers = [math.prod(size for size in part if type(size) is int) for part in (left, right)]
    divisor = math.gcd(*numbers) if all(numbers) else 1
    first, second = ([size for size in part if type(size) is not int] for part in (left, right))
    for size in [*first]:
        same = next((other for other in second if is_same(size, other)), None)
        if same is not None and always(size > 0):
            _remove(first, size)
            _remove(second, same)
    return [numbers[0] // divisor, *first], [numbers[1] // divisor, *second]


def _remove(sizes: list[Size], size: Size) -> None:
    # list.remove compares by ==, which would ask
    del sizes[next(index for index, other in enumerate(sizes) if other is size)]


def has_channel_weights(x: Tensor, arguments: Sequence[Any]) -> bool:
    """Whether a normalisation is one of floats, with weights of the same dtype for the channels.

    Raises:
        RuntimeError: There are weights for another number of channels.
    """
    weights = [weight for weight in arguments if isinstance(weight, Tensor)]
    if x.dim() < 2 or not x.is_floating_point():
        return False
    if any(weight.dtype != x.dtype or weight.dim() != 1 for weight in weights):
        return False
    for weight in weights:
        message = "Expected weights for {} channels, but got {}"
        require(weight.shape[0] == x.shape[1], message, x.shape[1], weight.shape[0])
    return True


PRODUCT = "mat1 and mat2 shapes cannot be multiplied ({} and {})"
"""The message of matrix products whose shapes do not fit."""
