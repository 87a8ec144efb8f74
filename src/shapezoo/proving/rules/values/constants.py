"""Tensors whose values are known, such as a buffer, a literal, and what is computed from them.

A buffer of positions is often longer than the table that it indexes, and which part of it is used
depends on sizes: `ids[:n]`. So the true values are kept, with the number of the first of them that
are in use. What a kernel makes of known values alone is computed by the kernel itself.
"""

import contextlib
import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import _disable_current_modes

from shapezoo._containers import tensors_of
from shapezoo.proving.rules.intervals import BOOL, LOST, UNREACHED, Size, ValueRange, known

MOST_COMPUTED = {True: 1 << 16, False: 1 << 22}
"""How many numbers are computed at most, if they are floats (weights are not indices) or not."""


MOST_CORNERS = 4
"""How many parts of the data are told apart where values are out of range."""

_WHOLE = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)

Corner = list[tuple[Size, int]]
"""Counts and positions: a value is in use if each count exceeds its position."""


@dataclass(frozen=True, eq=False)
class Constant:
    """Values that are known.

    Attributes:
        data: A real tensor that holds them, and perhaps more.
        windows: Axes of the data, with how many of the first positions may be in use; all of those
            of other axes.
        is_aligned: Whether the tensor is the data within the windows; otherwise each of its values
            is one of these, in any order.
        is_full: Whether all of these are among its values.
    """

    data: Tensor
    windows: tuple[tuple[int, Size], ...] = ()
    is_aligned: bool = True
    is_full: bool = True

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


@contextlib.contextmanager
def real_kernels() -> Iterator[None]:
    """Let kernels compute, in the middle of a symbolic run."""
    with _disable_current_modes(), torch._C.DisableTorchFunction():
        yield


def memory_of(constant: Constant) -> int:
    """Return where the data is, which views share."""
    with real_kernels():
        return constant.data.untyped_storage().data_ptr()


def bounds_of(constant: Constant) -> ValueRange:
    """Return the bounds of known values."""
    data = constant.data
    if data.dtype == torch.bool:
        return BOOL
    if data.is_complex() or data.is_quantized or not _is_small(data):
        return LOST
    if not data.numel():
        return ValueRange(0, 0)
    with real_kernels():
        low, high = data.min().item(), data.max().item()
    if not (math.isfinite(low) and math.isfinite(high)):
        return LOST
    doubts = () if constant.is_full and not constant.windows else (UNREACHED,)
    rising = _rising(constant) if constant.is_full else None
    return rising or ValueRange(math.floor(low), math.ceil(high), doubts=doubts)


def _rising(constant: Constant) -> ValueRange | None:
    """Return the bounds of positions, which depend on how many are in use."""
    if len(constant.windows) != 1:
        return None
    ((axis, count),) = constant.windows
    return _between(constant.data, axis, 0, count)


def part_of_rising(constant: Constant, axis: int, start: Size, count: Size) -> ValueRange | None:
    """Return the bounds of some positions from a start on, if the data rise or fall evenly."""
    if not constant.is_aligned or not known(start >= 0) or len(constant.windows) > 1:
        return None
    return _between(constant.data, axis % constant.data.dim(), start, count)


def _between(data: Tensor, axis: int, start: Size, count: Size) -> ValueRange | None:
    if data.dtype not in _WHOLE or not data.numel():
        return None
    with real_kernels():
        lines = data.movedim(axis, 0).flatten(1) if data.dim() > 1 else data[:, None]
        base = int(lines[0, 0])
        step = int(lines[1, 0]) - base if len(lines) > 1 else 0
        rising = base + step * torch.arange(len(lines), device=data.device)
        if not bool((lines == rising[:, None]).all()):
            return None
    first = base + step * start
    last = first + step * (count - 1)
    return ValueRange(first, last) if step >= 0 else ValueRange(last, first)


def first_outside(constant: Constant, least: int, most: int) -> list[Corner]:
    """Find out when a value is outside of some limits.

    Returns:
        Corners; it is outside if, for one of them, all counts exceed the positions. Where there
        would be many corners, one that includes them stands for all.
    """
    axes = [axis for axis, _ in constant.windows]
    with real_kernels():
        outside = (constant.data < least) | (constant.data > most)
        if not bool(outside.any()):
            return []
        others = [axis for axis in range(outside.dim()) if axis not in axes]
        shown = outside.any(dim=others) if others else outside
        places = shown.permute([sorted(axes).index(axis) for axis in axes]).nonzero().tolist()
    corners: list[list[int]] = []
    for place in places:  # in rising order
        if not any(all(a <= b for a, b in zip(c, place, strict=True)) for c in corners):
            corners.append(place)
        if len(corners) > MOST_CORNERS:
            corners = [[min(each) for each in zip(*places, strict=True)]]
            break
    counts = [count for _, count in constant.windows]
    return [list(zip(counts, corner, strict=True)) for corner in corners]


