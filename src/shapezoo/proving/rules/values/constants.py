"""Tensors whose values are known: buffers, literals, and what kernels compute from them.

A buffer of positions is often longer than the table that it indexes, and which part of it is used
depends on sizes: ``ids[:n]``. An interval of the whole buffer would say that every `n` raises, one
of its first entries that none does. So the real values are kept (`Constant`), together with how
many of the first positions along each axis are in use, which may be a symbol (`windows`).

What a kernel makes of constants alone is computed by the real kernel. That needs the values in
their places (`is_aligned`). After a reshape only the set of values is kept; after a selection with
an unknown index only that the values are among them (not `is_full`). Then a value out of range
does not show that the model raises, and claiming so would refute a correct model.
"""

import contextlib
import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from shapezoo._containers import leaves_of, tensors_of
from shapezoo.proving.rules.intervals import BOOL, UNKNOWN, UNREACHED, Size, ValueRange, always
from shapezoo.proving.rules.shape_rules import Arguments

MOST_COMPUTED = {True: 1 << 16, False: 1 << 22}
"""The most numbers that are computed: if they are floats, which are rarely indices, and if not."""

MOST_CORNERS = 4
"""The most parts of the data that are distinguished where values are out of range."""

_INTEGERS = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)

Window = tuple[int, Size]
"""An axis, and how many of its first positions may be in use."""


@contextlib.contextmanager
def real_kernels() -> Iterator[None]:
    """Let kernels compute with real tensors, in the middle of a symbolic run.

    Both names are private. Each public mode can only be left where it was entered.
    """
    with _disable_current_modes(), torch._C.DisableTorchFunction():
        yield


@dataclass(frozen=True, eq=False)
class Constant:
    """Values that are known.

    Attributes:
        data: A real tensor that holds the values, and perhaps more.
        windows: Axes of the data along which only some positions may be in use.
        is_aligned: Whether the tensor is the data within the windows; otherwise each of its values
            is one of these, in any order.
        is_full: Whether all of these are among its values.
    """

    data: Tensor
    windows: tuple[Window, ...] = ()
    is_aligned: bool = True
    is_full: bool = True

    is_caller = False
    """As in `ValueRange`: the values are not those of the caller's arguments."""

    @property
    def is_whole(self) -> bool:
        """Whether the tensor is the data."""
        return self.is_aligned and not self.windows

    def shuffled(self) -> "Constant":
        """Return the same values in any order."""
        return dataclasses.replace(self, is_aligned=False)

    def partial(self) -> "Constant":
        """Return some of the values in any order."""
        return dataclasses.replace(self, is_aligned=False, is_full=False)

    def _windows_besides(self, axis: int) -> tuple[Window, ...]:
        return tuple(window for window in self.windows if window[0] != axis)

    @property
    def address(self) -> int:
        """Where the data is, which views share."""
        with real_kernels():
            return self.data.untyped_storage().data_ptr()

    @property
    def number(self) -> Any:
        """The number that a tensor with one element holds; None for any other tensor."""
        if not self.is_whole or self.data.numel() != 1:
            return None
        with real_kernels():
            return self.data.item()

    def are_within(self, least: int, most: int) -> bool:
        """Whether all values are within limits; asks how many of them are in use."""
        counts = [count for _, count in self.windows]
        return not any(
            all(bool(count > position) for count, position in zip(counts, corner, strict=True))
            for corner in self._first_outside(least, most)
        )

    def _first_outside(self, least: int, most: int) -> list[list[int]]:
        """Find out when a value is outside of limits.

        Returns:
            Corners, each with a position along the axes of the windows; a value is outside if, for
            one of them, more positions are in use along all axes. Where there would be many
            corners, one that includes them stands for all.
        """
        axes = [axis for axis, _ in self.windows]
        with real_kernels():
            outside = (self.data < least) | (self.data > most)
            if not bool(outside.any()):
                return []
            others = [axis for axis in range(outside.dim()) if axis not in axes]
            shown = outside.any(dim=others) if others else outside
            order = [sorted(axes).index(axis) for axis in axes]
            positions: list[list[int]] = shown.permute(order).nonzero().tolist()
        corners: list[list[int]] = []
        # in rising order, so that no later position makes an earlier corner superfluous
        for position in positions:
            if not any(all(a <= b for a, b in zip(c, position, strict=True)) for c in corners):
                corners.append(position)
            if len(corners) > MOST_CORNERS:
                return [[min(each) for each in zip(*positions, strict=True)]]
        return corners

    def part_of_progression(self, axis: int, start: Size, count: Size) -> ValueRange | None:
        """Return the interval of positions from a start on, if the data rise or fall evenly."""
        if not self.is_aligned or not always(start >= 0) or len(self.windows) > 1:
            return None
        return _progression(self.data, axis % self.data.dim(), start, count)

    def sliced(self, axis: int, start: Size | None, step: Size, result: Tensor) -> "Constant":
        """Return the values of a slice.

        Args:
            axis: The axis along which it is sliced.
            start: The first position.
            step: The distance of the positions.
            result: The slice.
        """
        data, first = self.data, 0 if start is None else start
        if not self.is_aligned:
            return self.partial()
        axis %= data.dim()
        others = self._windows_besides(axis)
        count = result.shape[axis]
        if type(first) is int and type(step) is int and (first >= 0 or others == self.windows):
            with real_kernels():
                kept = torch.ops.aten.slice.Tensor(data, axis, first, None, step)
                if type(count) is int:
                    return Constant(kept.narrow(axis, 0, count), others)
            return Constant(kept, (*others, (axis, count)))
        # A start that is counted from the end depends on how many positions are in use.
        if not always(first >= 0):
            return self.partial()
        last: Size = first + (count - 1) * step
        return Constant(data, (*others, (axis, last + 1))).partial()

    def selected(self, axis: int, index: Size) -> "Constant":
        """Return the values of one position along an axis."""
        if not self.is_aligned:
            return self.partial()
        axis %= self.data.dim()
        others = self._windows_besides(axis)
        if type(index) is not int:
            windows = (*others, (axis, index + 1)) if always(index >= 0) else others
            return Constant(self.data, windows).partial()
        if index < 0 and len(others) < len(self.windows):
            return self.partial()
        with real_kernels():
            data = self.data.select(axis, index)
        return Constant(data, tuple((at - (at > axis), count) for at, count in others))


