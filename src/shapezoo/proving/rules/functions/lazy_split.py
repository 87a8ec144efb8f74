"""The parts of a tensor along an axis of any size, cut one at a time.

``first, second = x.split(4, 1)`` accepts axes of size five to eight. A tuple of all parts would
need their number, and each number would be a region of its own. `Parts` asks in each step of the
iteration only whether there is one more part, so that two regions result: two parts, or another
number of them, which raises. `Parts` is a tuple, because models treat what `split` returns as one.
"""

from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex, overload

import torch
from torch import Tensor

from shapezoo.proving.rules.intervals import Size, always

FEW = 8
"""An iteration that continues after so many parts is taken for a loop, which needs their number."""


def _of_tuple(name: str) -> Callable[..., Any]:
    """Return a method that does what a tuple of all parts does."""
    return lambda self, *args: getattr(tuple(self), name)(*args)


class Parts(tuple[Tensor, ...]):
    """Looks like a tuple of tensors, but is empty inside: C++ must be given `tuple(parts)`.

    Args:
        number: How many parts there are.
        cut: Returns the part at a position.
    """

    number: Size
    cut: Callable[[Size], Tensor]

    def __new__(cls, number: Size, cut: Callable[[Size], Tensor]) -> "Parts":
        """Make an empty tuple, since a tuple cannot be filled later."""
        self = super().__new__(cls)
        self.number, self.cut = number, cut
        return self

    def __iter__(self) -> Iterator[Tensor]:
        position = 0
        while position < (self.number if position < FEW else int(self.number)):
            yield self.cut(position)
            position += 1

    def __len__(self) -> int:
        return int(self.number)

    def __bool__(self) -> bool:
        return bool(self.number > 0)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Tensor: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[Tensor, ...]: ...

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self)[index]
        position = index if index >= 0 else index + self.number
        if position < 0 or position >= self.number:
            raise IndexError("tuple index out of range")
        return self.cut(position)

    def __reversed__(self) -> Iterator[Tensor]:
        return reversed(tuple(self))

    # The operators, and not their methods: these would read the inside of another `Parts`.
    def __eq__(self, other: object) -> bool:
        return tuple(self) == other

    def __add__(self, other: Any) -> Any:
        return tuple(self) + other

    def __radd__(self, other: Any) -> Any:
        return other + tuple(self)

    __contains__ = _of_tuple("__contains__")
    __hash__ = _of_tuple("__hash__")
    __repr__ = _of_tuple("__repr__")
    __mul__ = _of_tuple("__mul__")
    __rmul__ = _of_tuple("__rmul__")
    count = _of_tuple("count")
    index = _of_tuple("index")


def split(x: Tensor, split_size: Any, dim: int = 0) -> Any:
    """Cut an axis of any size into parts of one size, the last of which may be smaller."""
    if not isinstance(split_size, int | torch.SymInt) or not -x.dim() <= dim < x.dim():
        return NotImplemented
    size = x.shape[dim]
    number = (size + split_size - 1) // split_size if always(split_size > 0) else 0
    if not isinstance(number, torch.SymInt) or not always(size > 0):
        return NotImplemented

    def cut(position: Size) -> Tensor:
        start = position * split_size
        return x.narrow(dim, start, torch.sym_min(split_size, size - start))

    return Parts(number, cut)


def unbind(x: Tensor, dim: int = 0) -> Any:
    """Cut an axis of any size into parts without it."""
    if not -x.dim() <= dim < x.dim() or not isinstance(x.shape[dim], torch.SymInt):
        return NotImplemented
    return Parts(x.shape[dim], lambda position: x.select(dim, position))
