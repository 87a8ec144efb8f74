"""What shape rules are made of: sizes that are compared without asking, and checks.

PyTorch's fake kernels ask about sizes that do not matter (is this tensor contiguous? is that axis
1, and broadcast?), and every question splits the sizes into regions. The rules of `functions`,
`kernels` and `recurrence` answer by the shapes alone. Fake kernels also let pass what real ones
refuse, such as a picture of no rows; these checks are added.
"""

import functools
import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import known

Size = Any
"""A whole number, or a symbol of one."""


def empty(like: Tensor, shape: Sequence[Size], dtype: torch.dtype | None = None) -> Tensor:
    """A contiguous tensor: nothing needs to be asked about its layout."""
    return torch.empty(tuple(shape), dtype=dtype or like.dtype, device=like.device)


def require(condition: Any, message: str, *sizes: Size) -> None:
    """What a real kernel checks.

    Args:
        condition: What it checks.
        message: What it says, with ``{}`` for each of the sizes.
        *sizes: Sizes, whose text is made in case of need only.

    Raises:
        RuntimeError: It does not hold.
    """
    if not condition:
        raise RuntimeError(message.format(*sizes))


def is_same(left: Size, right: Size) -> bool:
    """Whether two sizes are written alike; asks nothing."""
    if isinstance(left, torch.SymInt) and isinstance(right, torch.SymInt):
        return bool(left.node.expr == right.node.expr)
    return type(left) is type(right) is int and left == right


def broadcast(shapes: Sequence[Sequence[Size]]) -> tuple[Size, ...] | None:
    """The common shape, or None where it depends on sizes."""
    shape = []
    for place in range(-max(map(len, shapes), default=0), 0):
        size: Size = 1
        for other in (shape[place] for shape in shapes if len(shape) >= -place):
            if is_same(size, 1):
                size = other
            elif not is_same(other, 1) and not is_same(size, other):
                return None
        shape.append(size)
    return tuple(shape)


def common_size(left: Size, right: Size) -> Size:
    """The size that two sizes broadcast to; asks where they are not written alike.

    Raises:
        RuntimeError: There is none.
    """
    if is_same(left, right) or is_same(right, 1):
        return left
    if is_same(left, 1) or left == right or left == 1:
        return right
    require(
        right == 1, "The size of tensor a ({}) must match the size of tensor b ({})", left, right
    )
    return left


def common_shape(shapes: Sequence[Sequence[Size]]) -> tuple[Size, ...]:
    """The shape that shapes broadcast to; asks where they are not written alike.

    Raises:
        RuntimeError: There is none.
    """
    axes = max(map(len, shapes), default=0)
    filled = [(*(1,) * (axes - len(shape)), *shape) for shape in shapes]
    return tuple(functools.reduce(common_size, sizes) for sizes in zip(*filled, strict=True))


def viewed(shape: Sequence[Size], wanted: Sequence[Size]) -> list[Size]:
    """The shape of a view, the -1 in it computed.

    Raises:
        RuntimeError: It has another number of elements.
    """
    sizes = list(wanted)
    message = "shape {} is invalid for input of shape {}"
    unknown = [index for index, size in enumerate(sizes) if not size >= 0]
    given = [size for index, size in enumerate(sizes) if index not in unknown[:1]]
    left, right = _without_common(shape, given)
    total, divisor = math.prod(left), math.prod(right)
    if not unknown:
        require(divisor == total, message, sizes, tuple(shape))
        return sizes
    require(len(unknown) == 1 and sizes[unknown[0]] == -1, message, sizes, tuple(shape))
    require(divisor != 0, message, sizes, tuple(shape))
    require(total % divisor == 0, message, sizes, tuple(shape))
    sizes[unknown[0]] = total // divisor
    return sizes


def _without_common(left: Sequence[Size], right: Sequence[Size]) -> tuple[list[Size], list[Size]]:
    """Two products without the factors of both that are above zero.

    What is left is zero, equal or divisible where the whole products are, and asks less.
    """
    numbers = [math.prod(size for size in part if type(size) is int) for part in (left, right)]
    common = math.gcd(*numbers) if all(numbers) else 1
    ours, theirs = ([size for size in part if type(size) is not int] for part in (left, right))
    for size in [*ours]:
        same = next((other for other in theirs if is_same(size, other)), None)
        if same is not None and known(size > 0):
            _remove(ours, size)
            _remove(theirs, same)
    return [numbers[0] // common, *ours], [numbers[1] // common, *theirs]


def _remove(sizes: list[Size], size: Size) -> None:
    """Remove one size; `list.remove` would ask which are equal."""
    del sizes[next(index for index, other in enumerate(sizes) if other is size)]


def fits(shape: Sequence[Size], wanted: Sequence[Size]) -> bool:
    """Whether two shapes are written alike; asks nothing."""
    return len(shape) == len(wanted) and all(map(is_same, shape, wanted))


def require_pixels(shape: Sequence[Size]) -> None:
    """What upsampling checks of its input and of its result.

    Raises:
        RuntimeError: There is an image without pixels.
    """
    for size in shape[2:]:
        require(size > 0, "Input and output sizes should be greater than 0")


PRODUCT = "mat1 and mat2 shapes cannot be multiplied ({} and {})"
"""What a product of matrices says of shapes that do not go together."""