Values = ValueRange | Constant
"""The values of a tensor, as far as they are known."""

ValuesOf = Callable[[Tensor], Values]
"""A function that returns the values of a tensor."""


def as_range(values: Values) -> ValueRange:
    """Return an interval of values that may be constant."""
    return _interval_of(values) if isinstance(values, Constant) else values


def _interval_of(constant: Constant) -> ValueRange:
    data = constant.data
    if data.dtype == torch.bool:
        return BOOL
    if data.is_complex() or data.is_quantized or not _is_small(data):
        return UNKNOWN
    if not data.numel():
        return ValueRange(0, 0)
    with real_kernels():
        low, high = data.min().item(), data.max().item()
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNKNOWN
    if constant.is_full and len(constant.windows) == 1:
        ((axis, count),) = constant.windows
        if (progression := _progression(data, axis, 0, count)) is not None:
            return progression
    doubts = () if constant.is_full and not constant.windows else (UNREACHED,)
    return ValueRange(math.floor(low), math.ceil(high), doubts=doubts)


def _progression(data: Tensor, axis: int, start: Size, count: Size) -> ValueRange | None:
    """Return symbolic bounds of part of an arithmetic progression, as position ids are."""
    if data.dtype not in _INTEGERS or not data.numel():
        return None
    with real_kernels():
        lines = data.movedim(axis, 0).flatten(1) if data.dim() > 1 else data[:, None]
        base = int(lines[0, 0])
        step = int(lines[1, 0]) - base if len(lines) > 1 else 0
        expected = base + step * torch.arange(len(lines), device=data.device)
        if not bool((lines == expected[:, None]).all()):
            return None
    first = base + step * start
    last = first + step * (count - 1)
    return ValueRange(first, last) if step >= 0 else ValueRange(last, first)


def computed(
    func: Any, args: Sequence[Any], kwargs: Arguments, result: object, values_of: ValuesOf
) -> list[Constant] | None:
    """Let a real kernel compute with constants.

    Args:
        func: The kernel.
        args: Its arguments.
        kwargs: Its keyword arguments.
        result: The result of its fake version.
        values_of: Returns the values of a tensor.

    Returns:
        The values of each tensor in its result, or None if they do not follow from constants alone.
    """
    name = func._schema.name.removeprefix("aten::")
    is_random = torch.Tag.nondeterministic_seeded in func.tags
    if func._schema.is_mutable or is_random or name.startswith(("empty", "new_empty")):
        return None
    tensors = list(tensors_of([args, kwargs]))
    constants = [v for tensor in tensors if isinstance(v := values_of(tensor), Constant)]
    if len(constants) < len(tensors):
        return None
    windowed = [constant for constant in constants if not constant.is_whole]
    if windowed and not _is_elementwise(func, constants):
        return None
    if any(isinstance(leaf, _SYMBOLS) for _, leaf in leaves_of([args, kwargs])):
        return None
    fakes = list(tensors_of(result))
    if not windowed and not all(map(_is_small, fakes)):
        return None
    data = {id(tensor): c.data for tensor, c in zip(tensors, constants, strict=True)}
    options = _with_data(kwargs, data)
    if "device" in options:
        options["device"] = constants[0].data.device if constants else "cpu"
    try:
        with real_kernels():
            made = list(tensors_of(func(*_with_data(args, data), **options)))
    except Exception:
        # a value that is not in use may be refused, and there may be no real kernel
        return None
    if windowed:
        (model,) = windowed
        fits = len(made) == 1 and made[0].shape == model.data.shape
        return [dataclasses.replace(model, data=made[0])] if fits else None
    is_same = [tuple(tensor.shape) for tensor in made] == [tuple(fake.shape) for fake in fakes]
    return [Constant(tensor) for tensor in made] if is_same else None


_SYMBOLS = (torch.SymInt, torch.SymFloat, torch.SymBool)


def _is_elementwise(func: Any, constants: Sequence[Constant]) -> bool:
    """Whether each value follows from one value of the only tensor."""
    is_copy = func._schema.name in ("aten::_to_copy", "aten::clone")
    return len(constants) == 1 and (is_copy or torch.Tag.pointwise in func.tags)


def _is_small(tensor: Tensor) -> bool:
    has_numbers = all(type(size) is int for size in tensor.shape)
    return has_numbers and tensor.numel() <= MOST_COMPUTED[tensor.is_floating_point()]


def _with_data(value: Any, data: Mapping[int, Tensor]) -> Any:
    """Return arguments with the data of tensors, by their ids, in place of these."""
    if isinstance(value, Tensor):
        return data[id(value)]
    if isinstance(value, list | tuple):
        return [_with_data(item, data) for item in value]
    if isinstance(value, Mapping):
        return {key: _with_data(item, data) for key, item in value.items()}
    return value