def sliced(
    constant: Constant, axis: int, start: Size | None, step: Size, result: Tensor
) -> Constant:
    """Return the values of a slice.

    Args:
        constant: The values of what is sliced.
        axis: Along which axis.
        start: The first position.
        step: Every how many positions.
        result: The slice.
    """
    data, first = constant.data, 0 if start is None else start
    if not constant.is_aligned:
        return constant.partial()
    axis %= data.dim()
    others = tuple(window for window in constant.windows if window[0] != axis)
    count = result.shape[axis]
    if type(first) is int and type(step) is int and (first >= 0 or others == constant.windows):
        with real_kernels():
            kept = torch.ops.aten.slice.Tensor(data, axis, first, None, step)
            if type(count) is int:
                return Constant(kept.narrow(axis, 0, count), others)
        return Constant(kept, (*others, (axis, count)))
    if not known(first >= 0):  # counted from the end
        return constant.partial()
    last: Size = first + (count - 1) * step
    return Constant(data, (*others, (axis, last + 1))).partial()


def selected(constant: Constant, axis: int, index: Size) -> Constant:
    """Return the values of one position along an axis."""
    if not constant.is_aligned:
        return constant.partial()
    axis %= constant.data.dim()
    others = tuple(window for window in constant.windows if window[0] != axis)
    if type(index) is not int:
        is_first = known(index >= 0)
        windows = (*others, (axis, index + 1)) if is_first else others
        return Constant(constant.data, windows).partial()
    if index < 0 and len(others) < len(constant.windows):
        return constant.partial()
    with real_kernels():
        data = constant.data.select(axis, index)
    return Constant(data, tuple((at - (at > axis), count) for at, count in others))


def computed(
    func: Any, arguments: Sequence[Any], options: Mapping[str, Any], result: object
) -> list[Constant] | None:
    """Let a kernel compute with known values.

    Args:
        func: The kernel.
        arguments: Its arguments, with a `Constant` for each tensor.
        options: Its keywords.
        result: What its fake version has given.

    Returns:
        The values of each tensor in its result, or None if they do not follow from those alone.
    """
    name = func._schema.name.removeprefix("aten::")
    is_random = torch.Tag.nondeterministic_seeded in func.tags
    if func._schema.is_mutable or is_random or name.startswith(("empty", "new_empty")):
        return None
    constants = list(constants_in([arguments, options]))
    windowed = [constant for constant in constants if not constant.is_whole]
    if windowed and not _is_elementwise(func, constants):
        return None
    if _has_symbols([arguments, *options.values()]):
        return None
    fakes = list(tensors_of(result))
    if not windowed and not all(map(_is_small, fakes)):
        return None
    if "device" in options:
        options = {**options, "device": constants[0].data.device if constants else "cpu"}
    try:
        with real_kernels():
            made = list(tensors_of(func(*_data(arguments), **_data(options))))
    except Exception:  # of a value that is not in use, or a kernel that is not there
        return None
    if windowed:
        (model,) = windowed
        fits = len(made) == 1 and made[0].shape == model.data.shape
        return [dataclasses.replace(model, data=made[0])] if fits else None
    is_same = [tuple(tensor.shape) for tensor in made] == [tuple(fake.shape) for fake in fakes]
    return [Constant(tensor) for tensor in made] if is_same else None


def _is_elementwise(func: Any, constants: Sequence[Constant]) -> bool:
    """Whether each value follows from one value of the only tensor."""
    is_kept = func._schema.name in ("aten::_to_copy", "aten::clone")
    return len(constants) == 1 and (is_kept or torch.Tag.pointwise in func.tags)


def _is_small(tensor: Tensor) -> bool:
    has_numbers = all(type(size) is int for size in tensor.shape)
    return has_numbers and tensor.numel() <= MOST_COMPUTED[tensor.is_floating_point()]


def _has_symbols(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return any(map(_has_symbols, value))
    return isinstance(value, torch.SymInt | torch.SymFloat | torch.SymBool)


def constants_in(value: Any) -> Iterator[Constant]:
    """Every `Constant` in nested lists."""
    if isinstance(value, Constant):
        yield value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from constants_in(item)
    elif isinstance(value, Mapping):
        yield from constants_in(list(value.values()))


def _data(value: Any) -> Any:
    if isinstance(value, Constant):
        return value.data
    if isinstance(value, list | tuple):
        return [_data(item) for item in value]
    return {key: _data(item) for key, item in value.items()} if isinstance(value, dict) else value
