"""The parts of a tensor along an axis of any size, cut one at a time.

`first, second = x.split(4, 1)` takes rows of five to eight numbers. A tuple of all parts would need
their number, and each number would be a region of its own; here each step of the iteration only
asks whether there is one more part.
"""

from collections.abc import Callable, Iterator
from typing import Any, SupportsIndex, overload

import torch
from torch import Tensor

from shapezoo.proving.rules.common import Size
from shapezoo.proving.rules.intervals import known

FEW = 8
"""An iteration that goes on after so many parts is taken for a loop, which needs their number."""


class Parts(tuple[Tensor, ...]):
    """Looks like a tuple of tensors, but is empty inside: C++ must be given `tuple(parts)`.

    Args:
        number: How many parts there are.
        cut: Gives the part at a place.
    """

    number: Size
    cut: Callable[[Size], Tensor]

    def __new__(cls, number: Size, cut: Callable[[Size], Tensor]) -> "Parts":
        """Make it; a tuple is not initialised later."""
        self = super().__new__(cls)
        self.number, self.cut = number, cut
        return self

    def __iter__(self) -> Iterator[Tensor]:
        place = 0
        while place < (self.number if place < FEW else int(self.number)):
            yield self.cut(place)
            place += 1

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
        place = index if index >= 0 else index + self.number
        if place < 0 or place >= self.number:
            raise IndexError("tuple index out of range")
        return self.cut(place)

    def __contains__(self, value: object) -> bool:
        return value in tuple(self)

    def __reversed__(self) -> Iterator[Tensor]:
        return reversed(tuple(self))

    def __eq__(self, other: object) -> bool:
        return tuple(self) == other

    def __hash__(self) -> int:
        return hash(tuple(self))

    def __repr__(self) -> str:
        return repr(tuple(self))

    def __add__(self, other: Any) -> Any:
        return tuple(self) + other

    def __radd__(self, other: Any) -> Any:
        return other + tuple(self)

    def __mul__(self, times: SupportsIndex) -> Any:
        return tuple(self) * times

    __rmul__ = __mul__

    def count(self, value: object) -> int:
        """Count a value, as a tuple does."""
        return tuple(self).count(value)

    def index(self, value: object, *bounds: Any) -> int:
        """Find a value, as a tuple does."""
        return tuple(self).index(value, *bounds)


def split(x: Tensor, split_size: Any, dim: int = 0) -> Any:
    """Cut an axis of any size into parts of one size, the last of which may be smaller."""
    if not isinstance(split_size, int | torch.SymInt) or not -x.dim() <= dim < x.dim():
        return NotImplemented
    size = x.shape[dim]
    number = (size + split_size - 1) // split_size if known(split_size > 0) else 0
    if not isinstance(number, torch.SymInt) or not known(size > 0):
        return NotImplemented

    def cut(place: Size) -> Tensor:
        start = place * split_size
        return x.narrow(dim, start, torch.sym_min(split_size, size - start))

    return Parts(number, cut)


def unbind(x: Tensor, dim: int = 0) -> Any:
    """Cut an axis of any size into parts without it."""
    if not -x.dim() <= dim < x.dim() or not isinstance(x.shape[dim], torch.SymInt):
        return NotImplemented
    return Parts(x.shape[dim], lambda place: x.select(dim, place))
